"""Metrics of the order of rows, and of periods of time: what each of them is, as data, like `quality.distributions`.

- `order`: from each row and the one before it, which takes a sort, in a pass of its own;
- `values` of periods: which minutes, hours, days, ... have rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, ClassVar

from quality.analyzers import TEMPORAL, Analyzer, base_type
from quality.distributions import OwnAnalyzer, ValuesAnalyzer
from quality.errors import RuleDataError
from quality.model import Metric

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86_400_000_000
#: Between so many periods at most, those without rows are named.
_NAMED_OF = 1_000_000
_NAMED = 3


def micros(reference: str, type_name: str) -> str:
    """SQL: a date or moment as microseconds from 1970."""
    kind = base_type(type_name)
    if kind == "date":
        return f"unix_date({reference}) * {_DAY}L"
    # the session's zone is UTC
    return f"unix_micros({reference if kind == 'timestamp' else f'cast({reference} as timestamp)'})"


def _moment(value: int, *, whole_days: bool = False) -> str:
    try:
        moment = (_EPOCH + timedelta(microseconds=value)).replace(tzinfo=None)
    except OverflowError:
        return f"{value} microseconds from 1970"
    return moment.date().isoformat() if whole_days else moment.isoformat(sep=" ")


@dataclass(frozen=True)
class OrderAnalyzer(OwnAnalyzer):
    """A metric of rows in an order: of a value `v` and the one before it, `prev`, in the order `o0`, ... and then of the value;
    in each group of `per` by itself, NULL being a group. The first column is the value's; rows in which it or the order is
    NULL are left out."""

    order: tuple[str, ...] = ()
    per: tuple[str, ...] = ()
    #: The type of the value's column.
    type: str = ""
    source: ClassVar[str] = "order"
    #: Whether equal ones in the order come by falling value.
    falls: ClassVar[bool] = False

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Order and groups."""
        return tuple((name, ",".join(of)) for name, of in (("order", self.order), ("per", self.per)) if of)

    @property
    def reads(self) -> int:
        """Without groups ranges are sampled first."""
        return 1 if self.per else 2

    @property
    def shuffles(self) -> int:
        """Without groups rows are brought into ranges, then each range together."""
        return 1 if self.per else 2

    @property
    def form(self) -> Hashable:
        """What is compared, in which order."""
        return (type(self).__name__, *self.parameters)

    def fitted(self, row: Any) -> Analyzer:
        """With the columns of the order and the groups behind that of the value, and the value's type."""
        (column,) = self.columns
        for name in (column, *self.order):
            if "map<" in row.type(name):
                raise RuleDataError(f"column '{name}' is {row.type(name)}, which has no order")
        return replace(self, columns=(column, *self.order, *self.per), type=row.type(column))

    def check_type(self, column: str, type_name: str) -> None:
        """Only the value has to be of some type."""
        if column == self.columns[0]:
            super().check_type(column, type_name)

    def purpose(self) -> str:
        """As a plan says it."""
        within = f" within {', '.join(self.per)}" if self.per else ""
        return f"comparing each {self.columns[0]} with the one before it{within}"

    @property
    def key(self) -> Any:
        """About the value's column alone."""
        return replace(super().key, entity="Column", instance=self.columns[0])

    def value(self, reference: str) -> str:
        """SQL of what is compared."""
        return reference

    def paired(self) -> str:
        """SQL of an aggregate over `prev` (NULL where there is none) and `v`."""
        raise NotImplementedError

    def together(self, found: Sequence[Any]) -> Metric:
        """The metric of what was found in several parts of the rows, and between them; the first of them counted the rows."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaxGap(OrderAnalyzer):
    """The longest time between two moments that follow each other, in seconds; 0 where there is one moment."""

    types: ClassVar[tuple[str, ...]] = TEMPORAL

    def value(self, reference: str) -> str:
        """As microseconds."""
        return micros(reference, self.type)

    def paired(self) -> str:
        """The gap and its ends."""
        return "struct(count(v) as n, max(if(prev is not null, struct(v - prev as gap, prev, v), null)) as most)"

    def together(self, found: Sequence[Any]) -> Metric:
        """The longest of all."""
        gaps = [tuple(part["most"]) for part in found if part["most"]]
        if not gaps:
            return Metric(self.key, 0.0 if any(part["n"] for part in found) else None)
        gap, start, end = max(gaps)
        ends = (_moment(value, whole_days=base_type(self.type) == "date") for value in (start, end))
        return Metric(
            self.key, gap / 1e6, detail=f"nothing for {timedelta(microseconds=gap)}, from {' to '.join(ends)}"
        )


@dataclass(frozen=True)
class _OrderViolations(OrderAnalyzer):
    """Rows whose value breaks the order: it is not `sign` the one before it."""

    strict: bool = False
    sign: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """One metric."""
        return "OrderViolations"

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The direction too."""
        direction = ("strictly " if self.strict else "") + ("decreasing" if self.falls else "increasing")
        return (*super().parameters, ("direction", direction))

    def paired(self) -> str:
        """How many break it, and one of them."""
        broken = f"prev is not null and not (v {self.sign}{'' if self.strict else '='} prev)"
        one = "struct(cast(o0 as string) as at, cast(prev as string) as prev, cast(v as string) as v)"
        return f"struct(count(v) as n, count_if({broken}) as broken, min(if({broken}, {one}, null)) as one)"

    def together(self, found: Sequence[Any]) -> Metric:
        """All of them."""
        if not any(part["n"] for part in found):
            return Metric(self.key, None)
        broken = sum(part["broken"] for part in found)
        one = next((part["one"] for part in found if part["one"]), None)
        rows = "row breaks" if broken == 1 else "rows break"
        such = f", such as '{one['v']}' after '{one['prev']}' at {self.order[0]} '{one['at']}'" if one else ""
        return Metric(self.key, broken, detail=f"{broken:,} {rows} the order{such}")


class Rising(_OrderViolations):
    """Rows whose value is less than the one before; `strict`: or equal."""

    sign = ">"


class Falling(_OrderViolations):
    """Rows whose value is more than the one before; `strict`: or equal."""

    sign = "<"
    falls = True


# periods

#: A moment, in the zone given where it says none itself.
Moment = Callable[[str], datetime]
PERIODS = ("minute", "hour", "day", "week", "month")
_LENGTHS = {"minute": 60_000_000, "hour": 3_600_000_000}


def period(moment: datetime, every: str) -> int:
    """The number of the period that a moment lies in: minutes and hours from 1970 UTC; days, weeks from Monday and months by the
    calendar of the moment's zone."""
    if every in _LENGTHS:
        return (moment - _EPOCH) // timedelta(microseconds=_LENGTHS[every])
    days = moment.date().toordinal() - date(1970, 1, 1).toordinal()
    return {"day": days, "week": (days + 3) // 7, "month": moment.year * 12 + moment.month - 1}[every]


def period_text(number: int, every: str) -> str:
    """A period by its beginning."""
    if every in _LENGTHS:
        return _moment(number * _LENGTHS[every])
    if every == "month":
        return f"{number // 12:04d}-{number % 12 + 1:02d}"
    return _moment((number if every == "day" else number * 7 - 3) * _DAY, whole_days=True)


@dataclass(frozen=True)
class MissingPeriods(ValuesAnalyzer):
    """Periods without a row, from the one of `start` to the one before `end`; by themselves the first and the last that have
    rows. Days and longer ones are those of `zone`."""

    every: str = "day"
    start: Moment | None = None
    end: Moment | None = None
    zone: str = "UTC"
    type: str = ""
    types: ClassVar[tuple[str, ...]] = TEMPORAL

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The period: the window differs from batch to batch."""
        return (("every", self.every),)

    @property
    def form(self) -> Hashable:
        """Periods, not the moments themselves."""
        return ("periods", self.every)

    def purpose(self) -> str:
        """As a plan says it."""
        return f"counting every {self.every} of {self.columns[0]}"

    def fitted(self, row: Any) -> Analyzer:
        """With the type of the column and the zone of the input, which is that of moments without one. Raises RuleDataError for hours of dates."""
        kind = row.type(self.columns[0])
        if base_type(kind) == "date" and self.every in _LENGTHS:
            raise RuleDataError(f"column '{self.columns[0]}' is a date, which has no {self.every}")
        return replace(self, type=kind, zone=row.timezone)

    @property
    def first(self) -> int | None:
        """The number of the first period, where the beginning is said."""
        return period(self._local(self.start), self.every) if self.start else None

    @property
    def last(self) -> int | None:
        """The number of the last period, where the end is said."""
        return period(self._local(self.end) - timedelta(microseconds=1), self.every) if self.end else None

    def _local(self, moment: Moment) -> datetime:
        found = moment(self.zone)
        # beside moments without a zone it is what the clock shows
        return found if base_type(self.type) == "timestamp" else found.replace(tzinfo=timezone.utc)

    def counted(self, references: Sequence[str]) -> tuple[str, ...]:
        """SQL of the number of the period."""
        (reference,) = references
        kind = base_type(self.type)
        if self.every in _LENGTHS:
            moment, length = micros(reference, self.type), _LENGTHS[self.every]
            # whole numbers: a double is not exact beyond the year 2255
            return (f"({moment} - pmod({moment}, {length}L)) div {length}L",)
        # a moment without a zone is local already
        local = f"from_utc_timestamp({reference}, '{self.zone}')" if kind == "timestamp" else reference
        days = f"unix_date(cast({local} as date))"
        month = f"year({local}) * 12L + month({local}) - 1"
        return (f"cast({ {'day': days, 'week': f'floor(({days} + 3) / 7)', 'month': month}[self.every] } as bigint)",)

    def grouped(self) -> str:
        """The ends, how many periods between them have rows, and the first that have none."""
        low = f"{self.first}L" if self.start else "min(k0)"
        high = f"{self.last}L" if self.end else "max(k0)"
        inside = [f"k0 >= {low}"] * bool(self.start) + [f"k0 <= {high}"] * bool(self.end)
        found = f"count_if({' and '.join(inside) or 'true'})"
        absent = f"slice(array_sort(array_except(sequence({low}, {high}), collect_set(k0))), 1, {_NAMED})"
        named = f"if({high} - {low} between 0 and {_NAMED_OF}, {absent}, null)"
        return f"struct({low} as low, {high} as high, {found} as found, {named} as absent)"

    def metric(self, found: Any) -> Metric:
        """How many have none."""
        if found["low"] is None or found["high"] is None:
            return Metric(self.key, None)
        missing = max(found["high"] - found["low"] + 1, 0) - found["found"]
        named = [period_text(number, self.every) for number in found["absent"] or ()]
        more = f" and {missing - len(named):,} more" if missing > len(named) else ""
        what = f"{self.every} has no row" if missing == 1 else f"{self.every}s have no row"
        return Metric(
            self.key, missing, detail=f"{missing:,} {what}" + (f": {', '.join(named)}{more}" if named else "")
        )
