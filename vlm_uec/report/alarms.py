"""The alarms of a run: between which entropies there was none, and where there were some."""

from __future__ import annotations

from itertools import groupby

from pydantic import ValidationError

from vlm_uec.config import GuardConfig
from vlm_uec.report.runs import RunData, number
from vlm_uec.telemetry.alarms import ENTROPY, EntropyBand, entropy_limits

_PREFIX = "alarm/"
MAX_KINDS = 8


def band_of(run: RunData) -> tuple[float, float] | None:
    """In nats, as the run's own `guard` section has it; None where that, or a first window, is not known."""
    if not run.settings:
        return None
    try:
        guard = GuardConfig.model_validate(run.settings.get("guard", {}))
    except ValidationError:
        return None  # a config of another version: the page shows it among the settings
    band = EntropyBand(guard.entropy_low, guard.entropy_high, guard.entropy_window)
    return entropy_limits(band, [value for _, value in run.values(ENTROPY)])


def alarms_of(run: RunData) -> list[str]:
    """`entropy_collapse at steps 12 to 20`, in order."""
    names = [name for name in run.columns if name.startswith(_PREFIX)][:MAX_KINDS]
    told = []
    for name in names:
        for raised, rows in groupby(run.rows, key=lambda row: bool(number(row.get(name)))):
            if raised:
                steps = [row.get("step") for row in rows]
                told.append(f"{name.removeprefix(_PREFIX)} at steps {steps[0]} to {steps[-1]}")
    return told
