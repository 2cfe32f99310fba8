"""The one error that means "mend your input": bad arguments, config or data."""


class UserError(Exception):
    """Shown as one line (what, where, how to mend) and exit code 2; never with a traceback."""

    def __init__(self, message: str) -> None:
        # It may quote a library or a user's own code, which say more than a line.
        super().__init__(" ".join(message.split()))
