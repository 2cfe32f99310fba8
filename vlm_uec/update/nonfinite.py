"""Updates with non-finite numbers: each is reported, and too many in a row end the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vlm_uec.errors import RunFailed
from vlm_uec.escape import escape
from vlm_uec.update.learner import UpdateStats

_NAMED = 8  # problems, in a line


class UpdateGuard:
    """Counts skipped updates in a row."""

    def __init__(self, limit: int, consecutive: int = 0) -> None:
        """`consecutive`: those just before, of a run that goes on from a checkpoint."""
        self.limit, self.consecutive = limit, consecutive

    def check(self, step: int, updates: Sequence[UpdateStats], say: Callable[[str], None]) -> None:
        """Takes a step's updates in order; raises `RunFailed` at the limit."""
        for update in updates:
            if not update.skipped:
                self.consecutive = 0
                continue
            self.consecutive += 1
            say(
                f"step {step}: an update was skipped, its loss or gradient was not finite "
                f"({self.consecutive} in a row); problems in it: {_names(update.suspects)}"
            )
            if self.consecutive >= self.limit:
                raise RunFailed(
                    f"{self.consecutive} updates in a row were not finite (guard.bad_updates): look at the "
                    "problems told above, or resume from a checkpoint with a lower optim.lr"
                )


def _names(suspects: Sequence[str]) -> str:
    more = len(suspects) - _NAMED
    return ", ".join(escape(name, 60) for name in suspects[:_NAMED]) + (
        f" and {more} more" if more > 0 else ""
    )
