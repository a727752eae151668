"""From analyzers of DQDL to rules that only record: a metric with `record: true`, or the profile of a batch."""

from __future__ import annotations

import hashlib
import re

from quality.rule_types import REGISTRY
from quality.rulefile.dqdl.entries import Entry, names_of
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.tree import Rule

#: Our metrics of what an analyzer measures, each with its argument for the columns.
METRICS: dict[str, tuple[tuple[str, str], ...]] = {
    "RowCount": (("row_count", ""),),
    "ColumnCount": (("column_count", ""),),
    "Completeness": (("completeness", "column"),),
    "Uniqueness": (("uniqueness", "columns"),),
    "Mean": (("mean", "column"),),
    "Sum": (("sum", "column"),),
    "StandardDeviation": (("stddev", "column"),),
    "Entropy": (("entropy", "column"),),
    "DistinctValuesCount": (("distinct_count", "columns"),),
    "UniqueValueRatio": (("unique_value_ratio", "columns"),),
    "ColumnLength": (("min_length", "column"), ("max_length", "column")),
    "ColumnValues": (("min", "column"), ("max", "column")),
    "ColumnCorrelation": (("correlation", "columns"),),
}
#: What AllStatistics measures of a column beside the share of values, by the kind of its type.
_BY_KIND = {"numeric": ("min", "max", "mean", "stddev", "sum", "entropy"), "string": ("min_length", "max_length")}
_ALL = "AllColumns"
#: What is told where an analyzer says how many bins a distribution has.
FINER = "the profile counts numbers in finer bins, of 1 % of the value, of which even ones can be made"


def recorded(analyzer: Rule) -> tuple[list[Entry], bool]:
    """The entries that record what an analyzer measures, and whether the profile does. Raises Lost."""
    names = names_of(analyzer)
    if analyzer.type == "Distribution":
        return [], True
    if analyzer.type == "AllStatistics":
        return _statistics(names[0]), False
    if analyzer.type == "CustomSql":
        query = analyzer.parameters[0].value
        return [Entry("sql", {"query": query, "record": True}, {"severity": "info"})], False
    entries = [_entry(word, target, names) for word, target in METRICS[analyzer.type]]
    missing = [entry.type for entry in entries if entry.type not in REGISTRY]
    if missing:
        raise Lost(f"the metric {analyzer.type} has no rule type yet")
    return entries, False


#: Our names of the metrics that DetectAnomalies looks at.
_WATCHED = {
    "RowCount": ("Size",), "ColumnCount": ("ColumnCount",), "DistinctValuesCount": ("CountDistinct",),
    "ColumnLength": ("MinLength", "MaxLength"), "ColumnValues": ("Minimum", "Maximum"), "ColumnCorrelation": ("Correlation",),
}  # fmt: skip


def watched(rule: Rule) -> tuple[list[Entry], list[str]]:
    """The entries that record what DetectAnomalies looks at, and the names the detector has for it. Raises Lost."""
    metric, *columns = rule.parameters
    if metric.value == "CustomSQL":
        # a query has the id of its rule as instance, whose text tells it here
        query = columns[0].value
        id = f"sql.{hashlib.sha256(query.encode()).hexdigest()[:8]}"
        return [Entry("sql", {"query": query, "record": True}, {"severity": "info"}, id)], [f"CustomSQL({id})"]
    entries, _ = recorded(Rule(metric.value, tuple(columns)))
    instance = ",".join(names_of(Rule("", tuple(columns))))
    names = _WATCHED.get(metric.value, (metric.value,))
    return entries, [f"{name}({instance})" if instance else name for name in names]


#: How DetectAnomalies looks in a composite, where a verdict is asked for before the detector has one: by the fences of the
#: quartiles (J. Tukey, 1977), which a few odd batches do not move. Twice the distance of the quartiles is 3.4 deviations of a
#: normal distribution, and seven batches are the least that have quartiles worth the name.
_WINDOW, _LEAST = "last 30", 7
_LOW, _HIGH = (f"percentile({_WINDOW}, {share}%)" for share in (25, 75))
FENCED = "in a composite it holds while the metric lies within the quartiles of the last 30 batches, or twice their distance beyond"


def fenced(rule: Rule) -> list[Entry]:
    """The bounds that stand for DetectAnomalies in a composite. Raises Lost."""
    words = {"at_least": f"{_LOW} - 2 * ({_HIGH} - {_LOW})", "at_most": f"{_HIGH} + 2 * ({_HIGH} - {_LOW})"}
    beside = {"min_history": _LEAST}
    return [
        Entry(entry.type, {w: v for w, v in entry.body.items() if w != "record"} | words, beside, entry.about, FENCED)
        for entry in watched(rule)[0]
    ]


def _entry(word: str, target: str, names: list[str]) -> Entry:
    about = {"column": names[0] if names else "", "columns": names}.get(target)
    named = {} if about is None else {target: about}
    return Entry(word, {**named, "record": True}, {"severity": "info"})


def _statistics(name: str) -> list[Entry]:
    of_all = name == _ALL
    found = [_entry("row_count", "", []), _entry("column_count", "", [])]
    found.append(_entry("completeness", "column", [name]) if not of_all else _many("completeness", "*", ""))
    found += [] if of_all else [_entry("uniqueness", "columns", [name])]
    for kind, words in _BY_KIND.items():
        found += [_many(word, "" if of_all else name, kind) for word in words if word in REGISTRY]
    return found


def _many(word: str, name: str, kind: str) -> Entry:
    """A metric of columns that the batch tells: those of a kind, or the one of this name if it is of it."""
    chosen: object = {"type": kind, **({"matching": re.escape(name)} if name else {})} if kind else name
    about = f"{name or 'every'}.{word}" if kind else f"every.{word}"
    return Entry(word, {"columns": chosen, "record": True}, {"severity": "info"}, about if not kind or not name else "")
