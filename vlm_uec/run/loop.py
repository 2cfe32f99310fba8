"""The loop of a training run: steps, validation, checkpoints and metrics, from resume to export."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from signal import Signals

from vlm_uec.checkpoint import Contents, save_checkpoint
from vlm_uec.checkpoint.directory import LATEST, CheckpointDirectory, KeepCounts
from vlm_uec.config import dump_config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.errors import Stopped
from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.io.durable import replace_directory
from vlm_uec.ranks.collectives import on_first_rank, world_size
from vlm_uec.ranks.logs import rank_log
from vlm_uec.run.components import Components
from vlm_uec.run.recorder import Recorder
from vlm_uec.telemetry.metrics import peak_memory_gib, sampled_tokens, step_metrics
from vlm_uec.telemetry.mfu import update_mfu
from vlm_uec.telemetry.phases import advice
from vlm_uec.telemetry.samples import sample_rows
from vlm_uec.trainer import StepOutcome
from vlm_uec.zero.build import base_model_name

TOKENS = "response_tokens/total"  # sampled since the first step, on all ranks, exploration included


def run_training(parts: Components) -> int | None:
    """Trains to the last step, from the checkpoint if there is one, and exports; every rank calls it.

    On a signal it writes a checkpoint and returns the signal's number.
    """
    try:
        parts.request.check_all_ranks()
        loop = TrainingLoop(parts)
    except Stopped as stop:
        parts.display.line(f"{Signals(stop.signum).name}: stopped before the first step")
        return stop.signum
    with rank_log(parts.run_dir) as log:
        if log:
            parts.display.write_to(log)
        return loop.run()


class TrainingLoop:
    """Runs the steps on one rank; keeps the state that changes between steps outside of the trainer."""

    def __init__(self, parts: Components) -> None:
        """Loads the checkpoint's weights, if there is one, and opens the run directory's files."""
        self.parts = parts
        state, start = parts.state, parts.start
        if start.checkpoint:
            _load_weights(parts, start.checkpoint)
        # resume=auto also restarts a run that died before its first checkpoint.
        self.recorder = Recorder(parts.config, state, fresh=parts.config.resume == "never")
        self.step, self.finished, self.values = state.step, state.finished, dict(state.metrics)
        self.saved = (state.step, state.finished) if start.own else None
        self.outcome: StepOutcome | None = None
        self.spent: defaultdict[str, float] = defaultdict(float)
        if parts.host and not (self.finished and self._at_end()):
            parts.display.start_phase("starting vLLM")
            parts.host.open(parts.run_dir, parts.request.check)
        parts.timer.finish()

    def run(self) -> int | None:
        """Runs the remaining steps and the export; returns the signal's number if one ended it."""
        try:
            if self.step == 0 and self.parts.config.train.eval_at_start:
                self._validate_start()
            while not self.finished or not self._at_end():
                if self.finished:
                    self._train_step()
                self._finish_step()
                self.parts.request.check_all_ranks()
        except Stopped as stop:
            self._save_before_exit(stop.signum)
            return stop.signum
        if self.parts.host:
            self.parts.host.close()
        self._export()
        if self.spent:
            self.parts.display.line(advice(self.spent))
        if warning := self.recorder.warning():
            self.parts.display.line(f"WARNING: {warning}")
        self.parts.display.line(f"report: {self.recorder.finish()}")
        return None

    def _validate_start(self) -> None:
        """Measures the starting model; logged as step 0."""
        values = {**self._validation(), **self.parts.timer.finish()}
        self.parts.display.step(0, values)
        self.recorder.metrics(0, values)
        self.parts.request.check_all_ranks()

    def _train_step(self) -> None:
        """Rollouts and updates of the next step. `Stopped` leaves the previous step's state unchanged."""
        outcome = self.parts.trainer.step(self.step + 1)
        self.step, self.finished, self.outcome = self.step + 1, False, outcome
        before = self.values.get(TOKENS) or 0
        self.values = {
            **step_metrics(self.step, outcome),
            **self._buffers(),
            TOKENS: before + outcome.experience.response_tokens,
        }
        self.recorder.samples(self.step, sample_rows(outcome, self.parts.collector.text))

    def _finish_step(self) -> None:
        """Validation, checkpoint and metrics after a step's updates."""
        parts, step, last = self.parts, self.step, self._at_end()
        if parts.validation and (_due(step, parts.config.train.eval_every) or last):
            self.values |= self._validation()
        self.values |= self.recorder.alarms(self.values, parts.display.line)
        self.finished = True
        if _due(step, parts.config.train.save_every) or last:
            self._save()
        times = parts.timer.finish()
        for name, seconds in times.items():
            self.spent[name] += seconds
        values = {**self.values, **self._speed(times)}
        parts.display.step(step, values)
        self.recorder.metrics(step, values)

    def _validation(self) -> dict[str, float]:
        parts = self.parts
        if parts.validation is None:
            raise RuntimeError("train.eval_every is 0: nothing to validate")
        parts.display.start_phase(f"step {self.step}: validation")
        with parts.timer.phase("eval"), parts.policy.gathered():
            return parts.validation.measure(parts.on_progress)

    def _at_end(self) -> bool:
        """Whether this is the last step, or the one that reached the limit of sampled tokens."""
        train = self.parts.config.train
        tokens, bound = self.values.get(TOKENS) or 0, train.max_response_tokens
        return self.step >= train.steps or (bound is not None and tokens >= bound)

    def _save(self) -> None:
        parts, train = self.parts, self.parts.config.train
        parts.display.start_phase(f"step {self.step}: checkpoint")
        with parts.timer.phase("checkpoint"), translate_write_errors(parts.run_dir, "train.run_dir"):
            self.recorder.sync()
            state = parts.trainer.state(self.step, self.values, finished=self.finished)
            contents = Contents(state, parts.origin, dump_config(parts.config))
            save_checkpoint(
                parts.run_dir, contents, parts.policy.save, KeepCounts(train.keep, train.keep_best)
            )
        self.saved = (self.step, self.finished)

    def _save_before_exit(self, signum: int) -> None:
        if self.saved != (self.step, self.finished):
            self._save()
        name = Signals(signum).name
        self.parts.display.line(f"{name}: stopped after step {self.step}; continue with resume=auto")

    def _buffers(self) -> dict[str, float]:
        parts = self.parts
        values: dict[str, float] = {"uec/pending": len(parts.trainer.pending), "lr": parts.policy.lr}
        if parts.config.stabilizer.enabled:
            values["uec/replay_size"] = len(parts.trainer.replay)
        return values

    def _speed(self, times: dict[str, float]) -> dict[str, float]:
        values = {**times, "memory/peak_gib": peak_memory_gib()}
        if self.outcome is None:
            return values  # resumed after the step's rollout: it was not timed by this process
        experience = self.outcome.experience
        tokens = sampled_tokens([*experience.regular, *experience.explored], self.parts.prompts.tokens)
        values["tokens_per_second"] = tokens / times["time/step"]
        stats = [*self.outcome.update.stats, *self.outcome.replay.stats]
        seconds = times.get("time/update", 0.0) + times.get("time/replay", 0.0)
        unique = sum(update.unique_tokens for update in stats)
        mfu = update_mfu(self.parts.policy.parameters, unique, seconds, world_size())
        return values if mfu is None else {**values, "mfu": mfu}

    def _export(self) -> None:
        parts = self.parts
        parts.display.start_phase("export")
        final, temporary = parts.run_dir / "export", parts.run_dir / ".export.new"
        with translate_write_errors(parts.run_dir, "train.run_dir"):
            on_first_rank(lambda: shutil.rmtree(temporary, ignore_errors=True))
            parts.policy.export(temporary, parts.config.lora, base_model_name(parts.config.model.path))
            on_first_rank(lambda: _publish(parts.encoder, temporary, final))
        parts.display.line(f"exported to {final}")


def _load_weights(parts: Components, checkpoint: Path) -> None:
    """Loads weights and optimizer state; the trainer already has the checkpoint's buffers."""
    start = parts.start
    with translate_write_errors(parts.run_dir, "train.run_dir"):
        parts.policy.load(
            checkpoint, start.saved_world_size, CheckpointDirectory(parts.run_dir).scratch_path()
        )
    if start.saved_world_size != world_size():
        sizes = f"written with world size {start.saved_world_size}, resuming with {world_size()}"
        parts.display.line(f"checkpoint {sizes}: results are equal up to rounding")
    if start.own:
        # Only after a successful load: a rejected checkpoint must not become the latest.
        on_first_rank(lambda: _point_latest(parts.run_dir, checkpoint))
    parts.display.line(f"resumed from {checkpoint} after step {parts.state.step}")


def _point_latest(run_dir: Path, checkpoint: Path) -> None:
    with translate_write_errors(run_dir, "train.run_dir"):
        CheckpointDirectory(run_dir).set_pointer(LATEST, checkpoint.resolve().name)


def _publish(encoder: PromptEncoder, temporary: Path, final: Path) -> None:
    """Completes the folder before renaming it, so that `export` is a complete model or absent."""
    encoder.save_pretrained(temporary)
    replace_directory(final, temporary)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
