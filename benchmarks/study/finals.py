"""Scores of a policy of the entropy study on held-out problems by kind, and its entropy by kind of token.

    OMP_NUM_THREADS=1 deepspeed --num_accelerators 1 benchmarks/study/finals.py OUT.json model.path=DIR …

Samples each validation problem 16 times at t = 1 (settings as for train.py).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.lib.launching import TINY_CONFIG
from benchmarks.lib.study.breakdowns import entropy_by_token, pass_by_kind
from benchmarks.lib.study.final_scores import SEED
from benchmarks.lib.study.results import K
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


def _sample(config: Config, prompts: PromptSet) -> list[Group]:
    model, tokenizer = config.model, prompts.encoder.tokenizer
    loaded: Any = load_model(model.path, model.precision, checkpointing=False)
    policy = Policy(loaded, banned_ids(loaded.lm_head.out_features, tokenizer))
    longest = max(prompts.tokens.values())
    engine = NativeEngine(policy, end_ids(model.path, tokenizer), config.rollout.slots, longest)
    sampling = Sampling(1.0, 1.0, config.rollout.max_tokens)
    requests = [Request(prompts.encode(name), range(K), sampling) for name in prompts.problems]
    return engine.generate(requests, StreamKey(SEED, 0), lambda progress: None)


def _is_digit(tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    pieces = [str(tokenizer.decode([number])).strip() for number in range(len(tokenizer))]
    return torch.tensor([piece.isdigit() for piece in pieces])


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--local_rank")]
    out, config = Path(arguments[0]), load_config(TINY_CONFIG, arguments[1:])
    start_distributed(rendezvous())
    torch.set_num_threads(1)
    prompts = _prompts(config)
    groups, tokenizer = _sample(config, prompts), prompts.encoder.tokenizer

    def count_right(group: Group) -> int:
        problem = prompts.problems[group.prompt.problem_id]
        texts = [prompts.encoder.response_text(each.tokens) for each in group.responses]
        return sum(accuracy_reward(text, problem) == 1.0 for text in texts)

    kinds = {name: str(problem.metadata["kind"]) for name, problem in prompts.problems.items()}
    scores = {
        "kinds": pass_by_kind(groups, count_right, kinds),
        "entropy": entropy_by_token(groups, _is_digit(tokenizer)),
    }
    out.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    stop_distributed()


if __name__ == "__main__":
    main()
