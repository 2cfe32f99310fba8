"""python eval/passk.py --model DIR --data DIR --split test --n 16 --k 1 4 16 --out DIR: unbiased Pass@k.

Samples with the training rollout (a prompt is encoded once for all n responses) and judges with the
training verifier. Under `deepspeed eval/passk.py …` the problems are dealt out over the ranks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from eval.estimators import bootstrap_interval, mean_pass_at_k, pass_at_k
from vlm_uec.errors import UserError
from vlm_uec.evaluate import Sample, correct_counts
from vlm_uec.writable import check_writable


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="Hugging Face directory or Hub id")
    parser.add_argument("--data", required=True, help="directory written by data_prep, or Hub id")
    parser.add_argument("--split", default="test")
    # The launcher's own parser takes a lone --n for one of its options: behind `deepspeed`, --samples.
    parser.add_argument("--n", "--samples", dest="n", type=int, default=16, help="samples a problem")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for samples.jsonl and summary.json"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="0 is greedy")
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--max-prompt-tokens", type=int, default=4096)
    parser.add_argument("--min-pixels", type=int, help="of a picture; the model's own by default")
    parser.add_argument("--max-pixels", type=int, help="of a picture; the model's own by default")
    parser.add_argument("--template", help="format prompt: jinja text or a .jinja file")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="bf16 on a GPU, fp32 on a CPU")
    parser.add_argument(
        "--slots", type=int, help="responses decoded at a time, a rank; what free memory holds if not given"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--local_rank", type=int, help="set by the launcher")
    return parser.parse_args(arguments)


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raises `UserError` on settings that no run could honour, before any model loads."""
    if arguments.n < 1:
        raise UserError(f"--n {arguments.n}: give at least 1")
    if wrong := [k for k in arguments.k if not 1 <= k <= arguments.n]:
        raise UserError(f"--k {wrong[0]}: must be between 1 and --n {arguments.n}")
    if os.environ.get("RANK", "0") == "0":  # ranks that probe at a time take each other's folder away
        check_writable(arguments.out, "--out")
    if arguments.temperature < 0 or not 0 < arguments.top_p <= 1:
        raise UserError("--temperature must be at least 0 and --top-p in (0, 1]")


def sample(arguments: argparse.Namespace) -> list[Sample]:
    """All samples, on every rank."""
    import torch

    from vlm_uec.data.dataset import load_problems
    from vlm_uec.data.encode import PromptEncoder
    from vlm_uec.data.prompts import prepare_prompts
    from vlm_uec.distributed import rank
    from vlm_uec.evaluate import sample_problems
    from vlm_uec.policy.forward import Policy
    from vlm_uec.policy.load import banned_ids, end_ids, load_model, read_model_config
    from vlm_uec.rewards import accuracy_reward, judge
    from vlm_uec.rollout.engine import Sampling
    from vlm_uec.rollout.native import NativeEngine
    from vlm_uec.telemetry.display import Display

    read_model_config(arguments.model)  # asked for its refusals
    gpu = torch.cuda.is_available()
    encoder = PromptEncoder.from_pretrained(
        arguments.model,
        template=arguments.template,
        min_pixels=arguments.min_pixels,
        max_pixels=arguments.max_pixels,
        max_prompt_tokens=arguments.max_prompt_tokens,
    )
    model = load_model(
        arguments.model, arguments.precision or ("bf16" if gpu else "fp32"), checkpointing=False
    )
    banned = banned_ids(model.model.language_model.vocab_size, encoder.tokenizer)
    # Each prompt is read once: nothing to gain from a frozen tower's cache.
    policy = Policy(model, banned, freeze_vision=False)
    if gpu:
        policy.to(torch.device("cuda", torch.cuda.current_device()))
    prompts = prepare_prompts(load_problems(arguments.data, arguments.split).problems, encoder)
    display = Display(active=rank() == 0)
    display.doing(f"{len(prompts.problems)} problems x {arguments.n}")
    return sample_problems(
        NativeEngine(policy, end_ids(arguments.model, encoder.tokenizer), arguments.slots),
        prompts,
        encoder.tokenizer,
        partial(judge, function=accuracy_reward, format_weight=0.0, prompt=encoder.format_prompt),
        problem_ids=list(prompts.problems),
        n=arguments.n,
        sampling=Sampling(arguments.temperature, arguments.top_p, arguments.max_tokens),
        seed=arguments.seed,
        on_progress=display.progress,
    )


def summarise(samples: Sequence[Sample], ks: Sequence[int], seed: int) -> dict[str, Any]:
    """Pass@k with 95 % bootstrap intervals over problems, and what the samples looked like."""
    counts = list(correct_counts(samples).values())
    return {
        "problems": len(counts),
        "samples": len(samples),
        "pass": {
            str(k): {
                "value": mean_pass_at_k(counts, k),
                "interval": bootstrap_interval([pass_at_k(n, c, k) for n, c in counts], seed),
            }
            for k in ks
        },
        "truncated_fraction": sum(s.truncated for s in samples) / len(samples),
        "response_tokens_mean": sum(s.tokens for s in samples) / len(samples),
    }


def main() -> int:
    arguments = parse_arguments()
    try:
        check_arguments(arguments)
        if "RANK" in os.environ:
            from vlm_uec.policy.zero import start_distributed

            start_distributed()
        started = time.monotonic()
        samples = sample(arguments)
        seconds = time.monotonic() - started
        if os.environ.get("RANK", "0") == "0":
            _write(arguments, samples, seconds)
        if "RANK" in os.environ:
            from vlm_uec.policy.zero import stop_distributed

            stop_distributed()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _write(arguments: argparse.Namespace, samples: Sequence[Sample], seconds: float) -> None:
    summary = summarise(samples, arguments.k, arguments.seed)
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "samples.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(sample), ensure_ascii=False) + "\n" for sample in samples)
    text = json.dumps({"settings": settings, **summary, "seconds": seconds}, indent=2)
    (arguments.out / "summary.json").write_text(text + "\n", encoding="utf-8")
    print(f"{summary['problems']} problems x {arguments.n} samples in {seconds:.1f} s")
    for k, result in summary["pass"].items():
        low, high = result["interval"]
        print(
            f"Pass@{k:<4} {100 * result['value']:6.2f} %   95 % interval {100 * low:.2f} to {100 * high:.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
