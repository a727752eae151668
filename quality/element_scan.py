"""Measures elements: the lists of each row are taken apart, in a pass of their own that reads nothing but them and what filters
rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.analyzers import Analyzer, Completeness, KeyAnalyzer
from quality.backends.reading import Batch
from quality.checks import MetricCheck
from quality.distributions import ValuesAnalyzer
from quality.elements import OverElements
from quality.keys import Frequencies, metric_of_keys
from quality.model import Metric
from quality.passes import OwnPass
from quality.rule_types.base import RESERVED_PREFIX, element
from quality.scan import aggregate_of, metric_of
from quality.verification import ratio_metric

_SCOPE = f"{RESERVED_PREFIX}scope_"


def measure(batch: Batch, own: OwnPass, checks: Sequence[MetricCheck]) -> dict[str, Metric]:
    """The metrics of the checks of a pass, by rule id. Raises what Spark raises."""
    analyzers = [cast("OverElements", check.analyzer) for check in checks]
    if analyzers[0].counted:
        rows = _apart(batch.frame, own, [own.scope]).selectExpr(f"{analyzers[0].element} as k0").where("k0 is not null")
        counts = rows.groupBy("k0").agg(F.count(F.lit(1)).alias("n"))
        texts = [_of_counts(analyzer.of) for analyzer in analyzers]
    else:
        scopes = list(dict.fromkeys(check.scope for check in checks))
        marks = [f"{_SCOPE}{scopes.index(check.scope)}" for check in checks]
        inputs = [
            *dict.fromkeys(marks),
            *(
                f"if({mark}, {one.element}, null) as i{place}"
                for place, (mark, one) in enumerate(zip(marks, analyzers, strict=True))
            ),
        ]
        counts = _apart(batch.frame, own, scopes).selectExpr(*inputs)
        texts = [
            _aggregate(one, f"i{place}", mark) for place, (mark, one) in enumerate(zip(marks, analyzers, strict=True))
        ]
    found = counts.agg(*(F.expr(text).alias(f"a{place}") for place, text in enumerate(texts))).collect()[0]
    return {
        check.rule.id: _metric(one, value) for check, one, value in zip(checks, analyzers, tuple(found), strict=True)
    }


def _apart(frame: DataFrame, own: OwnPass, scopes: Sequence[str]) -> DataFrame:
    """A row for each innermost element of a row in one of the scopes, and in which it is."""
    marks = [f"{_SCOPE}{place}" for place in range(len(scopes))]
    rows = frame if "true" in scopes else frame.where(" or ".join(f"({scope})" for scope in scopes))
    # explode leaves out lists that are NULL or empty, and keeps elements that are NULL
    kept = [f"{scope} as {mark}" for scope, mark in zip(scopes, marks, strict=True)]
    for level, array in enumerate(own.references):
        rows = rows.selectExpr(*(kept if level == 0 else marks), f"explode({array}) as {element(level)}")
    return rows


def _aggregate(over: OverElements, name: str, mark: str) -> str:
    if isinstance(over.of, Completeness):
        return f"struct(count({name}) as present, count_if({mark}) as total)"
    return aggregate_of(over.of, over.kind, [name])


def _of_counts(of: Analyzer) -> str:
    if isinstance(of, ValuesAnalyzer):
        return of.grouped()
    return "struct(coalesce(sum(n), 0L) as rows, count(1) as keys, count_if(n = 1) as once)"


def _metric(over: OverElements, found: object) -> Metric:
    of = over.of
    if isinstance(of, Completeness):
        present, total = cast("tuple[int, int]", found)
        return ratio_metric(of, present, total)
    if isinstance(of, KeyAnalyzer):
        rows, keys, once = cast("tuple[int, int, int]", found)
        return metric_of_keys(of, Frequencies(rows, keys, once, 0, 0))
    if isinstance(of, ValuesAnalyzer):
        return of.metric(found)
    return metric_of(of, over.kind, found)
