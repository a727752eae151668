"""What kind of value an operand is, and whether functions of the history are called as they can be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from quality.errors import did_you_mean
from quality.rulefile.dqdl.signatures import AGGREGATES, DURATIONS, FUNCTIONS, SIZES
from quality.rulefile.dqdl.tree import (
    Call,
    Constant,
    Expression,
    Negative,
    Number,
    Operation,
    Quantity,
    Text,
    Variable,
)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"(?:(?:0?[1-9]|1[0-2]):[0-5][0-9] ?[AaPp][Mm]|(?:[01]?[0-9]|2[0-3]):[0-5][0-9])")


class KindError(ValueError):
    """An operand that means nothing; the message says why."""


def is_date(text: str) -> bool:
    """Whether a text is a date, yyyy-MM-dd."""
    try:
        return bool(_DATE.fullmatch(text)) and date.fromisoformat(text) is not None
    except ValueError:
        return False


def is_time(text: str) -> bool:
    """Whether a text is a time of day: `9:30 AM` or `21:45`."""
    return _TIME.fullmatch(text) is not None


def kind(value: Expression) -> str:
    """number, text, date (dates and now() too), time, duration, size, or constant. A variable without a value is
    whatever is wanted: empty. Raises KindError."""
    if isinstance(value, Number):
        return "number"
    if isinstance(value, Text):
        return "date" if is_date(value.value) else "time" if is_time(value.value) else "text"
    if isinstance(value, Constant):
        return "constant"
    if isinstance(value, Variable):
        return ""
    if isinstance(value, Quantity):
        return _unit(value)
    if isinstance(value, Call):
        return _call(value)
    if isinstance(value, Negative):
        return _need_number(kind(value.operand), "-")
    if isinstance(value, Operation):
        return _operation(value)
    raise KindError(f"has '{value.text}' without quotes; a text stands in double quotes")


def _unit(value: Quantity) -> str:
    if value.unit not in (*DURATIONS, *SIZES):
        raise KindError(
            f"does not know the unit '{value.unit}'; {did_you_mean(value.unit, (*DURATIONS, *SIZES), 'units')}"
        )
    return "duration" if value.unit in DURATIONS else "size"


def _need_number(found: str, sign: str) -> str:
    if found not in ("number", ""):
        raise KindError(f"has '{sign}' with a {found}; it goes with numbers")
    return "number"


def _operation(value: Operation) -> str:
    left, right = kind(value.left), kind(value.right)
    if left == "date" and right == "duration" and value.sign in ("+", "-"):
        if not isinstance(value.left, Text):
            return "date"
        raise KindError("moves a date in quotes; only now() can be moved by a duration")
    for found in (left, right):
        _need_number(found, value.sign)
    return "number"


def _call(value: Call) -> str:
    if value.name not in FUNCTIONS:
        raise KindError(
            f"does not know the function '{value.name}'; {did_you_mean(value.name, FUNCTIONS, 'functions')}"
        )
    if value.name == "now":
        if value.arguments:
            raise KindError("has now() with something in its parentheses; it takes nothing")
        return "date"
    for argument in value.arguments:
        _need_number(kind(argument), f"{value.name}()")
    _count_arguments(value)
    return "number"


def _count_arguments(value: Call) -> None:
    least, most = {"last": (0, 1), "index": (2, 2), "percentile": (2, 2)}.get(value.name, (1, 1))
    if not least <= len(value.arguments) <= most:
        wanted = {(0, 1): "none or one value", (2, 2): "two values"}.get((least, most), "one value")
        raise KindError(f"has {value.name}() with {len(value.arguments)} in its parentheses; it takes {wanted}")
    if value.name == "last" and value.arguments:
        asked = value.arguments[0]
        if not isinstance(asked, Number) or not re.fullmatch(r"[1-9][0-9]*", asked.text):
            raise KindError("has last() with what is no whole number from 1 on")


def calls(value: Expression) -> Iterator[Call]:
    """Every call in an operand."""
    if isinstance(value, Call):
        yield value
        for argument in value.arguments:
            yield from calls(argument)
    elif isinstance(value, Operation):
        yield from calls(value.left)
        yield from calls(value.right)
    elif isinstance(value, Negative):
        yield from calls(value.operand)


def uses_history(value: Expression) -> bool:
    """Whether an operand asks what earlier batches were like."""
    return any(call.name != "now" for call in calls(value))


def unreduced(value: Expression, reduced: bool = False) -> Call | None:
    """A call `last(k)` of several values that nothing makes one value of."""
    if isinstance(value, Call):
        if value.name == "last":
            asked = value.arguments[0] if value.arguments else None
            return value if isinstance(asked, Number) and asked.text != "1" and not reduced else None
        inside = reduced or value.name in AGGREGATES
        return next((found for entry in value.arguments if (found := unreduced(entry, inside))), None)
    if isinstance(value, Operation):
        return unreduced(value.left, reduced) or unreduced(value.right, reduced)
    return unreduced(value.operand, reduced) if isinstance(value, Negative) else None
