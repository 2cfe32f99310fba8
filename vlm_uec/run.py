"""A training run from config to exported model: builds the parts, then steps, validates and saves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from eval.estimators import mean_pass_at_k
from vlm_uec.checkpoint import find_checkpoint, load_state, save_checkpoint
from vlm_uec.config import Config, dump_config
from vlm_uec.data.dataset import data_fingerprint
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.mixture import load_mixture
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.data.schedule import Schedule, parts_of
from vlm_uec.distributed import barrier, gather_lists, on_first_rank, rank, world_size
from vlm_uec.errors import UserError
from vlm_uec.evaluate import sample_answers
from vlm_uec.experience import Collector
from vlm_uec.policy.build import build_policy, build_reference
from vlm_uec.policy.learner import Learner, PromptTable
from vlm_uec.policy.load import end_ids, read_model_config
from vlm_uec.preflight import preflight
from vlm_uec.rewards import judge, load_reward_function, try_out
from vlm_uec.rollout.engine import Sampling
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.telemetry.display import Display
from vlm_uec.telemetry.metrics import peak_memory_gib, sampled_tokens, step_metrics
from vlm_uec.telemetry.mfu import update_mfu
from vlm_uec.telemetry.phases import advice
from vlm_uec.telemetry.report import write_report
from vlm_uec.telemetry.timers import PhaseTimer
from vlm_uec.telemetry.writers import RunWriter
from vlm_uec.trainer import StepOutcome, Trainer
from vlm_uec.writable import writing_to

SAMPLES_A_SOURCE = 64  # of each source, written a step: enough to read, small enough to keep


class Run:
    """Everything a run holds on one rank."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.run_dir = Path(config.train.run_dir)
        self.checkpoint = find_checkpoint(self.run_dir, config.resume)
        read_model_config(config.model.path)  # asked for its refusals, before anything else
        preflight(config, world_size())
        function = load_reward_function(config.reward.function)
        self.encoder = PromptEncoder.from_pretrained(
            config.model.path,
            template=config.prompt.template,
            min_pixels=config.data.min_pixels,
            max_pixels=config.data.max_pixels,
            max_prompt_tokens=config.data.max_prompt_tokens,
        )
        self.judge = partial(
            judge,
            function=function,
            format_weight=config.reward.format_weight,
            prompt=self.encoder.format_prompt,
        )
        self.display = Display(active=rank() == 0, steps=config.train.steps)
        self.prompts, self.schedule = self._training()
        self.validation = self._validation() if config.train.eval_every else None
        first = next(iter(self.prompts.problems.values()))
        on_first_rank(lambda: try_out(function, first))
        self.timer = PhaseTimer()
        self._build_policy()

    def _training(self) -> tuple[PromptSet, Schedule]:
        config = self.config
        weights = config.data.weights
        prompts, ids = self._prompts(list(weights), config.data.train_split)
        usable = {path: [name for name in ids[path] if name in prompts.problems] for path in weights}
        return prompts, Schedule(parts_of(usable, weights, config.rollout.prompts), config.train.seed)

    def _validation(self) -> PromptSet:
        data = self.config.data
        return self._prompts([data.validation_path or str(data.path)], data.validation_split)[0]

    def _prompts(self, paths: list[str], split: str) -> tuple[PromptSet, Mapping[str, Sequence[str]]]:
        loaded = load_mixture(paths, split)
        prompts = prepare_prompts(loaded.problems, self.encoder)
        for reason, count in (loaded.rejected + prompts.rejected).items():
            self.display.line(f"{split}: left out {count} ({reason})")
        self.display.line(f"{split}: {len(prompts.problems)} problems")
        return prompts, loaded.ids

    def _build_policy(self) -> None:
        config = self.config
        ends = end_ids(config.model.path, self.encoder.tokenizer)
        self.policy = build_policy(config, self.encoder.tokenizer)
        reference = build_reference(config, self.encoder.tokenizer)
        sets = [self.prompts] if self.validation is None else [self.prompts, self.validation]
        longest = max(max(prompts.tokens.values()) for prompts in sets)
        self.engine = NativeEngine(self.policy.policy, ends, config.rollout.slots, longest)
        collector = Collector(
            self.engine,
            self.prompts,
            self.encoder.tokenizer,
            self.judge,
            config.rollout,
            config.exploration,
            seed=config.train.seed,
        )
        learner = Learner(
            self.policy,
            reference,
            PromptTable(self.prompts.tokens, self.prompts.encode),
            config.loss,
            minibatch=config.optim.minibatch * config.rollout.n,
            budget=config.optim.microbatch_tokens,
        )
        self.trainer = Trainer(
            config, self.policy, collector, learner, self.schedule, self.timer, self.display
        )
        self.collector = collector

    def execute(self) -> None:
        """Trains to the last step, from the checkpoint where there is one; exports at the end."""
        self.fingerprint = data_fingerprint(list(self.prompts.problems.values()))
        done = self._resume()
        writer = self._writer(done)
        self.timer.finish()
        spent: defaultdict[str, float] = defaultdict(float)
        for step in range(done + 1, self.config.train.steps + 1):
            outcome = self.trainer.step(step)
            values = {**step_metrics(step, outcome), **self._buffers()}
            last = step == self.config.train.steps
            if _due(step, self.config.train.eval_every) or (last and self.validation):
                values |= self._validate(step)
            if _due(step, self.config.train.save_every) or last:
                self._save(step)
            times = self.timer.finish()
            for name, seconds in times.items():
                spent[name] += seconds
            values |= self._speed(outcome, times)
            self.display.step(step, values)
            if writer:
                with self._writing():
                    writer.metrics(step, values)
                    writer.samples(step, self._sample_rows(outcome))
        with self._writing():
            self._export()
        if spent:
            self.display.line(advice(spent))
        if writer:
            with self._writing():
                writer.close()
                self.display.line(f"report: {write_report(self.run_dir)}")

    def _resume(self) -> int:
        if self.checkpoint is None:
            return 0
        state = load_state(self.checkpoint, self.fingerprint)
        if self.config.loss.kl_coef and any(item.reference_logprobs is None for item in state.replay):
            raise UserError(
                f"{self.checkpoint}: its replay buffer was filled at loss.kl_coef 0; keep 0 or start afresh"
            )
        self.policy.load(self.checkpoint)
        self.trainer.restore(state)
        self.display.line(f"resumed from {self.checkpoint} after step {state.step}")
        return state.step

    def _writer(self, done: int) -> RunWriter | None:
        if rank() != 0:
            return None
        self.run_dir.mkdir(parents=True, exist_ok=True)
        (self.run_dir / "config.yaml").write_text(dump_config(self.config), encoding="utf-8")
        # resume=auto also takes up a run that died before its first checkpoint, from the start.
        return RunWriter(self.run_dir, None if self.config.resume == "never" else done)

    def _writing(self) -> AbstractContextManager[None]:
        return writing_to(self.run_dir, "train.run_dir")

    def _buffers(self) -> dict[str, float]:
        values: dict[str, float] = {"uec/pending": len(self.trainer.pending), "lr": self.policy.lr}
        if self.config.stabilizer.enabled:
            values["uec/replay_size"] = len(self.trainer.replay)
        return values

    def _validate(self, step: int) -> dict[str, float]:
        config, prompts = self.config.evaluation, self.validation
        if prompts is None:
            return {}
        self.display.doing(f"step {step}: validation")
        sampling = Sampling(config.temperature, self.config.rollout.top_p, self.config.rollout.max_tokens)
        ids = list(prompts.problems)[: config.problems]

        def judged() -> list[tuple[str, bool]]:
            answers = sample_answers(
                self.engine,
                prompts,
                self.encoder.tokenizer,
                dict.fromkeys(ids[rank() :: world_size()], range(config.n)),
                n=config.n,
                sampling=sampling,
                seed=self.config.train.seed,
                on_progress=self.display.progress,
            )
            return [
                (a.problem_id, self.judge(a.text, prompts.problems[a.problem_id]).accuracy == 1.0)
                for a in answers
            ]

        with self.timer.phase("eval"), self.policy.gathered():
            right = Counter(name for name, correct in gather_lists(judged) if correct)
        counts = [(config.n, right[name]) for name in ids]
        return {f"eval/pass@{k}": mean_pass_at_k(counts, k) for k in sorted({1, config.n})}

    def _save(self, step: int) -> None:
        self.display.doing(f"step {step}: checkpoint")
        with self.timer.phase("checkpoint"), self._writing():
            state = self.trainer.state(step, self.fingerprint)
            config = dump_config(self.config)
            save_checkpoint(self.run_dir, state, self.policy.save, config, self.config.train.keep)

    def _speed(self, outcome: StepOutcome, times: dict[str, float]) -> dict[str, float]:
        experience = outcome.experience
        tokens = sampled_tokens([*experience.regular, *experience.explored], self.prompts.tokens)
        values = {
            **times,
            "tokens_per_second": tokens / times["time/step"],
            "memory/peak_gib": peak_memory_gib(),
        }
        stats = [*outcome.update.stats, *outcome.replay.stats]
        seconds = times.get("time/update", 0.0) + times.get("time/replay", 0.0)
        unique = sum(update.unique_tokens for update in stats)
        mfu = update_mfu(self.policy.parameters, unique, seconds, world_size())
        return values if mfu is None else {**values, "mfu": mfu}

    def _sample_rows(self, outcome: StepOutcome) -> Iterator[dict[str, Any]]:
        for source, trajectories in (
            ("regular", outcome.experience.regular),
            ("exploration", outcome.experience.explored),
            ("replay", outcome.replay.trajectories),
        ):
            for trajectory in trajectories[:SAMPLES_A_SOURCE]:
                reward = trajectory.reward
                yield {
                    "problem_id": trajectory.response.problem_id,
                    "source": source,
                    "index": trajectory.response.index,
                    "response": self.collector.text(trajectory.response),
                    "reward": reward.total,
                    "reward/accuracy": reward.accuracy,
                    "reward/format": reward.format,
                    "reason": reward.reason,
                    "advantage": trajectory.advantage,
                    "truncated": trajectory.response.truncated,
                    "sampled_at": trajectory.step,
                }

    def _export(self) -> None:
        directory = self.run_dir / "export"
        self.policy.export(directory)
        if rank() == 0:
            self.encoder.save_pretrained(directory)
        barrier()
        self.display.line(f"exported to {directory}")


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
