"""The metrics of SodaCL with their thresholds, as entries of a rule file.

What counts bad rows becomes a rule about rows with a tolerance where the threshold is a most, else the number of rows that
comply with a condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from quality import sql
from quality.rule_types.args import duration_text
from quality.rule_types.base import parse_moment
from quality.rulefile.dqdl.entries import default_id
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.rules_of_ours import Entry
from quality.rulefile.imports.counting import ROWS
from quality.rulefile.imports.counting import measured as queried
from quality.rulefile.imports.soda_thresholds import Threshold, most, tolerance
from quality.rulefile.imports.soda_values import Column, Part

_SAMPLE = "Soda's is of a sample (division by n - 1), here it is of the whole (division by n)"
_CHANGE = "the batches before it are those that were published here; it does not apply until there are enough"
#: Metrics of a column by their names here, with how they differ.
_METRICS = {
    "avg": ("mean", ""), "min": ("min", ""), "max": ("max", ""), "sum": ("sum", ""), "min_length": ("min_length", ""),
    "max_length": ("max_length", ""), "stddev_pop": ("stddev", ""), "var_pop": ("variance", ""), "stddev": ("stddev", _SAMPLE),
    "stddev_samp": ("stddev", _SAMPLE), "variance": ("variance", _SAMPLE), "var_samp": ("variance", _SAMPLE),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A metric with its threshold. `exact`: its number is asked for, not how many rows may fail; `told` is what differs
    whatever the metric."""

    metric: str
    arguments: list[str]
    column: Column
    limit: Threshold
    exact: bool = False
    told: str = ""

    @property
    def is_past(self) -> bool:
        return any(isinstance(value, str) for value in self.limit.bounds.values())


def measured(metric: str, arguments: list[str], keys: Mapping[str, Any], limit: Threshold, told: str = "") -> Entry:
    """The entry that demands a threshold of a metric. Raises Lost."""
    make = _MAKERS.get(metric, _column_metric)
    asked = Asked(metric, arguments, Column(arguments[0] if arguments else "", keys), limit, told=told)
    if not limit.outside or len(limit.bounds) < 2:
        return make(asked)
    inside = make(replace(asked, limit=replace(limit, outside=False), exact=True))
    about = f"{inside.about or default_id(inside)}.outside"
    return Entry("not", [{inside.type: inside.body}], inside.beside, about, inside.differs)


def recorded(metric: str, arguments: list[str]) -> tuple[Entry, str]:
    """The entry that measures a metric, and how the anomaly detector calls it. Raises Lost."""
    named, differs = ("completeness", "") if metric.startswith("missing_") else _METRICS.get(metric, (metric, ""))
    type = {"distinct": "distinct_count"}.get(named, named)
    if type not in _WATCHED:
        raise Lost(f"anomalies of '{metric}' are not looked for")
    about: dict[str, Any] = (
        {"columns": arguments} if type == "distinct_count" else {"column": arguments[0]} if arguments else {}
    )
    instance = f"({','.join(arguments)})" if arguments else ""
    return Entry(type, {**about, "record": True}, {"severity": "info"}, differs=differs), f"{_WATCHED[type]}{instance}"


def _bounds(asked: Asked) -> dict[str, Any]:
    words = dict(asked.limit.words())
    if any(isinstance(value, timedelta) for value in words.values()):
        raise Lost("its threshold is a length of time")
    return words


def _differs(asked: Asked, *more: str) -> str:
    return "; ".join(text for text in (*more, _CHANGE if asked.is_past else "", asked.told) if text)


def _column_metric(asked: Asked) -> Entry:
    type, differs = _METRICS[asked.metric]
    counted = asked.column.is_counted()
    beside = {"where": counted} if counted else {}
    return Entry(type, {"column": asked.column.name, **_bounds(asked)}, beside, differs=_differs(asked, differs))


def _row_count(asked: Asked) -> Entry:
    return Entry("row_count", _bounds(asked), differs=_differs(asked))


def _distinct(asked: Asked) -> Entry:
    return Entry("distinct_count", {"columns": asked.arguments, **_bounds(asked)}, differs=_differs(asked))


def _percentile(asked: Asked) -> Entry:
    if len(asked.arguments) != 2:
        raise Lost("it names no share")
    return Entry(
        "quantile",
        {"column": asked.column.name, "q": Decimal(asked.arguments[1]), **_bounds(asked)},
        differs=_differs(asked),
    )


def _duplicates(asked: Asked) -> Entry:
    """Values that occur more than once: none of them, or their number, or that as a percentage of the rows."""
    percent = asked.metric == "duplicate_percent"
    allowed = None if asked.is_past or asked.exact else most(asked.limit, percent=percent)
    if allowed and not allowed[0]:
        return Entry("unique", {"columns": asked.arguments})
    names = [sql.quote(name) for name in asked.arguments]
    there = " and ".join(f"{name} is not null" for name in names)
    counts = f"select count(*) as n, ({there}) as there from {ROWS} group by {', '.join(names)}"
    number = "count_if(n > 1 and there)"
    measure = _percent(number, "sum(n)") if percent else number
    return queried(
        f"{asked.arguments[0]}.{asked.metric}", f"select {measure} from ({counts})", _bounds(asked), _differs(asked)
    )


def _percent(part: str, whole: str) -> str:
    """As Soda rounds it; of no rows it is 0."""
    return f"coalesce(round(100e0 * {part} / {whole}, 2), 0)"


def _average_length(asked: Asked) -> Entry:
    column = sql.quote(asked.column.name)
    counted = asked.column.is_counted()
    where = f" where {counted}" if counted else ""
    query = f"select avg(char_length({column})) from {ROWS}{where}"
    return queried(f"{asked.column.name}.avg_length", query, _bounds(asked), _differs(asked))


def _freshness(asked: Asked) -> Entry:
    as_of: dict[str, Any] = {}
    for moment in asked.arguments[1:]:
        try:
            parse_moment(moment)
        except ValueError:
            raise Lost(
                f"its variable '{moment}' has no time as its value here; give it under 'variables' or by --var"
            ) from None
        as_of = {"as_of": moment}
    words = dict(asked.limit.words())
    longest = words.pop("below", words.pop("at_most", None))
    if words or not isinstance(longest, timedelta):
        raise Lost("only how old the newest value may be has a form")
    differs = "a value that is exactly so old is fresh here" if "below" in asked.limit.words() else ""
    return Entry(
        "freshness", {"column": asked.column.name, "at_most": duration_text(longest), **as_of}, differs=differs
    )


def _missing(asked: Asked) -> Entry:
    return _share(asked, asked.column.is_missing, lambda: _there(asked.column))


def _there(column: Column) -> list[Part]:
    """What a value that is not missing complies with, besides not being NULL."""
    parts = column.missing
    if not parts:
        return []
    differs = "; ".join(part.differs for part in parts if part.differs)
    if len(parts) == 1 and "in" in parts[0].rule:
        return [Part({"not_in": parts[0].rule["in"]}, "", differs)]
    return [Part({"not": [part.rule for part in parts]}, "", differs)]


def _invalid(asked: Asked) -> Entry:
    column = asked.column

    def demands() -> list[Part]:
        if not column.missing:
            return column.demands
        # what is missing is not invalid
        whole = {"all": [part.rule for part in column.demands]} if len(column.demands) > 1 else column.demands[0].rule
        return [Part({"any": [*(part.rule for part in column.missing), whole]}, "", column.demands[0].differs)]

    return _share(asked, column.is_invalid, demands)


def _valid(asked: Asked) -> Entry:
    column = asked.column
    if asked.metric != "valid_percent":
        return _counted(asked, column.is_valid())
    words = {} if asked.exact or asked.is_past else asked.limit.words()
    least = {
        word: 100 - value
        for word, value in words.items()
        if word in ("at_least", "above", "equals") and not isinstance(value, (str, timedelta))
    }
    if not words or len(least) != len(words) or ("equals" in words and words["equals"] != 100):
        return _share_of_all(asked, column.is_valid())
    turned = {"at_least": "at_most", "above": "below", "equals": "at_most"}
    allowed = most(Threshold({turned[word]: value for word, value in least.items()}), percent=True)
    return _rows([*_there(column), *column.demands], allowed, {"nulls": "fail"})


def _share_of_all(asked: Asked, condition: str) -> Entry:
    query = f"select {_percent(f'count_if({condition})', 'count(*)')} from {ROWS}"
    return queried(f"{asked.column.name}.{asked.metric}", query, _bounds(asked), _differs(asked))


def _share(asked: Asked, condition: Callable[[], str], demands: Callable[[], list[Part]]) -> Entry:
    """Bad rows: a rule about rows where a most of them is said, else their number or their share."""
    percent = asked.metric.endswith("_percent")
    allowed = None if asked.is_past or asked.exact else most(asked.limit, percent=percent)
    missing = asked.metric.startswith("missing")
    if allowed is None:
        return _share_of_all(asked, condition()) if percent else _counted(asked, condition())
    parts = demands()
    if missing and not parts:
        return Entry("required", {"column": asked.column.name}, tolerance(allowed), differs=_differs(asked, allowed[1]))
    return _rows(parts, allowed, {"nulls": "fail"} if missing else {})


def _rows(parts: list[Part], allowed: tuple[str, str] | None, beside: Mapping[str, Any]) -> Entry:
    rule = parts[0].rule if len(parts) == 1 else {"all": [part.rule for part in parts]}
    ((type, body),) = rule.items()
    differs = "; ".join(
        dict.fromkeys(text for text in (*(p.differs for p in parts), allowed[1] if allowed else "") if text)
    )
    about = ""
    if type in ("all", "any", "not"):
        name = next(iter(_columns(parts[0].rule)), "")
        about = f"{name}.{'there' if beside.get('nulls') and type == 'not' else 'valid'}"
    return Entry(type, body, {**beside, **tolerance(allowed)}, about, differs)


def _columns(rule: Any) -> list[str]:
    if isinstance(rule, dict):
        return [value for key, value in rule.items() if key == "column"] + [
            n for v in rule.values() for n in _columns(v)
        ]
    return [name for one in rule for name in _columns(one)] if isinstance(rule, list) else []


def _counted(asked: Asked, condition: str) -> Entry:
    about = f"{asked.column.name}.{asked.metric}"
    return Entry("row_count", _bounds(asked), {"where": condition}, about, _differs(asked))


_MAKERS: dict[str, Callable[[Asked], Entry]] = {
    "row_count": _row_count, "distinct_count": _distinct, "distinct": _distinct, "percentile": _percentile,
    "duplicate_count": _duplicates, "duplicate_percent": _duplicates, "freshness": _freshness, "missing_count": _missing,
    "missing_percent": _missing, "invalid_count": _invalid, "invalid_percent": _invalid, "valid_count": _valid,
    "valid_percent": _valid, "avg_length": _average_length,
}  # fmt: skip
#: The names that are known of a metric with an argument or without.
NAMES = frozenset([*_MAKERS, *_METRICS])
#: How the anomaly detector calls metrics.
_WATCHED = {
    "row_count": "Size", "completeness": "Completeness", "mean": "Mean", "min": "Minimum", "max": "Maximum", "sum": "Sum",
    "stddev": "StandardDeviation", "distinct_count": "CountDistinct", "min_length": "MinLength", "max_length": "MaxLength",
}  # fmt: skip
