"""Expected ends of a process: each prints one line without a traceback and has an exit code."""

from __future__ import annotations


class RunEnd(Exception):
    """A one-line message and an exit code."""

    exit_code: int = 1

    def __init__(self, message: str) -> None:
        # It may quote a multi-line error of a library or of user code.
        super().__init__(" ".join(message.split()))


class UserError(RunEnd):
    """Bad arguments, config or data; the message says what, where and how to fix it."""

    exit_code = 2


class RunFailed(RunEnd):
    """A valid run that cannot continue: a lost rank, non-finite numbers, or out of memory."""

    exit_code = 1


class Stopped(RunEnd):
    """A signal ended the run; everything needed to resume is saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum
        self.exit_code = 128 + signum  # the shell's convention: 143 for SIGTERM, 130 for SIGINT

    def __reduce__(self) -> tuple[type[Stopped], tuple[int]]:
        return Stopped, (self.signum,)  # pickled between ranks


def describe_out_of_memory(rank: int, error: Exception) -> str:
    """The first part of an error message: which rank is out of memory."""
    return f"rank {rank} is out of memory ({str(error).partition('. ')[0]})"


def out_of_memory_failure(rank: int, error: Exception) -> RunFailed:
    """The error if a rollout or an optimizer step, which cannot be split automatically, is out of memory."""
    return RunFailed(
        f"{describe_out_of_memory(rank, error)}: lower rollout.slots, set rollout.offload_states=true or "
        "deepspeed.config=configs/zero3_offload.json; see docs/troubleshooting.md"
    )
