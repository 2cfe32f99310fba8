"""A training run from config to exported model: builds the parts, then steps, validates and saves."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from signal import Signals

from vlm_uec.checkpoint import Contents, load_state, save_checkpoint
from vlm_uec.checkpoint.directory import LATEST, CheckpointDirectory, Keep
from vlm_uec.checkpoint.state import Origin, TrainState
from vlm_uec.cli import log_stderr
from vlm_uec.collector import Collector
from vlm_uec.config import Config, dump_config
from vlm_uec.data.dataset import data_fingerprint
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.mixture import load_mixture
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.data.schedule import Schedule, parts_of
from vlm_uec.errors import Stopped, UserError
from vlm_uec.hub import model_fingerprint
from vlm_uec.io.disk_space import writing_to
from vlm_uec.io.durable import replace_directory
from vlm_uec.model.load import end_ids, read_model_config
from vlm_uec.preflight import preflight
from vlm_uec.ranks.collectives import gather_lists, on_first_rank, rank, world_size
from vlm_uec.ranks.heartbeat import HeartbeatMonitor
from vlm_uec.ranks.logs import own_log
from vlm_uec.ranks.signals import StopRequest
from vlm_uec.rewards import judge, load_reward_function, try_out
from vlm_uec.rollout.engine import Progress, RolloutEngine
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.host import VllmHost
from vlm_uec.run.budget import FILE, remember_budget, remembered_budget
from vlm_uec.run.recorder import Recorder
from vlm_uec.run.run_dir import enter
from vlm_uec.run.validation import Validation
from vlm_uec.telemetry.display import Display
from vlm_uec.telemetry.metrics import peak_memory_gib, sampled_tokens, step_metrics
from vlm_uec.telemetry.mfu import update_mfu
from vlm_uec.telemetry.phases import advice
from vlm_uec.telemetry.samples import sample_rows
from vlm_uec.timers import PhaseTimer
from vlm_uec.trainer import StepOutcome, Trainer
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget
from vlm_uec.zero.build import base_of, build_policy, build_reference
from vlm_uec.zero.config import layout, read_deepspeed_config

TOKENS = "response_tokens/total"  # sampled since the first step, on all ranks, exploration included


class Run:
    """Everything a run holds on one rank."""

    def __init__(self, config: Config, request: StopRequest, watch: HeartbeatMonitor | None = None) -> None:
        """`request`: somebody's wish to stop; `watch` tells the other ranks what this one does."""
        self.config, self.request = config, request
        self.run_dir = Path(config.train.run_dir)
        self.display = Display(active=rank() == 0, steps=config.train.steps, watch=watch)
        self.model_config = read_model_config(config.model.path)  # for its refusals, before anything else
        self.entry = enter(config)
        preflight(config, world_size(), room=self.entry.trained < config.train.steps)
        self.host = VllmHost(config) if config.rollout.engine == "vllm" else None
        if self.host:
            self.host.check()
        for line in self.entry.changed:
            self.display.line(f"goes on with another setting: {line}")
        function = load_reward_function(config.reward.function)
        self.encoder = PromptEncoder.from_config(config)
        self.judge = partial(
            judge,
            function=function,
            format_weight=config.reward.format_weight,
            prompt=self.encoder.format_prompt,
        )
        self.prompts, self.schedule = self._training()
        held_out = self._held_out() if config.train.eval_every else None
        first = next(iter(self.prompts.problems.values()))
        on_first_rank(lambda: try_out(function, first))
        self.timer = PhaseTimer()
        self.origin = Origin(
            data=data_fingerprint(list(self.prompts.problems.values())),
            model=self._model_fingerprint(),
            layout=layout(
                read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
            ),
        )
        self.state = self._saved_state()
        self._build_policy(held_out)

    def _training(self) -> tuple[PromptSet, Schedule]:
        config = self.config
        weights = config.data.weights
        prompts, ids = self._prompts(list(weights), config.data.train_split)
        usable = {path: [name for name in ids[path] if name in prompts.problems] for path in weights}
        return prompts, Schedule(parts_of(usable, weights, config.rollout.prompts), config.train.seed)

    def _held_out(self) -> PromptSet:
        data = self.config.data
        return self._prompts([data.validation_path or str(data.path)], data.validation_split)[0]

    def _prompts(self, paths: list[str], split: str) -> tuple[PromptSet, Mapping[str, Sequence[str]]]:
        loaded = load_mixture(paths, split)
        prompts = prepare_prompts(loaded.problems, self.encoder)
        for reason, count in (loaded.rejected + prompts.rejected).items():
            self.display.line(f"{split}: left out {count} ({reason})")
        self.display.line(f"{split}: {len(prompts.problems)} problems")
        return prompts, loaded.ids

    def _build_policy(self, held_out: PromptSet | None) -> None:
        config = self.config
        self.display.doing("loading the model")
        ends = end_ids(config.model.path, self.encoder.tokenizer)
        self.policy = build_policy(config, self.encoder.tokenizer)
        reference = build_reference(config, self.encoder.tokenizer, self.policy)
        sets = [self.prompts] if held_out is None else [self.prompts, held_out]
        engine = self._engine(ends, max(max(prompts.tokens.values()) for prompts in sets))
        collector = Collector(
            engine,
            self.prompts,
            self.encoder.tokenizer,
            self.judge,
            config.rollout,
            config.exploration,
            seed=config.train.seed,
            scaled=config.advantage.scaled,
            overlong_buffer=config.reward.overlong_buffer,
        )
        learner = Learner(
            self.policy,
            reference,
            PromptTable(self.prompts.tokens, self.prompts.encode),
            config.loss,
            minibatch=config.optim.minibatch * config.rollout.n,
            max_tokens=config.rollout.max_tokens,
            budget=self._budget(),
            on_pass=self.display.moved,
            measure_entropy=config.train.measure_entropy,
        )
        self.trainer = Trainer(
            config,
            self.policy,
            collector,
            learner,
            self.schedule,
            self.timer,
            self.display,
            self._progress,
        )
        self.collector = collector
        self.validation = None
        if held_out is not None:
            self.validation = Validation(config, held_out, engine, self.encoder.tokenizer, self.judge)

    def _engine(self, ends: frozenset[int], longest: int) -> RolloutEngine:
        config = self.config
        if self.host is None:
            return NativeEngine(self.policy.policy, ends, config.rollout.slots, longest)
        return VllmEngine(
            self.policy.policy,
            ends,
            self.host.address,
            room=config.optim.microbatch_tokens,
            patience=config.guard.stall_timeout,
        )

    def _budget(self) -> PassBudget:
        """What the config says, or what an earlier start of this run found to fit."""
        configured = self.config.optim.microbatch_tokens
        found = gather_lists(lambda: [remembered_budget(self.run_dir, configured)] if rank() == 0 else [])[0]
        if found < configured:
            self.display.line(
                f"micro-batches are of {found} positions: more did not fit ({self.run_dir / FILE})"
            )

        def remember(positions: int, why: str) -> None:
            log_stderr(f"{why}: micro-batches are of {positions} positions from now on")
            try:
                remember_budget(self.run_dir, positions, why)
            except OSError as error:
                log_stderr(f"{FILE}: cannot be written ({error.strerror}); lower optim.microbatch_tokens")

        return PassBudget(found, remember)

    def execute(self) -> int | None:
        """Trains to the last step, from the checkpoint where there is one, and exports.

        Where somebody asks for an end before that: leaves a checkpoint, and returns the signal's number.
        """
        try:
            self.request.check_together()
            self._begin()
        except Stopped as stop:
            self.display.line(f"{Signals(stop.signum).name}: stopped before the first step")
            return stop.signum
        with own_log(self.run_dir) as log:
            if log:
                self.display.write_to(log)
            return self._to_the_end()

    def _to_the_end(self) -> int | None:
        try:
            while not self.finished or not self._at_end():
                if self.finished:
                    self._train_step()
                self._finish_step()
                self.request.check_together()
        except Stopped as stop:
            self._leave(stop.signum)
            return stop.signum
        if self.host:
            self.host.close()
        self._export()
        if self.spent:
            self.display.line(advice(self.spent))
        self.display.line(f"report: {self.recorder.finish()}")
        return None

    def _begin(self) -> None:
        """From the checkpoint, or from the start."""
        if self.entry.checkpoint:
            self._resume(self.entry.checkpoint)
        state, self.state = self.state, TrainState()  # its buffers are the trainer's from here on
        self.step, self.finished, self.values = state.step, state.finished, dict(state.metrics)
        self.saved = (state.step, state.finished) if self.entry.own else None
        self.outcome: StepOutcome | None = None
        # resume=auto also takes up a run that died before its first checkpoint, from the start.
        self.recorder = Recorder(self.config, state, fresh=self.config.resume == "never")
        if self.host and not (self.finished and self._at_end()):
            self.display.doing("starting vLLM")
            self.host.open(self.run_dir, self.request.check)
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.timer.finish()

    def _model_fingerprint(self) -> str:
        path = self.config.model.path
        told = gather_lists(
            lambda: [model_fingerprint(path, self.model_config, "model.path")] if rank() == 0 else []
        )
        return told[0]

    def _saved_state(self) -> TrainState:
        """The checkpoint's, verified, before a model is loaded for it."""
        checkpoint = self.entry.checkpoint
        if checkpoint is None:
            return TrainState()
        state = load_state(checkpoint, self.origin)
        if self.config.loss.kl_coef and any(item.reference_logprobs is None for item in state.replay):
            raise UserError(
                f"{checkpoint}: its replay buffer was filled at loss.kl_coef 0; keep 0 or start afresh"
            )
        return state

    def _resume(self, checkpoint: Path) -> None:
        saved_by = self.entry.saved_by
        with writing_to(self.run_dir, "train.run_dir"):
            self.policy.load(checkpoint, saved_by, CheckpointDirectory(self.run_dir).scratch())
        if saved_by != world_size():
            self.display.line(f"written on {saved_by} rank(s), goes on on {world_size()}: equal to rounding")
        self.trainer.restore(self.state)
        if self.entry.own:
            on_first_rank(lambda: self._point(checkpoint))
        self.display.line(f"resumed from {checkpoint} after step {self.state.step}")

    def _point(self, checkpoint: Path) -> None:
        """Only now: a checkpoint that was refused is no newest one."""
        with writing_to(self.run_dir, "train.run_dir"):
            CheckpointDirectory(self.run_dir).point(LATEST, checkpoint.resolve().name)

    def _train_step(self) -> None:
        """Rollouts and updates of the next step. `Stopped` leaves everything as it was before."""
        outcome = self.trainer.step(self.step + 1)
        self.step, self.finished, self.outcome = self.step + 1, False, outcome
        before = self.values.get(TOKENS) or 0
        self.values = {
            **step_metrics(self.step, outcome),
            **self._buffers(),
            TOKENS: before + outcome.experience.response_tokens,
        }
        self.recorder.samples(self.step, sample_rows(outcome, self.collector.text))

    def _finish_step(self) -> None:
        """Validation, checkpoint and metrics of a step that is trained."""
        step, last = self.step, self._at_end()
        if self.validation and (_due(step, self.config.train.eval_every) or last):
            self.display.doing(f"step {step}: validation")
            with self.timer.phase("eval"), self.policy.gathered():
                self.values |= self.validation.measure(self._progress)
        self.values |= self.recorder.alarms(self.values, self.display.line)
        self.finished = True
        if _due(step, self.config.train.save_every) or last:
            self._save()
        times = self.timer.finish()
        for name, seconds in times.items():
            self.spent[name] += seconds
        values = {**self.values, **self._speed(times)}
        self.display.step(step, values)
        self.recorder.metrics(step, values)

    def _at_end(self) -> bool:
        """After the last step, or after the one that reached the bound of sampled tokens."""
        train = self.config.train
        tokens, bound = self.values.get(TOKENS) or 0, train.max_response_tokens
        return self.step >= train.steps or (bound is not None and tokens >= bound)

    def _save(self) -> None:
        self.display.doing(f"step {self.step}: checkpoint")
        train = self.config.train
        with self.timer.phase("checkpoint"), writing_to(self.run_dir, "train.run_dir"):
            self.recorder.sync()
            state = self.trainer.state(self.step, self.values, finished=self.finished)
            contents = Contents(state, self.origin, dump_config(self.config))
            save_checkpoint(self.run_dir, contents, self.policy.save, Keep(train.keep, train.keep_best))
        self.saved = (self.step, self.finished)

    def _leave(self, signum: int) -> None:
        if self.saved != (self.step, self.finished):
            self._save()
        self.display.line(f"{Signals(signum).name}: stopped after step {self.step}; resume=auto goes on")

    def _progress(self, progress: Progress) -> None:
        self.display.progress(progress)
        self.request.check()

    def _buffers(self) -> dict[str, float]:
        values: dict[str, float] = {"uec/pending": len(self.trainer.pending), "lr": self.policy.lr}
        if self.config.stabilizer.enabled:
            values["uec/replay_size"] = len(self.trainer.replay)
        return values

    def _speed(self, times: dict[str, float]) -> dict[str, float]:
        values = {**times, "memory/peak_gib": peak_memory_gib()}
        if self.outcome is None:
            return values  # the step's rollout was another process's
        experience = self.outcome.experience
        tokens = sampled_tokens([*experience.regular, *experience.explored], self.prompts.tokens)
        values["tokens_per_second"] = tokens / times["time/step"]
        stats = [*self.outcome.update.stats, *self.outcome.replay.stats]
        seconds = times.get("time/update", 0.0) + times.get("time/replay", 0.0)
        unique = sum(update.unique_tokens for update in stats)
        mfu = update_mfu(self.policy.parameters, unique, seconds, world_size())
        return values if mfu is None else {**values, "mfu": mfu}

    def _export(self) -> None:
        self.display.doing("export")
        final, beside = self.run_dir / "export", self.run_dir / ".export.new"
        with writing_to(self.run_dir, "train.run_dir"):
            on_first_rank(lambda: shutil.rmtree(beside, ignore_errors=True))
            self.policy.export(beside, self.config.lora, base_of(self.config.model.path))
            on_first_rank(lambda: _publish(self.encoder, beside, final))
        self.display.line(f"exported to {final}")


def _publish(encoder: PromptEncoder, beside: Path, final: Path) -> None:
    """A folder of that name is a whole model."""
    encoder.save_pretrained(beside)
    replace_directory(final, beside)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
