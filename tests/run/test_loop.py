"""The loop around the trainer's steps: what a stop leaves, and how a run goes on from it.

The parts are stand-ins that note what is asked of them; the loop, the stop request and the checkpoint's state
are the real ones.
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
    """What happens while a run goes on, and what it did."""

    request: StopRequest = field(default_factory=StopRequest)
    stops_in: str = ""  # "rollout 2": a signal arrives in there
    did: list[str] = field(default_factory=list)
    saved: list[TrainState] = field(default_factory=list)

    def enters(self, what: str) -> None:
        if what == self.stops_in:
            self.request.receive(SIGTERM)
        if what.startswith(("rollout", "validation")):
            self.request.check()  # as the progress of either does
        self.did.append(what)


def _parts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, state: TrainState | None = None, *overrides: str
) -> SimpleNamespace:
    """Stand-ins for three steps: validated at the second and the last, saved at the last, from `state`."""
    current = state.step if state else 0

    def step(number: int) -> Any:
        nonlocal current
        scene.enters(f"rollout {number}")
        current = number
        scene.enters(f"update {number}")
        return SimpleNamespace(experience=SimpleNamespace(response_tokens=100))

    @contextmanager
    def gathered() -> Iterator[None]:
        yield

    def measure(on_progress: Callable[..., None]) -> dict[str, float]:
        scene.enters(f"validation {current}")
        return {"eval/pass@1": current / 10}

    def trained_state(step: int, metrics: dict[str, float], *, finished: bool) -> TrainState:
        return TrainState(step, metrics=dict(metrics), finished=finished)

    def save(run_dir: Path, contents: Contents, *_: Any) -> None:
        scene.saved.append(contents.state)

    recorder = SimpleNamespace(
        samples=lambda step, rows: None,
        alarms=lambda values, say: {},
        sync=lambda: None,
        metrics=lambda step, values: scene.did.append(f"line {step} {sorted(values)}"),
        finish=lambda: scene.did.append("report"),
    )
    for name, stand_in in {
        "Recorder": lambda config, state, fresh: recorder,
        "save_checkpoint": save,
        "step_metrics": lambda step, outcome: {"reward": step},
        "sample_rows": lambda outcome, text: [],
    }.items():
        monkeypatch.setattr(loop, name, stand_in)
    monkeypatch.setattr(TrainingLoop, "_buffers", lambda self: {})
    monkeypatch.setattr(TrainingLoop, "_speed", lambda self, times: {})
    monkeypatch.setattr(TrainingLoop, "_export", lambda self: scene.did.append("export"))
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


WHOLE = [
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


def test_a_run_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    assert _run_training(_parts(scene, monkeypatch)) is None
    assert scene.did == WHOLE
    assert [(state.step, state.finished) for state in scene.saved] == [(3, True)]


@pytest.mark.parametrize(("bound", "last"), [(1, 1), (100, 1), (101, 2), (1000, 3)])
def test_a_bound_of_sampled_tokens_ends_a_run_as_its_last_step_does(
    monkeypatch: pytest.MonkeyPatch, bound: int, last: int
) -> None:
    """A step samples 100: the one that reaches the bound is validated, saved and exported."""
    scene = Scene()
    assert _run_training(_parts(scene, monkeypatch, None, f"train.max_response_tokens={bound}")) is None
    assert [state.metrics["response_tokens/total"] for state in scene.saved] == [100 * last]
    assert f"validation {last}" in scene.did
    assert scene.did[-2:] == ["export", "report"]


def test_sampled_tokens_count_on_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    state = TrainState(1, metrics={"response_tokens/total": 100})
    scene = Scene()
    assert _run_training(_parts(scene, monkeypatch, state, "train.max_response_tokens=200")) is None
    assert [(one.step, one.metrics["response_tokens/total"]) for one in scene.saved] == [(2, 200)]


@pytest.mark.parametrize(
    ("stops_in", "step", "finished"),
    [
        ("rollout 1", 0, True),  # abandoned: as before the step
        ("rollout 3", 2, True),
        ("update 1", 1, True),  # finished, with its line
        ("update 2", 2, False),  # its validation asks, and is put off
        ("validation 2", 2, False),
        ("validation 3", 3, False),
    ],
)
def test_a_stop_leaves_what_the_resumed_run_needs_to_do_all_the_rest(
    monkeypatch: pytest.MonkeyPatch, stops_in: str, step: int, finished: bool
) -> None:
    """Together the two do what one left in peace does, once each: no line twice, no validation left out."""
    stopped = Scene(stops_in=stops_in)
    assert _run_training(_parts(stopped, monkeypatch)) == SIGTERM
    state = stopped.saved[-1]
    assert (state.step, state.finished) == (step, finished)
    assert "eval/pass@1" not in state.metrics or finished
    resumed = Scene()
    assert _run_training(_parts(resumed, monkeypatch, state)) is None
    assert stopped.did + resumed.did == WHOLE


def test_what_is_saved_already_is_not_saved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop in the first rollout after a resume: the checkpoint that it came from says it all."""
    scene = Scene(stops_in="rollout 3")
    state = TrainState(2, metrics={"reward": 2})
    assert _run_training(_parts(scene, monkeypatch, state)) == SIGTERM
    assert scene.saved == []


def test_a_stop_while_the_model_was_loaded_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    scene.request.receive(SIGTERM)
    assert _run_training(_parts(scene, monkeypatch)) == SIGTERM
    assert (scene.did, scene.saved) == ([], [])


def test_a_stop_after_the_last_step_leaves_the_export_to_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = Scene()
    parts = _parts(stopped, monkeypatch)
    stand_in: Callable[..., Any] = loop.Recorder

    def recorder(*arguments: Any, **options: Any) -> Any:
        made = stand_in(*arguments, **options)
        write = made.metrics

        def metrics(step: int, values: Any) -> None:
            write(step, values)
            if step == STEPS:
                stopped.request.receive(SIGTERM)

        made.metrics = metrics
        return made

    monkeypatch.setattr(loop, "Recorder", recorder)
    assert _run_training(parts) == SIGTERM
    assert "export" not in stopped.did
    resumed = Scene()
    assert _run_training(_parts(resumed, monkeypatch, stopped.saved[-1])) is None
    assert stopped.did + resumed.did == WHOLE


def test_a_fault_is_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch)

    def fails(number: int) -> Any:
        raise RuntimeError("a fault")

    parts.trainer = SimpleNamespace(step=fails)
    with pytest.raises(RuntimeError, match="a fault"):
        _run_training(parts)
    assert scene.saved == []


def test_a_sampler_of_its_own_is_there_for_the_rollouts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch)
    parts.host = _host(scene)
    _run_training(parts)
    assert scene.did[:2] == ["sampler opens", "rollout 1"]
    assert scene.did[-3:] == ["sampler closes", "export", "report"]


def test_a_run_that_is_finished_starts_no_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    parts = _parts(scene, monkeypatch, TrainState(step=STEPS))
    parts.host = _host(scene)
    _run_training(parts)
    assert "sampler opens" not in scene.did


def test_a_stop_while_the_sampler_starts_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(stops_in="rollout: the sampler starts")
    parts = _parts(scene, monkeypatch)
    opens = lambda run_dir, on_wait: scene.enters("rollout: the sampler starts")  # noqa: E731
    parts.host = SimpleNamespace(open=opens)
    assert _run_training(parts) == SIGTERM
    assert (scene.did, scene.saved) == ([], [])


def _host(scene: Scene) -> SimpleNamespace:
    return SimpleNamespace(
        open=lambda run_dir, on_wait: scene.did.append("sampler opens"),
        close=lambda: scene.did.append("sampler closes"),
    )
