"""The thresholds of SodaCL: bounds that must hold, and how many rows may fail by them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from quality.rulefile.dqdl.losses import Lost

_SIGNS = {
    "<": "below",
    "<=": "at_most",
    ">": "above",
    ">=": "at_least",
    "=": "equals",
    "!=": "not_equals",
    "<>": "not_equals",
}
_OPPOSITE = {
    "below": "at_least", "at_least": "below", "above": "at_most", "at_most": "above", "equals": "not_equals",
    "not_equals": "equals",
}  # fmt: skip
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_LIMIT = rf"(?:(?:\d+[dhm])+(?!\w)|{_NUMBER})"
_COMPARED = re.compile(rf"(<=|>=|<>|!=|<|>|=)\s*({_LIMIT})\s*(?:%|percent)?")
_BETWEEN = re.compile(
    rf"(not\s+)?between\s+([\[(])?\s*({_LIMIT})\s*%?\s+and\s+({_LIMIT})\s*%?\s*([\])])?", re.IGNORECASE
)


@dataclass(frozen=True)
class Threshold:
    """Bounds that must hold; `outside` says that they must not hold together."""

    bounds: Mapping[str, Any]
    outside: bool = False

    def words(self) -> Mapping[str, Any]:
        """The bounds as words of a rule. Raises Lost."""
        if self.outside and len(self.bounds) > 1:
            raise Lost("only a number can lie outside of a range")
        return {_OPPOSITE[word]: value for word, value in self.bounds.items()} if self.outside else self.bounds


def threshold(text: str) -> Threshold:
    """`> 5`, `<= 2 %`, `between 1 and 5`, `not between (1 and 5]`. Raises Lost."""
    compared = _COMPARED.fullmatch(text.strip())
    if compared:
        return Threshold({_SIGNS[compared[1]]: _limit(compared[2])})
    between = _BETWEEN.fullmatch(text.strip())
    if between is None:
        raise Lost(f"its threshold '{text}' has no form yet")
    low, high = "above" if between[2] == "(" else "at_least", "below" if between[5] == ")" else "at_most"
    return Threshold({low: _limit(between[3]), high: _limit(between[4])}, outside=bool(between[1]))


def _limit(text: str) -> Any:
    parts = re.findall(r"(\d+)([dhm])", text)
    if parts:
        units = {"d": "days", "h": "hours", "m": "minutes"}
        return sum((timedelta(**{units[unit]: int(count)}) for count, unit in parts), timedelta())
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else Decimal(text)


def most(limit: Threshold, *, percent: bool) -> tuple[str, str] | None:
    """The tolerance, '' for none, when the threshold is how many rows may fail, and what differs; None when it is not."""
    words = dict(limit.words())
    if words.get("at_least") == 0 and len(words) > 1:
        del words["at_least"]
    if len(words) != 1 or any(isinstance(value, (str, timedelta)) for value in words.values()):
        return None
    ((word, value),) = words.items()
    if word not in ("at_most", "below", "equals") or (word == "equals" and value != 0) or value < 0:
        return None
    if word == "below" and value == 0:
        return None
    if percent:
        return f"{value}%" if value else "", f"a share of exactly {value} % passes here" if word == "below" else ""
    rows = math.ceil(value) - 1 if word == "below" else math.floor(value)
    return f"{rows} row{'s' if rows > 1 else ''}" if rows else "", ""


def tolerance(allowed: tuple[str, str] | None) -> dict[str, Any]:
    """What stands beside a rule that allows so much, as `most` tells it. Raises Lost."""
    if allowed is None:
        raise Lost("only how many rows may fail has a form")
    return {"tolerance": allowed[0]} if allowed[0] else {}
