"""`python -m data_prep synthetic`: plane geometry with exact answers; the numbers are in the picture only."""

from data_prep.synthetic.command import add_arguments, run

__all__ = ["add_arguments", "run"]
