"""The one error that means "mend your input": bad arguments, config or data."""


class UserError(Exception):
    """Shown as one line (what, where, how to mend) and exit code 2; never with a traceback."""
