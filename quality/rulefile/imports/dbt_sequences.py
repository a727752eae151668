"""The generic tests of dbt about the order of rows and about values among all others, as entries of a rule file."""

from __future__ import annotations

from typing import Any

from quality import sql
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.imports.counting import ROWS, counted, measured, window

Arguments = dict[str, Any]
_AFTER_NULL = "a value behind a NULL is compared with the one before that here"
_OF_WHOLE = "the deviation is that of the whole here (division by n), theirs is of a sample"
_HOURS = "here hours and minutes are looked at from the first that has rows to the last, not from midnight to midnight"
_PERIODS = ("minute", "hour", "day", "week", "month")
_GAPS = {"allowed": "<=", "not_allowed": "=", "required": "<"}


def listed(value: Any) -> list[str]:
    """A column, or several, as a list."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


def _number(value: Any, what: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Lost(f"its {what} is no number")
    return sql.literal(value)


def in_order(direction: str) -> Any:
    """Values that rise or fall by another column."""
    sign = ">" if direction == "increasing" else "<"

    def made(kwargs: Arguments) -> list[Entry]:
        name, groups = kwargs["column_name"], listed(kwargs.get("group_by"))
        order, strict = kwargs.get("sort_column") or name, bool(kwargs.get("strictly", True))
        if not kwargs.get("step"):
            body = {
                "column": name,
                "order_by": [order],
                **({} if direction == "increasing" else {"direction": direction}),
            }
            body |= {**({"strict": True} if strict else {}), **({"per": groups} if groups else {})}
            return [Entry("monotonic", body, differs=_AFTER_NULL)]
        column, step = sql.quote(name), _number(kwargs["step"], "step")
        rows = f"select {column} as v, lag({column}) {window(groups, [order])} as p from {ROWS}"
        failing = f"p is not null and not (v {sign}{'' if strict else '='} p and v - p = {step})"
        return [counted(f"{name}.{direction}", rows, failing)]

    return made


def sequential(kwargs: Arguments) -> list[Entry]:
    """Each value is the one before it and a step."""
    name, groups = kwargs["column_name"], listed(kwargs.get("group_by"))
    column, step = sql.quote(name), _number(kwargs.get("interval", 1), "interval")
    rows = f"select {column} as v, lag({column}) {window(groups, [name])} as p from {ROWS}"
    unit = str(kwargs.get("datepart") or "").lower()
    if not unit:
        return [counted(f"{name}.sequential", rows, f"not (v = p + {step})")]
    if unit.rstrip("s") not in ("second", "minute", "hour", "day", "week", "month", "year"):
        raise Lost(f"its datepart '{unit}' has no form")
    moved = f"cast(p as timestamp) + interval {int(kwargs.get('interval', 1))} {unit}"
    return [counted(f"{name}.sequential", rows, f"not (cast(v as timestamp) = {moved})")]


def exclusive_ranges(kwargs: Arguments) -> list[Entry]:
    """Ranges that do not overlap: each ends before the next begins, and none is the wrong way round."""
    low, high = str(kwargs["lower_bound_column"]), str(kwargs["upper_bound_column"])
    gaps = kwargs.get("gaps", "allowed")
    if gaps not in _GAPS:
        raise Lost(f"'gaps: {gaps}' is not known")
    over = window(listed(kwargs.get("partition_by")), [low, high])
    last = over.replace(
        f"order by {sql.quote(low)}, {sql.quote(high)}", f"order by {sql.quote(low)} desc, {sql.quote(high)} desc"
    )
    rows = (
        f"select {sql.quote(low)} as low, {sql.quote(high)} as high, lead({sql.quote(low)}) {over} as following, "
        f"row_number() {last} = 1 as is_last from {ROWS}"
    )
    sign = "<=" if kwargs.get("zero_length_range_allowed") else "<"
    good = f"coalesce(low {sign} high, false) and coalesce(high {_GAPS[gaps]} following, is_last, false)"
    return [counted(f"{low}.exclusive", rows, f"not ({good})")]


def covered(kwargs: Arguments) -> list[Entry]:
    """Every period has rows."""
    name, every = str(kwargs.get("date_col") or kwargs["column_name"]), str(kwargs.get("date_part", "day")).lower()
    if every not in _PERIODS:
        raise Lost(f"only every {', '.join(_PERIODS)} can be demanded, not every '{every}'")
    if kwargs.get("interval", 1) != 1:
        raise Lost("only every period can be demanded, not every few of them")
    ends = {
        ours: str(kwargs[word])
        for ours, word in (("from", "test_start_date"), ("to", "test_end_date"))
        if word in kwargs
    }
    differs = _HOURS if every in ("minute", "hour") and len(ends) < 2 else ""
    return [Entry("coverage", {"column": name, "every": every, **ends}, differs=differs)]


def within_deviations(kwargs: Arguments) -> list[Entry]:
    """No value, or no sum of a group, is far from the mean of all."""
    name, far, groups = kwargs["column_name"], kwargs.get("sigma_threshold", 3), listed(kwargs.get("group_by"))
    threshold = _number(far, "sigma_threshold")
    if not groups:
        differs = f"each value is held against all here, theirs sums the column when it names no group; {_OF_WHOLE}"
        return [Entry("no_outliers", {"column": name, "method": "zscore", "factor": far}, differs=differs)]
    sums = f"select sum({sql.quote(name)}) as m from {ROWS} group by {', '.join(map(sql.quote, groups))}"
    rows = f"select (m - avg(m) over ()) / nullif(stddev_samp(m) over (), 0) as z from ({sums})"
    return [counted(f"{name}.within_deviations", rows, f"abs(z) > {threshold}")]


def one_casing(kwargs: Arguments) -> list[Entry]:
    """No text occurs in two casings."""
    name = kwargs["column_name"]
    column = sql.quote(name)
    query = f"select count(distinct {column}) - count(distinct lower({column})) from {ROWS}"
    return [measured(f"{name}.casing", query, {"equals": 0})]


def sum_of_columns(kwargs: Arguments) -> list[Entry]:
    """The sums of several columns add up to a number, or to the sum of another column; in each group where there are some."""
    names, total, groups = listed(kwargs["column_list"]), kwargs["sum_total"], listed(kwargs.get("group_by"))
    found = " + ".join(f"sum({sql.quote(name)})" for name in names)
    is_number = isinstance(total, (int, float)) and not isinstance(total, bool)
    rest = _number(total, "sum_total") if is_number else f"sum({sql.quote(str(total))})"
    about = f"{names[0]}.sums"
    if groups:
        rows = f"select {found} - {rest} as rest from {ROWS} group by {', '.join(map(sql.quote, groups))}"
        return [counted(about, rows, "rest <> 0")]
    return [measured(about, f"select {found} - {rest} from {ROWS}", {"equals": 0})]


def unique_within_row(kwargs: Arguments) -> list[Entry]:
    """Several columns differ from each other in every row; NULL is like nothing, and fails."""
    names, ignored = listed(kwargs["column_list"]), kwargs.get("ignore_row_if", "all_values_are_missing")
    if ignored not in ("all_values_are_missing", "any_value_is_missing"):
        raise Lost(f"'ignore_row_if: {ignored}' is not known")
    texts = [f"cast({sql.quote(name)} as string)" for name in names]
    pairs = [f"{one} <> {other}" for at, one in enumerate(texts) for other in texts[at + 1 :]]
    word = " and " if ignored == "all_values_are_missing" else " or "
    missing = word.join(f"{sql.quote(name)} is null" for name in names)
    return [Entry("that", f"({missing}) or coalesce({' and '.join(pairs)}, false)", about=f"{names[0]}.differs")]
