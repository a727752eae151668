"""Measures groups of rows: what the shared scan measures of a batch, of every group, in one grouped aggregate.

Only aggregates come to the driver, of at most `MAX_GROUPS` groups. Keys of metrics such as `distinct_count` are counted within
each group, a pass for each key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from quality.backends.reading import Batch
from quality.checks import GroupPass, KeyPass
from quality.grouping import MAX_GROUPS, Group
from quality.keys import Frequencies, frequencies_within
from quality.planner import Plan
from quality.rule_types.base import RESERVED_PREFIX
from quality.scan import Scan, Scanned
from quality.sql import disjunction

_GROUP = f"{RESERVED_PREFIX}group_"
#: A longer value of a group is told by its beginning and a digest.
_LONGEST = 256
_NO_KEY = Frequencies(0, 0, 0, 0, 0)


class TooManyGroupsError(Exception):
    """There are more groups than are looked at."""


@dataclass(frozen=True)
class Grouped:
    """What was measured of one group."""

    scanned: Scanned
    frequencies: dict[KeyPass, Frequencies]


def plan_of(plan: Plan, part: GroupPass) -> Plan:
    """The plan of what is measured in each group."""
    return replace(
        plan,
        row_checks=part.row_checks,
        metric_checks=part.metric_checks,
        schema_rules=(),
        group_checks=(),
        tally=False,
    )


def measure(batch: Batch, plan: Plan, part: GroupPass, launch: Callable[[int], None]) -> dict[Group, Grouped]:
    """What each group of rows in scope of some rule of the pass measures. `launch` is told of every pass, with the number of its
    shuffles. Raises TooManyGroupsError, and what Spark raises."""
    shuffles = 0 if batch.small else 1
    launch(shuffles)
    found = _scanned(batch, plan, part)
    keys: dict[KeyPass, dict[Group, Frequencies]] = {}
    for key in part.key_passes:
        launch(2 * shuffles)
        keys[key] = frequencies_within(batch.frame, key, part.by, _texts)
    return {
        group: Grouped(scanned, {key: counted.get(group, _NO_KEY) for key, counted in keys.items()})
        for group, scanned in found.items()
    }


def _scanned(batch: Batch, plan: Plan, part: GroupPass) -> dict[Group, Scanned]:
    scan = Scan(batch, plan_of(plan, part), None)
    measures = scan.measures()
    names = [f"{_GROUP}{place}" for place in range(len(part.by))]
    keys = [f"{reference} as {name}" for reference, name in zip(part.by, names, strict=True)]
    # a group without a row in any scope is none, also when groups are counted
    rows: DataFrame = batch.frame if "true" in part.scopes else batch.frame.where(disjunction(part.scopes))
    grouped = rows.selectExpr(*keys, *scan.inputs()).groupBy(*names).agg(*measures)
    told = grouped.selectExpr(*(f"a{place}" for place in range(len(measures))), *_texts(names))
    lines: Any = told.limit(MAX_GROUPS + 1)._jdf.collectAsList()
    if lines.size() > MAX_GROUPS:
        raise TooManyGroupsError
    found = {}
    for line in (lines.get(place) for place in range(lines.size())):
        group = tuple(line.get(len(measures) + place) for place in range(len(names)))
        found[group] = scan.read(line)
    return found


def _texts(references: Sequence[str]) -> list[str]:
    """The values of a group as texts, no two of them alike."""
    texts = (f"cast({reference} as string)" for reference in references)
    return [
        f"if(char_length({text}) > {_LONGEST}, concat(left({text}, {_LONGEST - 20}), '...', left(sha2({text}, 256), 16)), {text})"
        for text in texts
    ]
