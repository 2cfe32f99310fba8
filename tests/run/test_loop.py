"""The training loop: the state after a stop, and resuming from it.

The components are fakes that record calls; the loop, the stop request and the checkpoint's state are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.fakes import make_config
from vlm_uec.checkpoint import Contents
from vlm_uec.checkpoint.state import TrainState
from vlm_uec.ranks.signals import StopRequest
from vlm_uec.run import loop
from vlm_uec.run.components import Components
from vlm_uec.run.loop import TrainingLoop
from vlm_uec.telemetry.display import Display
from vlm_uec.timers import PhaseTimer

STEPS = 3
SIGTERM = 15


@dataclass
class Scene:
    """A run's events: a signal to send, recorded calls and saved states."""

    request: StopRequest = field(default_factory=StopRequest)
    stops_in: str = ""  # "rollout 2": a signal arrives in this phase
    warning: str | None = None  # the recorder's
    calls: list[str] = field(default_factory=list)
    saved: list[TrainState] = field(default_factory=list)

    def start(self, phase: str) -> None:
        if phase == self.stops_in:
            self.request.receive(SIGTERM)
        if phase.startswith(("rollout", "validation")):
            self.request.check()  # as their progress callbacks do
        self.calls.append(phase)


def _parts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, state: TrainState | None = None, *overrides: str
) -> SimpleNamespace:
    """Fakes for three steps from `state`: validated at steps 2 and 3, saved at step 3."""
    current = state.step if state else 0

    def step(number: int) -> Any:
        nonlocal current
        scene.start(f"rollout {number}")
        current = number
        scene.start(f"update {number}")
        return SimpleNamespace(experience=SimpleNamespace(response_tokens=100))

    @contextmanager
    def gathered() -> Iterator[None]:
        yield

    def measure(on_progress: Callable[..., None]) -> dict[str, float]:
        scene.start(f"validation {current}")
        return {"eval/pass@1": current / 10}

    def trained_state(step: int, metrics: dict[str, float], *, finished: bool) -> TrainState:
        return TrainState(step, metrics=dict(metrics), finished=finished)

    def save(run_dir: Path, contents: Contents, *_: Any) -> None:
        scene.saved.append(contents.state)

    recorder = SimpleNamespace(
        samples=lambda step, rows: None,
        alarms=lambda values, report: {},
        sync=lambda: None,
        metrics=lambda step, values: scene.calls.append(f"line {step} {sorted(values)}"),
        warning=lambda: scene.warning,
        finish=lambda: scene.calls.append("report"),
    )
    for name, fake in {
        "Recorder": lambda config, state, fresh: recorder,
        "save_checkpoint": save,
        "step_metrics": lambda step, outcome: {"reward": step},
        "sample_rows": lambda outcome, text: [],
    }.items():
        monkeypatch.setattr(loop, name, fake)
    monkeypatch.setattr(TrainingLoop, "_buffers", lambda self: {})
    monkeypatch.setattr(TrainingLoop, "_speed", lambda self, times: {})
    monkeypatch.setattr(TrainingLoop, "_export", lambda self: scene.calls.append("export"))
    return SimpleNamespace(
        config=make_config(f"train.steps={STEPS}", "train.eval_every=2", "train.save_every=9", *overrides),
        request=scene.request,
        display=Display(active=False, stream=StringIO()),
        timer=PhaseTimer(),
        run_dir=Path(),
        origin=None,
        host=None,
        start=SimpleNamespace(checkpoint=None, own=state is not None),
        state=state or TrainState(),
        trainer=SimpleNamespace(step=step, state=trained_state),
        policy=SimpleNamespace(gathered=gathered, save=None),
        validation=SimpleNamespace(measure=measure),
        collector=SimpleNamespace(text=None),
        on_progress=None,
    )


def _run_training(parts: SimpleNamespace) -> int | None:
    return loop.run_training(cast(Components, parts))


ALL_CALLS = [
    "rollout 1",
    "update 1",
    "line 1 ['response_tokens/total', 'reward']",
    "rollout 2",
    "update 2",
    "validation 2",
    "line 2 ['eval/pass@1', 'response_tokens/total', 'reward']",
    "rollout 3",
    "update 3",
    "validation 3",
    "line 3 ['eval/pass@1', 'response_tokens/total', 'reward']",
    "export",
    "report",
]


def test_an_uninterrupted_run(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    assert _run_training(_parts(scene, monkeypatch)) is None
    assert scene.calls == ALL_CALLS
    assert [(state.step, state.finished) for state in scene.saved] == [(3, True)]


@pytest.mark.parametrize(
    ("warning", "lines"), [(None, []), ("no response was right", ["WARNING: no response was right"])]
)
def test_a_run_that_learned_nothing_ends_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, warning: str | None, lines: list[str]
) -> None:
    parts, console = _parts(Scene(warning=warning), monkeypatch), StringIO()
    parts.display = Display(active=True, stream=console)
    assert _run_training(parts) is None
    assert [line for line in console.getvalue().splitlines() if line.startswith("WARNING")] == lines


def test_the_starting_model_is_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch, None, "train.eval_at_start=true")
    assert _run_training(parts) is None
    assert scene.calls[0] == "validation 0"
    assert scene.calls[1].startswith("line 0 ['eval/pass@1', 'time/eval', ")
    assert scene.calls[2:] == ALL_CALLS


def test_a_resumed_run_does_not_validate_the_starting_model(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch, TrainState(2, finished=True), "train.eval_at_start=true")
    assert _run_training(parts) is None
    assert not [call for call in scene.calls if call.endswith(" 0")]


@pytest.mark.parametrize(("bound", "last"), [(1, 1), (100, 1), (101, 2), (1000, 3)])
def test_a_run_ends_at_the_limit_of_sampled_tokens(
    monkeypatch: pytest.MonkeyPatch, bound: int, last: int
) -> None:
    """A step samples 100 tokens: the one that reaches the limit is validated, saved and exported."""
    scene = Scene()
    assert _run_training(_parts(scene, monkeypatch, None, f"train.max_response_tokens={bound}")) is None
    assert [state.metrics["response_tokens/total"] for state in scene.saved] == [100 * last]
    assert f"validation {last}" in scene.calls
    assert scene.calls[-2:] == ["export", "report"]


def test_sampled_tokens_are_counted_across_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    state = TrainState(1, metrics={"response_tokens/total": 100})
    scene = Scene()
    assert _run_training(_parts(scene, monkeypatch, state, "train.max_response_tokens=200")) is None
    assert [(one.step, one.metrics["response_tokens/total"]) for one in scene.saved] == [(2, 200)]


@pytest.mark.parametrize(
    ("stops_in", "step", "finished"),
    [
        ("rollout 1", 0, True),  # abandoned: the state before the step
        ("rollout 3", 2, True),
        ("update 1", 1, True),  # finished, with its metrics
        ("update 2", 2, False),  # stopped in its validation, which is repeated
        ("validation 2", 2, False),
        ("validation 3", 3, False),
    ],
)
def test_a_resumed_run_does_everything_that_is_left_exactly_once(
    monkeypatch: pytest.MonkeyPatch, stops_in: str, step: int, finished: bool
) -> None:
    """Together, both runs make the calls of an uninterrupted run: no line twice, no validation skipped."""
    stopped = Scene(stops_in=stops_in)
    assert _run_training(_parts(stopped, monkeypatch)) == SIGTERM
    state = stopped.saved[-1]
    assert (state.step, state.finished) == (step, finished)
    assert "eval/pass@1" not in state.metrics or finished
    resumed = Scene()
    assert _run_training(_parts(resumed, monkeypatch, state)) is None
    assert stopped.calls + resumed.calls == ALL_CALLS


def test_a_saved_state_is_not_saved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stop in the first rollout after a resume, the resumed checkpoint is still current."""
    scene = Scene(stops_in="rollout 3")
    state = TrainState(2, metrics={"reward": 2})
    assert _run_training(_parts(scene, monkeypatch, state)) == SIGTERM
    assert scene.saved == []


def test_a_stop_while_the_model_is_loaded_saves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    scene.request.receive(SIGTERM)
    assert _run_training(_parts(scene, monkeypatch)) == SIGTERM
    assert (scene.calls, scene.saved) == ([], [])


def test_after_a_stop_at_the_last_step_the_resumed_run_exports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = Scene()
    parts = _parts(stopped, monkeypatch)
    make_recorder: Callable[..., Any] = loop.Recorder

    def recorder(*arguments: Any, **options: Any) -> Any:
        fake = make_recorder(*arguments, **options)
        write = fake.metrics

        def metrics(step: int, values: Any) -> None:
            write(step, values)
            if step == STEPS:
                stopped.request.receive(SIGTERM)

        fake.metrics = metrics
        return fake

    monkeypatch.setattr(loop, "Recorder", recorder)
    assert _run_training(parts) == SIGTERM
    assert "export" not in stopped.calls
    resumed = Scene()
    assert _run_training(_parts(resumed, monkeypatch, stopped.saved[-1])) is None
    assert stopped.calls + resumed.calls == ALL_CALLS


def test_an_exception_is_not_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch)

    def fails(number: int) -> Any:
        raise RuntimeError("a fault")

    parts.trainer = SimpleNamespace(step=fails)
    with pytest.raises(RuntimeError, match="a fault"):
        _run_training(parts)
    assert scene.saved == []


def test_a_separate_sampler_is_closed_before_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch)
    parts.host = _host(scene)
    _run_training(parts)
    assert scene.calls[:2] == ["sampler opens", "rollout 1"]
    assert scene.calls[-3:] == ["sampler closes", "export", "report"]


def test_a_finished_run_starts_no_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch, TrainState(step=STEPS))
    parts.host = _host(scene)
    _run_training(parts)
    assert "sampler opens" not in scene.calls


def test_a_stop_while_the_sampler_starts_saves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(stops_in="rollout: the sampler starts")
    parts = _parts(scene, monkeypatch)
    opens = lambda run_dir, on_wait: scene.start("rollout: the sampler starts")  # noqa: E731
    parts.host = SimpleNamespace(open=opens)
    assert _run_training(parts) == SIGTERM
    assert (scene.calls, scene.saved) == ([], [])


def _host(scene: Scene) -> SimpleNamespace:
    return SimpleNamespace(
        open=lambda run_dir, on_wait: scene.calls.append("sampler opens"),
        close=lambda: scene.calls.append("sampler closes"),
    )
