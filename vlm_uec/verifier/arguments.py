"""Arguments of `verify` as callers hold them: text, Python's and numpy's numbers, lists and arrays, None.

numpy is not imported: its scalars and arrays are recognised by their methods.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from itertools import islice
from numbers import Number
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.verifier.arithmetic import MAX_DECIMALS

MAX_LISTED = 1000  # choices, or items of a truth
MAX_PLAIN_EXPONENT = 400  # a number beyond it keeps its exponent, as its digits could fill the memory


class InvalidArgument(UserError, ValueError):
    """An argument of `verify` that has no meaning; the message says what to give instead."""


def text_of(value: object) -> str | None:
    """A response or a truth as text: numbers in full, a list in brackets; None if it has none."""
    if isinstance(value, str):
        return str.__str__(value)
    try:
        return _text_of_data(value)
    except Exception:  # the methods of any class can raise anything
        return None


def texts_of(values: object) -> tuple[str, ...]:
    """The choices as texts, in order; a value that is no collection is the only choice.

    A mapping from letters to choices has its values. An item that is neither text nor a number stays, as "".
    """
    try:
        return tuple(item if type(item) is str else text_of(item) or "" for item in _items(values))
    except Exception:
        return ()


def decimals_of(value: object) -> int | None:
    """A precision as a number of decimals from 0 to 30, or None.

    Integral floats count, because JSON and Parquet files have them: 1.0 is 1. Numbers outside the range
    become the nearest inside. Raises InvalidArgument for anything else.
    """
    if value is None:
        return None
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except Exception:
        number = _integer_of(value)
    return min(max(number, 0), MAX_DECIMALS)


def number_text(value: object) -> str | None:
    """The shortest decimal text of a finite number: 3.0 is 3, and 1e-07 is 0.0000001; None for any other."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:  # a fraction or a complex number
        return str(value)
    if not number.is_finite():
        return None
    if abs(number.adjusted()) > MAX_PLAIN_EXPONENT:
        return str(number)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text_of_data(value: Any) -> str | None:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Number):  # numpy registers its numbers; their own text has only significant digits
        return number_text(value)
    if hasattr(value, "tolist"):
        return text_of(value.tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(text_of(item) or '' for item in value[:MAX_LISTED])}]"
    return None


def _items(values: Any) -> Iterable[object]:
    if isinstance(values, tuple | list):
        return values[:MAX_LISTED]
    if values is None:
        return ()
    if isinstance(values, Mapping):
        values = values.values()
    is_single = isinstance(values, str | bytes) or not hasattr(values, "__iter__")
    return (values,) if is_single else tuple(islice(values, MAX_LISTED))


def _integer_of(value: Any) -> int:
    try:
        is_scalar = not isinstance(value, str | bytes) and getattr(value, "ndim", None) in (None, 0)
        number = float(value) if is_scalar else None
    except Exception:
        number = None
    if number is None or not number.is_integer():
        raise InvalidArgument(f"precision {_shown(value)}: give a whole number of decimals, or None")
    return int(number)


def _shown(value: object) -> str:
    try:
        return escape(repr(value))
    except Exception:
        return f"of type {type(value).__name__}"
