"""Columns whose values nobody is to read in a reason, report, log or history.

*Mask* puts `***` in the place of a value. *Hash* puts `hmac:` and 32 hex digits of HMAC-SHA256 (RFC 2104) there, so that equal
values stay equal; its key is the environment variable QUALITY_SENSITIVE_KEY, and without one values are masked. NULL stays
NULL. The rows themselves keep their values on every side: a quarantined row must be repairable.

What holds a value of a column: its extremes and quantiles, its frequent values, its bins. Counts, shares, lengths, shapes and
registers of distinct values hold none; a mean, a sum or a deviation holds one when it is of fewer than `FEW` values.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from quality.errors import did_you_mean
from quality.model import Metric, Word
from quality.sql import literal

MASKED = "***"
HASHED = "hmac:"
KEY_VARIABLE = "QUALITY_SENSITIVE_KEY"
#: So few values that a mean tells them.
FEW = 5
_BLOCK = 64
#: Metrics that are values of their column, and those that are when there are few.
_VALUES = frozenset(
    {
        "Minimum",
        "Maximum",
        "Range",
        "InterquartileRange",
        "ApproxQuantile",
        "ExactQuantile",
        "ApproxQuantiles",
        "AggregateMatch",
    }
)
_SUMS = frozenset({"Mean", "Sum", "StandardDeviation", "Variance", "RatioOfSums"})


class Hiding(Word):
    """What stands in the place of a value."""

    MASK = "mask"
    HASH = "hash"


@dataclass(frozen=True)
class Sensitive:
    """The sensitive columns of a data set, by name, and how their values are hidden. Names compare without case. A column is
    sensitive as a whole when a field of it is."""

    columns: tuple[tuple[str, Hiding], ...] = ()

    @classmethod
    def of(cls, columns: Mapping[str, str]) -> Sensitive:
        """As a commit record has them."""
        return cls(tuple((name, Hiding(how)) for name, how in columns.items()))

    def to_dict(self) -> dict[str, str]:
        """As a commit record has them."""
        return {name: str(how) for name, how in self.columns}

    def __bool__(self) -> bool:
        return bool(self.columns)

    def __or__(self, other: Sensitive) -> Sensitive:
        """Both together; where they differ values are masked."""
        merged = {name.lower(): (name, how) for name, how in self.columns}
        for name, how in other.columns:
            known = merged.get(name.lower())
            merged[name.lower()] = (name, how if known is None or known[1] == how else Hiding.MASK)
        return Sensitive(tuple(merged.values()))

    def how(self, name: str) -> Hiding | None:
        """How the values of a column, or of a part of one (`a.b`, `a[]`), are hidden; None when they are not."""
        own = name.lower()
        for sensitive, how in self.columns:
            known = sensitive.lower()
            if own == known or _part_of(own, known) or _part_of(known, own):
                return how if how == Hiding.MASK or key() else Hiding.MASK
        return None

    def any_how(self) -> Hiding | None:
        """How a text is hidden that may hold the values of all columns."""
        return Hiding.MASK if self.columns else None

    def missing(self, names: Iterable[str]) -> list[str]:
        """The sensitive columns that are none of these: a misspelt one hides nothing."""
        known = {name.lower() for name in names}
        return [name for name, _ in self.columns if not {name.lower(), name.lower().partition(".")[0]} & known]

    def warnings(self, file: str, names: Sequence[str]) -> list[str]:
        """What is to be told of misspelt columns of a rule file."""
        return [
            f"{file}: column '{name}' is sensitive, and is not in the data; {did_you_mean(name, names)}"
            for name in self.missing(names)
        ]


def _part_of(name: str, whole: str) -> bool:
    """Whether a path leads into a column. A name in backquotes is the same without."""
    return name.replace("`", "").startswith((f"{whole}.", f"{whole}["))


NOTHING = Sensitive()


def key() -> bytes:
    """The key of hashes; empty when there is none."""
    return os.environ.get(KEY_VARIABLE, "").encode()


def hidden(value: str | None, how: Hiding) -> str | None:
    """What stands in the place of a text."""
    if value is None or how == Hiding.MASK or not key():
        return None if value is None else MASKED
    return HASHED + hmac.new(key(), value.encode(), hashlib.sha256).hexdigest()[:32]


def is_hidden(text: Any) -> bool:
    """Whether a text stands in the place of a value."""
    return isinstance(text, str) and (text == MASKED or text.startswith(HASHED))


def pads() -> tuple[bytes, bytes]:
    """The key as HMAC mixes it into its two hashes: for `hidden_sql`."""
    own = key() if len(key()) <= _BLOCK else hashlib.sha256(key()).digest()
    padded = own.ljust(_BLOCK, b"\0")
    return bytes(b ^ 0x36 for b in padded), bytes(b ^ 0x5C for b in padded)


def hidden_sql(text: str, how: Hiding, inner: str, outer: str) -> str:
    """SQL: what stands in the place of a text; `inner` and `outer` are columns that hold `pads`. They are columns, not
    literals: a plan is shown and logged, and the key must not be."""
    if how == Hiding.MASK:
        return f"if(({text}) is null, null, {literal(MASKED)})"
    first = f"unhex(sha2(concat({inner}, encode({text}, 'UTF-8')), 256))"
    return f"concat({literal(HASHED)}, left(sha2(concat({outer}, {first}), 256), 32))"


# metrics


def tells(metric: Metric, columns: Iterable[str], sensitive: Sensitive, values: int) -> bool:
    """Whether a metric over so many values of these columns is, or gives away, a value of a sensitive one."""
    name = metric.key.name
    telling = name in _VALUES or (name in _SUMS and values < FEW)
    return telling and any(sensitive.how(column) for column in columns)


def is_value(name: str) -> bool:
    """Whether a metric of this name is a value of its column."""
    return name in _VALUES


def without_value(metric: Metric) -> Metric:
    """The metric with `***` for its value."""
    return replace(metric, value=None, exact=MASKED, numerator=None, denominator=None, sketch=None)


# messages

_WITHHELD: ContextVar[bool] = ContextVar("withheld", default=False)


@contextmanager
def withholding(sensitive: Sensitive) -> Iterator[None]:
    """What Spark says of a failure while it ran may quote a value: within, `withheld` is true if there are such columns."""
    token = _WITHHELD.set(bool(sensitive))
    try:
        yield
    finally:
        _WITHHELD.reset(token)


def withheld() -> bool:
    """Whether a message that may quote a value must not be told."""
    return _WITHHELD.get()
