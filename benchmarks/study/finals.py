"""What a policy of the entropy study does with held-out problems, by kind, and which tokens have its entropy.

    OMP_NUM_THREADS=1 deepspeed --num_accelerators 1 benchmarks/study/finals.py OUT.json model.path=DIR …

Samples each validation problem 16 times at t = 1 (settings as for train.py).
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.lib.study.results import K
from benchmarks.lib.study.runs import CONFIG, Inputs, Job, StudyRun, run_all
from eval.estimators import mean_pass_at_k
from vlm_uec.config import Config, load_config
from vlm_uec.data.dataset import load_problems
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.model.load import banned_ids, end_ids, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.rewards import accuracy_reward
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import Group
from vlm_uec.zero.engine import start_distributed, stop_distributed

SEED = 1
ARMS = ("GRPO", "UEC", "UEC, no retention")


def final_scores(
    runs: Sequence[StudyRun], inputs: Inputs, out: Path, at_a_time: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The base model's kinds and entropy, and means over seeds of `ARMS`."""
    wanted = [run for run in runs if run.arm in ARMS]
    jobs = {
        run: _job(out, f"{run.folder.name}_{inputs.tokens}", replace(inputs, model=run.folder / "export"))
        for run in wanted
    }
    base = _job(out, "base", inputs)
    run_all([base, *jobs.values()], at_a_time, say)
    told = {"base": _read(base)}
    for arm in dict.fromkeys(run.arm for run in wanted):
        told[arm] = _mean([_read(job) for run, job in jobs.items() if run.arm == arm])
    return told


def _job(out: Path, name: str, inputs: Inputs) -> Job:
    settings = inputs.overrides(out / "unused", SEED)
    return Job(
        name=f"kinds of problems, {name}",
        done=out / f"{name}.done",
        log=out / f"{name}.log",
        script="benchmarks/study/finals.py",
        arguments=(str(out / f"{name}.json"), *settings),
    )


def _read(job: Job) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(job.done.with_suffix(".json").read_text(encoding="utf-8"))
    return told


def _mean(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Leaf by leaf."""
    first = trees[0]
    return {
        name: _mean([tree[name] for tree in trees])
        if isinstance(first[name], Mapping)
        else fmean(tree[name] for tree in trees)
        for name in first
    }


def by_kind(
    groups: Iterable[Group], right: Callable[[Group], int], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """Pass@1 and Pass@K of each kind; `kinds` by problem id, `right` counts a group's right responses."""
    counts: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for group in groups:
        counts[kinds[group.prompt.problem_id]].append((len(group.responses), right(group)))
    return {
        kind: {f"pass_{name}": mean_pass_at_k(of, k) for name, k in (("1", 1), ("k", K))}
        for kind, of in sorted(counts.items())
    }


def entropy_by_token(groups: Iterable[Group], is_digit: torch.Tensor) -> dict[str, float]:
    """Exact entropy of tokens that came out as digits, of the others, and the digits' share of the sum.

    `is_digit` [V] bool.
    """
    tokens = torch.cat([response.tokens for group in groups for response in group.responses])
    entropy = torch.cat([response.entropy for group in groups for response in group.responses]).double()
    digits = is_digit[tokens]
    return {
        "digits": float(entropy[digits].mean()),
        "others": float(entropy[~digits].mean()),
        "digits_share": float(entropy[digits].sum() / entropy.sum()),
    }


def _prompts(config: Config) -> PromptSet:
    data = config.data
    encoder = PromptEncoder.from_pretrained(
        config.model.path,
        template=config.prompt.template,
        min_pixels=data.min_pixels,
        max_pixels=data.max_pixels,
        max_prompt_tokens=data.max_prompt_tokens,
    )
    return prepare_prompts(load_problems(str(data.path), data.validation_split).problems, encoder)


def _sampled(config: Config, prompts: PromptSet) -> list[Group]:
    model, tokenizer = config.model, prompts.encoder.tokenizer
    loaded: Any = load_model(model.path, model.precision, checkpointing=False)
    policy = Policy(loaded, banned_ids(loaded.lm_head.out_features, tokenizer))
    longest = max(prompts.tokens.values())
    engine = NativeEngine(policy, end_ids(model.path, tokenizer), config.rollout.slots, longest)
    sampling = Sampling(1.0, 1.0, config.rollout.max_tokens)
    requests = [Request(prompts.encode(name), range(K), sampling) for name in prompts.problems]
    return engine.generate(requests, StreamKey(SEED, 0), lambda progress: None)


def _digits(tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    pieces = [str(tokenizer.decode([number])).strip() for number in range(len(tokenizer))]
    return torch.tensor([piece.isdigit() for piece in pieces])


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--local_rank")]
    out, config = Path(arguments[0]), load_config(CONFIG, arguments[1:])
    start_distributed(rendezvous())
    torch.set_num_threads(1)
    prompts = _prompts(config)
    groups, tokenizer = _sampled(config, prompts), prompts.encoder.tokenizer

    def right(group: Group) -> int:
        problem = prompts.problems[group.prompt.problem_id]
        texts = [str(tokenizer.decode(one.tokens, skip_special_tokens=True)) for one in group.responses]
        return sum(accuracy_reward(text, problem) == 1.0 for text in texts)

    kinds = {name: str(problem.metadata["kind"]) for name, problem in prompts.problems.items()}
    told = {
        "kinds": by_kind(groups, right, kinds),
        "entropy": entropy_by_token(groups, _digits(tokenizer)),
    }
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    stop_distributed()


if __name__ == "__main__":
    main()
