"""`python -m data_prep synthetic`: plane geometry with exact answers; the numbers are only in the picture."""

from data_prep.synthetic.command import add_arguments, run

__all__ = ["add_arguments", "run"]
