"""Validation during training: Pass@k on held-out problems, with the evaluator's sampling and estimator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import torch

from vlm_uec.answers import sample_answers
from vlm_uec.collector import Judge
from vlm_uec.config import Config
from vlm_uec.data.prompts import PromptSet
from vlm_uec.estimators import mean_pass_at_k
from vlm_uec.ranks.collectives import gather_lists, rank, world_size
from vlm_uec.rollout.engine import OnProgress, RolloutEngine, Sampling


class Validation:
    """Samples and judges a run's held-out problems."""

    def __init__(
        self,
        config: Config,
        prompts: PromptSet,
        engine: RolloutEngine,
        response_text: Callable[[torch.Tensor], str],
        judge: Judge,
    ) -> None:
        self.settings, self.prompts, self.judge = config.evaluation, prompts, judge
        rollout = config.rollout
        self.ids = list(prompts.problems)[: self.settings.problems]
        self._answers = partial(
            sample_answers,
            engine,
            prompts,
            response_text,
            n=self.settings.n,
            sampling=Sampling(self.settings.temperature, rollout.top_p, rollout.max_tokens),
            seed=config.train.seed,
        )

    def measure(self, on_progress: OnProgress) -> dict[str, float]:
        """`eval/pass@1` and `eval/pass@n`; every rank calls it, with gathered weights."""
        judged = gather_lists(lambda: self._judge_own_share(on_progress))
        right = Counter(name for name, correct in judged if correct)
        n = self.settings.n
        counts = [(n, right[name]) for name in self.ids]
        return {f"eval/pass@{k}": mean_pass_at_k(counts, k) for k in sorted({1, n})}

    def _judge_own_share(self, on_progress: OnProgress) -> list[tuple[str, bool]]:
        own = dict.fromkeys(self.ids[rank() :: world_size()], range(self.settings.n))
        return [
            (a.problem_id, self.judge(a.text, self.prompts.problems[a.problem_id]).accuracy == 1.0)
            for a in self._answers(own, on_progress=on_progress)
        ]
