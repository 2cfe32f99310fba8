"""Ends that are nobody's bug: each is told in one line, without a traceback, and has its own exit code."""

from __future__ import annotations


class RunEnd(Exception):
    """A message of one line and the exit code that goes with it."""

    exit_code: int = 1

    def __init__(self, message: str) -> None:
        # It may quote a library or a user's own code, which say more than a line.
        super().__init__(" ".join(message.split()))


class UserError(RunEnd):
    """Bad arguments, config or data: what, where, how to mend."""

    exit_code = 2


class RunFailed(RunEnd):
    """A sound run that cannot go on: a lost rank, numbers gone bad, memory that does not suffice."""

    exit_code = 1


class Stopped(RunEnd):
    """A signal asked for the end, and the run left what a resume needs."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum
        self.exit_code = 128 + signum  # the shell's: 143 for SIGTERM, 130 for SIGINT

    def __reduce__(self) -> tuple[type[Stopped], tuple[int]]:
        return Stopped, (self.signum,)  # ranks send it to each other


def out_of_memory(rank: int, error: Exception) -> str:
    """The beginning of a line: whose allocator refused."""
    return f"rank {rank} is out of memory ({str(error).partition('. ')[0]})"


def out_of_memory_failure(rank: int, error: Exception) -> RunFailed:
    """The end of a run whose work cannot be had in smaller pieces by itself: a rollout's, an optimizer's."""
    return RunFailed(
        f"{out_of_memory(rank, error)}: lower rollout.slots, set rollout.offload_states=true or take "
        "deepspeed.config=configs/zero3_offload.json; docs/troubleshooting.md knows more"
    )
