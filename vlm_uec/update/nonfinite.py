"""Reports updates with non-finite numbers; too many consecutive ones end the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vlm_uec.errors import RunFailed
from vlm_uec.escape import escape
from vlm_uec.update.learner import UpdateStats

_MAX_LISTED = 8  # problems listed in a message


class UpdateGuard:
    """Counts consecutive skipped updates."""

    def __init__(self, limit: int, consecutive: int = 0) -> None:
        """`consecutive`: the count saved in the checkpoint of a resumed run."""
        self.limit, self.consecutive = limit, consecutive

    def check(self, step: int, updates: Sequence[UpdateStats], report: Callable[[str], None]) -> None:
        """Checks a step's updates in order; raises `RunFailed` at the limit."""
        for update in updates:
            if not update.skipped:
                self.consecutive = 0
                continue
            self.consecutive += 1
            report(
                f"step {step}: an update was skipped because its loss or gradient was not finite "
                f"({self.consecutive} in a row); its problems: {_list_names(update.suspects)}"
            )
            if self.consecutive >= self.limit:
                raise RunFailed(
                    f"{self.consecutive} updates in a row were not finite (guard.bad_updates): check the "
                    "problems listed above, or resume from a checkpoint with a lower optim.lr"
                )


def _list_names(suspects: Sequence[str]) -> str:
    more = len(suspects) - _MAX_LISTED
    return ", ".join(escape(name, 60) for name in suspects[:_MAX_LISTED]) + (
        f" and {more} more" if more > 0 else ""
    )
