"""`python -m data_prep inspect DIR`: statistics of a data set, and a page with its pictures."""

from data_prep.inspect.command import add_arguments, run

__all__ = ["add_arguments", "run"]
