"""Operands as numbers, SQL and bounds of ours. What depends on earlier batches is a formula where a metric is bounded, and
Lost elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Union

from quality import sql
from quality.rulefile.dqdl.kinds import calls, uses_history
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.past import formula
from quality.rulefile.dqdl.tree import (
    Between,
    Call,
    Comparison,
    Condition,
    Constant,
    Expression,
    Membership,
    Negative,
    Number,
    Operation,
    Quantity,
    Tag,
    Text,
)

Value = Union[str, int, float, Decimal]

#: The comparison words of rule files.
WORDS = {"=": "equals", "!=": "not_equals", ">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}
#: The time of the run, as the engine gives it to templates.
NOW = "timestamp'{{ run_time }}'"
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


def operands(condition: Condition) -> tuple[Expression, ...]:
    """The operands of a condition, none for a pattern."""
    if isinstance(condition, Comparison):
        return (condition.operand,)
    if isinstance(condition, Between):
        return condition.low, condition.high
    return condition.values if isinstance(condition, Membership) and isinstance(condition.values, tuple) else ()


def uses_now(condition: Condition) -> bool:
    """Whether the clock is in it."""
    return any(call.name == "now" for value in operands(condition) for call in calls(value))


def number(value: Expression) -> int | float | Decimal:
    """The value of an operand; exact, but for a division that does not come out even. Raises Lost."""
    exact = _fraction(value)
    if exact.denominator == 1:
        return int(exact)
    with localcontext() as context:
        context.prec = 1000
        decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return decimal if Fraction(decimal) == exact else float(exact)


def _fraction(value: Expression) -> Fraction:
    if isinstance(value, Number):
        return Fraction(value.value)
    if isinstance(value, Negative):
        return -_fraction(value.operand)
    if isinstance(value, Operation):
        left, right = _fraction(value.left), _fraction(value.right)
        if value.sign == "/" and not right:
            raise Lost("it divides by zero")
        results = {"+": left + right, "-": left - right, "*": left * right}
        return left / right if value.sign == "/" else results[value.sign]
    if uses_history(value):
        raise Lost("only bounds of a metric can come from earlier batches")
    if isinstance(value, Constant):
        raise Lost(f"a number is never {value.name}")
    raise Lost("it is not compared with a number")


def scalar(value: Expression) -> Value:
    """A text or a number as a rule file has it; EMPTY is the empty text. Raises Lost."""
    if isinstance(value, Text):
        return value.value
    if isinstance(value, Constant) and value.name == "EMPTY":
        return ""
    return number(value)


def literal(value: Expression) -> str:
    """An operand as Spark SQL. A number has a decimal point: beside a whole number Spark would cut the fraction of a
    text column. Raises Lost."""
    found = moment(value) if uses_now(Comparison("=", value)) else scalar(value)
    if isinstance(value, (Call, Operation)) and isinstance(found, str):
        return found
    if isinstance(found, str):
        return sql.literal(found)
    text = f"{found:f}" if isinstance(found, Decimal) else repr(found)
    return text if isinstance(found, (Decimal, float)) else f"{text}.0"


def whole_literal(value: Expression) -> str:
    """A number as Spark SQL, to stand beside a whole number. Raises Lost."""
    found = number(value)
    return f"{found:f}" if isinstance(found, Decimal) else repr(found)


def moment(value: Expression) -> str:
    """A moment reckoned from the time of the run, as Spark SQL. Raises Lost."""
    if isinstance(value, Call) and value.name == "now":
        return NOW
    if isinstance(value, Operation) and isinstance(value.right, Quantity):
        return f"{moment(value.left)} {value.sign} {interval(value.right)}"
    if isinstance(value, Text):
        return sql.literal(value.value)
    raise Lost("it is no moment")


def interval(value: Quantity) -> str:
    """A duration as Spark SQL."""
    unit = value.unit.rstrip("s")
    if value.number.isdigit():
        return f"interval {int(value.number)} {unit}{'' if value.number == '1' else 's'}"
    return f"interval {Fraction(value.number) * _SECONDS[unit]} seconds"


def _bound(value: Expression) -> Value:
    return formula(value) if uses_history(value) else number(value)


def looks_back(condition: Condition) -> bool:
    """Whether earlier batches are in it."""
    return any(uses_history(value) for value in operands(condition))


def alternatives(condition: Condition) -> list[dict[str, Value]]:
    """Bounds of a metric of which one must hold, none where all of those that `bounds` gives must. Raises Lost."""
    if isinstance(condition, Between) and condition.negated:
        return [{"at_most": _bound(condition.low)}, {"at_least": _bound(condition.high)}]
    if isinstance(condition, Membership) and not condition.negated:
        values = list(dict.fromkeys(_bound(value) for value in operands(condition)))
        return [{"equals": value} for value in values] if len(values) > 1 else []
    return []


def bounds(condition: Condition) -> list[dict[str, Value]]:
    """Bounds of a metric; of several all must hold. `between` leaves its ends out. Raises Lost."""
    if isinstance(condition, Comparison):
        return [{WORDS[condition.sign]: _bound(condition.operand)}]
    if isinstance(condition, Between) and looks_back(condition) and not condition.negated:
        return [{"above": _bound(condition.low), "below": _bound(condition.high)}]
    if isinstance(condition, Between):
        low, high = number(condition.low), number(condition.high)
        if low >= high:
            raise Lost(f"no number lies between {low} and {high}: it can never hold")
        return [{"above": low, "below": high}]
    values = list(dict.fromkeys(_bound(value) for value in operands(condition)))
    if isinstance(condition, Membership) and condition.negated:
        return [{"not_equals": value} for value in values]
    return [{"equals": values[0]}]


def comparison(left: str, condition: Condition, literal: Callable[[Expression], str] = literal) -> str:
    """A condition on some SQL, as SQL that is NULL where that is. Raises Lost."""
    if isinstance(condition, Comparison):
        sign = "<>" if condition.sign == "!=" else condition.sign
        return f"{left} {sign} {literal(condition.operand)}"
    if isinstance(condition, Between):
        low, high = literal(condition.low), literal(condition.high)
        if condition.negated:
            return f"{left} <= {low} or {left} >= {high}"
        return f"{left} > {low} and {left} < {high}"
    negated = "not " if isinstance(condition, Membership) and condition.negated else ""
    return f"{left} {negated}in ({', '.join(literal(value) for value in operands(condition))})"


def tolerance(tag: Tag) -> str:
    """The share of rows that may fail, empty for none. Raises Lost.

    `threshold > t` is strict, a tolerance is not: the share is smaller by so little (its fifteenth digit) that the
    two agree for every batch of fewer than 10^13 rows.
    """
    condition = tag.condition
    if isinstance(condition, Between) and not condition.negated and number(condition.high) > 1:
        least, strict = number(condition.low), True
    elif isinstance(condition, Comparison) and condition.sign in (">", ">="):
        least, strict = number(condition.operand), condition.sign == ">"
    elif isinstance(condition, Comparison) and condition.sign == "=" and number(condition.operand) == 1:
        least, strict = 1, False
    else:
        raise Lost("a threshold is kept as the share of rows that may fail; it has no other bound")
    share = 1 - Decimal(repr(least) if isinstance(least, float) else least)
    if share < 0 or (strict and share == 0):
        raise Lost("no share of rows is that high: it can never hold")
    if strict and share <= 1:
        share -= Decimal(1).scaleb(share.adjusted() - 14)
    percent = f"{min(share, Decimal(1)) * 100:f}"
    return (percent.rstrip("0").rstrip(".") if "." in percent else percent) + "%" if share else ""
