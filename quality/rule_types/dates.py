"""Dates and times against the time of the run, or against a moment that stands in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from quality.analyzers import TEMPORAL, Analyzer, Maximum, base_type
from quality.errors import RuleDataError
from quality.model import Bounds
from quality.rule_types.args import COLUMN, DURATION, Kind, arg, duration_text, parse_text, shown
from quality.rule_types.base import MetricRule, Row, RowRule, RuleType, parse_moment

_END = "end of "
_RULE = TypeVar("_RULE", bound=RuleType)


def parse_as_of(value: object) -> str:
    """A date, a time, or `end of` a date: the midnight after it."""
    text = parse_text(value).strip()
    try:
        moment = parse_moment(text.removeprefix(_END))
    except ValueError:
        raise ValueError(f"must be YYYY-MM-DD[ HH:MM:SS] or 'end of YYYY-MM-DD', got {shown(value)}") from None
    if text.startswith(_END) and isinstance(moment, datetime):
        raise ValueError(f"'end of' goes with a date, got {shown(value)}")
    return text


AS_OF = Kind(parse_as_of, {"type": "string"})
AS_OF_DOC = "the moment that stands for now: a date, a time or 'end of' a date; without it the time of the run"


def _read(as_of: str) -> datetime:
    """The moment, without a zone where it says none."""
    moment = parse_moment(as_of.removeprefix(_END))
    if isinstance(moment, datetime):
        return moment
    return datetime(moment.year, moment.month, moment.day) + timedelta(days=as_of.startswith(_END))


def moment_of(as_of: str, zone: str) -> datetime:
    """The moment, in `zone` where it says no zone itself."""
    moment = _read(as_of)
    return moment.astimezone(ZoneInfo(zone)) if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))


def at_run_time(rule: _RULE, run_time: str) -> _RULE:
    """The rule as of the run, unless it says a moment."""
    return rule if rule.as_of else replace(rule, as_of=run_time)  # type: ignore[attr-defined,type-var]


def _beside(row: Row, column: str, moment: datetime) -> str:
    """The moment as text that fits beside the column: for a date the day it is, where the batch is from."""
    kind = base_type(row.type(column))
    if kind not in TEMPORAL:
        raise RuleDataError(
            f"column '{column}' is {row.type(column)}, not a date or time; give it a type under 'columns:', "
            f"such as '{column}: {{type: timestamp}}'"
        )
    if kind == "date":
        return moment.date().isoformat()
    return (moment.replace(tzinfo=None) if kind == "timestamp_ntz" else moment).isoformat(sep=" ")


@dataclass(frozen=True)
class NotFuture(RowRule):
    """No date or time lies after now. For a date, today is the day in `input.timezone`."""

    column: str = arg(COLUMN, "the column, of type date or timestamp")
    grace: timedelta = arg(DURATION, "how far after now a value may lie, for clocks that differ", timedelta())
    as_of: str = arg(AS_OF, AS_OF_DOC, "")

    type = "not_future"
    example = "not_future: {column: booked_at, grace: 5 minutes}"

    def at(self, run_time: str) -> RuleType:
        """Now is the time of the run."""
        return at_run_time(self, run_time)

    def predicate(self, row: Row) -> str:
        """At most now and the grace."""
        return row.compare(
            self.column, "<=", _beside(row, self.column, moment_of(self.as_of, row.timezone) + self.grace)
        )

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must not lie in the future"


@dataclass(frozen=True)
class WithinLast(RowRule):
    """Every date or time lies in a window that ends now, both ends included: neither older than `duration` nor in the
    future. For a date, today is the day in `input.timezone`."""

    column: str = arg(COLUMN, "the column, of type date or timestamp")
    duration: timedelta = arg(DURATION, "the length of the window: 36 hours, 3 days")
    as_of: str = arg(AS_OF, AS_OF_DOC, "")

    type = "within_last"
    main = "duration"
    example = "within_last: {column: updated_at, duration: 90 days}"

    def at(self, run_time: str) -> RuleType:
        """Now is the time of the run."""
        return at_run_time(self, run_time)

    def predicate(self, row: Row) -> str:
        """Between the two ends."""
        now = moment_of(self.as_of, row.timezone)
        low, high = (_beside(row, self.column, moment) for moment in (now - self.duration, now))
        return f"({row.compare(self.column, '>=', low)}) and ({row.compare(self.column, '<=', high)})"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must lie within the last {duration_text(self.duration)}"


@dataclass(frozen=True)
class Freshness(MetricRule):
    """The newest value of a column is not older than a length of time, counted back from now. NULL is left out; for a date
    the day counts, not the hour. A newest value in the future is fresh: see `not_future`."""

    column: str = arg(COLUMN, "the column, of type date or timestamp")
    at_most: timedelta = arg(DURATION, "how old the newest value may be: 36 hours, 3 days")
    as_of: str = arg(AS_OF, AS_OF_DOC, "")

    type = "freshness"
    example = "freshness: {column: updated_at, at_most: 36 hours}"

    @property
    def bounds(self) -> Bounds:  # type: ignore[override]
        """The oldest moment that is fresh: in the zone it says itself, else in that of the input."""
        if not self.as_of:
            return Bounds()
        return Bounds((("at_least", (_read(self.as_of) - self.at_most).isoformat(sep=" ")),))

    def at(self, run_time: str) -> RuleType:
        """Now is the time of the run."""
        return at_run_time(self, run_time)

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Maximum, of dates and times."""
        return Maximum((self.column,), where)

    def requirement(self) -> str:
        """As the result says it."""
        return f"must not be older than {duration_text(self.at_most)}"
