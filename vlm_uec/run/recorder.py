"""Writes a run's metrics, samples and report. Rank 0 writes; its errors are raised on all ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vlm_uec.checkpoint.state import TrainState
from vlm_uec.config import Config, dump_config
from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.io.durable import atomic_write
from vlm_uec.ranks.collectives import gather_lists, on_all_ranks, on_first_rank, rank
from vlm_uec.report.page import write_report
from vlm_uec.run.run_dir import check_shared, claim
from vlm_uec.telemetry.alarms import EntropyAlarm, EntropyBand
from vlm_uec.telemetry.no_learning import no_learning
from vlm_uec.telemetry.trackers import Tracker, open_trackers
from vlm_uec.telemetry.writers import METRICS, RunWriter, read_jsonl

Metrics = Mapping[str, float | None]


class Recorder:
    """Metrics, samples, alarms and report of a run; every rank calls every method."""

    def __init__(self, config: Config, state: TrainState, *, fresh: bool) -> None:
        """Continues after `state`; `fresh`: the directory must contain no metrics."""
        self.run_dir = Path(config.train.run_dir)
        self._writer: RunWriter | None = None
        self._trackers: list[Tracker] = []
        guard = config.guard
        self._band = EntropyBand(guard.entropy_low, guard.entropy_high, guard.entropy_window)
        token = gather_lists(lambda: [claim(self.run_dir)] if rank() == 0 else [])[0]
        on_all_ranks(lambda: check_shared(self.run_dir, token))
        self._write(lambda: self._begin(config, state, fresh=fresh))

    def _begin(self, config: Config, state: TrainState, *, fresh: bool) -> None:
        atomic_write(self.run_dir / "config.yaml", [dump_config(config).encode()])
        # A run that starts again from step 0 measures the starting model again.
        written = None if fresh else (state.step if state.finished and state.step else state.step - 1)
        self._writer = RunWriter(self.run_dir, written, state.step)
        self._trackers = open_trackers(config.train.trackers, self.run_dir, config.model_dump(), written)
        rows: list[Metrics] = [*read_jsonl(self.run_dir / METRICS)]
        if state.finished and state.step and not any(row["step"] == state.step for row in rows):
            # The run died between the checkpoint and the step's metrics line.
            self._log_metrics(state.step, state.metrics)
            rows.append(state.metrics)
        self._alarm = EntropyAlarm(self._band, rows)

    def samples(self, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
        self._write(lambda: self._open().samples(step, rows))

    def alarms(self, values: Metrics, report: Callable[[str], None]) -> dict[str, float]:
        """The step's `alarm/...` metrics, on rank 0; calls `report` when an alarm begins or ends."""
        if rank() != 0:
            return {}
        metrics, line = self._alarm.update(values)
        if line:
            report(line)
        return metrics

    def metrics(self, step: int, values: Metrics) -> None:
        self._write(lambda: self._log_metrics(step, values))

    def sync(self) -> None:
        """Flushes the metrics of every step to disk."""
        self._write(lambda: self._open().sync())

    def warning(self) -> str | None:
        """On rank 0, the reason why the run taught nothing; None if it did."""
        return no_learning(read_jsonl(self.run_dir / METRICS)) if rank() == 0 else None

    def finish(self) -> Path:
        """Closes the files and writes the report; returns its path."""
        report = self.run_dir / "report.html"

        def close() -> None:
            self._open().close()
            for tracker in self._trackers:
                tracker.close()
            write_report(self.run_dir)

        self._write(close)
        return report

    def _log_metrics(self, step: int, values: Metrics) -> None:
        self._open().metrics(step, values)
        finite = {name: value for name, value in values.items() if value is not None and name != "step"}
        for tracker in self._trackers:
            tracker.metrics(step, finite)

    def _write(self, work: Callable[[], object]) -> None:
        def guarded() -> None:
            with translate_write_errors(self.run_dir, "train.run_dir"):
                work()

        on_first_rank(guarded)

    def _open(self) -> RunWriter:
        if self._writer is None:
            raise RuntimeError("only rank 0 writes")
        return self._writer
