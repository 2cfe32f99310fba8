"""The alarms of a run, and the entropy band outside which they are raised."""

from __future__ import annotations

from itertools import groupby

from pydantic import ValidationError

from vlm_uec.config import GuardConfig
from vlm_uec.report.runs import RunData, number
from vlm_uec.telemetry.alarms import ENTROPY, EntropyBand, entropy_limits

_PREFIX = "alarm/"
MAX_KINDS = 8


def band_of(run: RunData) -> tuple[float, float] | None:
    """The run's entropy band in nats; None without a valid `guard` section or a full first window."""
    if not run.settings:
        return None
    try:
        guard = GuardConfig.model_validate(run.settings.get("guard", {}))
    except ValidationError:
        return None  # a config of another version; the page lists it among the settings
    band = EntropyBand(guard.entropy_low, guard.entropy_high, guard.entropy_window)
    return entropy_limits(band, [value for _, value in run.values(ENTROPY)])


def alarms_of(run: RunData) -> list[str]:
    """Lines such as `entropy_collapse at steps 12 to 20`, grouped by kind of alarm."""
    names = [name for name in run.columns if name.startswith(_PREFIX)][:MAX_KINDS]
    lines = []
    for name in names:
        for raised, rows in groupby(run.rows, key=lambda row: bool(number(row.get(name)))):
            if raised:
                steps = [row.get("step") for row in rows]
                lines.append(f"{name.removeprefix(_PREFIX)} at steps {steps[0]} to {steps[-1]}")
    return lines
