"""What the verdicts on groups make of a rule, and where rules may not be grouped."""

from __future__ import annotations

from typing import Any

import pytest

from quality import load
from quality.errors import RuleFileError
from quality.grouping import SHOWN_GROUPS, STORED_GROUPS, Group
from quality.model import Column, Metric, RuleStatus
from quality.planner import plan
from quality.report import group_text, more_groups
from quality.rule_types.base import Row
from quality.verification import Counts, Measured, judge

COLUMNS = (Column("a", "double"), Column("g", "string"), Column("h", "int"), Column("m", "map<string,int>"))
HEAD = "version: 1\ndataset: d\ninput: {table: t}\nrules:\n"
FAILED, UNSURE, PASSED, SILENT = RuleStatus.FAILED, RuleStatus.ERROR, RuleStatus.PASSED, RuleStatus.NOT_APPLICABLE


def planned(rule_file, rule, columns=COLUMNS):
    return plan(load(rule_file(f"{HEAD}  - {rule}\n")), Row(columns), text=False)


@pytest.fixture
def verdict(rule_file):
    """Of `mean: {column: a, at_most: 10}` over groups by their means; None is one of NULLs alone, rows in scope beside it."""

    def judged(groups):
        made = planned(rule_file, "{name: r, mean: {column: a, at_most: 10}, group_by: [g]}")
        key = made.group_checks[0].analyzer.key
        found: dict[Group, Measured] = {
            (name,): Measured(scope, metrics={"r": Metric(key, value)}, scopes={"r": scope})
            for name, (value, scope) in groups.items()
        }
        (result,) = judge(made, Measured(100, groups={"r": found}), COLUMNS)
        return result

    return judged


#: Groups, the verdict, and how many failed and could not be told.
VERDICTS: tuple[tuple[dict[Any, Any], RuleStatus, tuple[int, int, int]], ...] = (
    ({"x": (1.0, 5), "y": (10.0, 5)}, PASSED, (2, 0, 0)),
    ({"x": (1.0, 5), "y": (10.5, 5)}, FAILED, (2, 1, 0)),
    ({"x": (1.0, 5), "y": (None, 5)}, UNSURE, (2, 0, 1)),
    ({"x": (11.0, 5), "y": (None, 5)}, FAILED, (2, 1, 1)),
    ({"x": (float("nan"), 5)}, FAILED, (1, 1, 0)),
    ({"x": (11.0, 5), None: (2.0, 5)}, FAILED, (2, 1, 0)),
    ({"x": (None, 0)}, SILENT, (0, 0, 0)),
    ({}, SILENT, (0, 0, 0)),
)


@pytest.mark.parametrize(("groups", "status", "counts"), VERDICTS)
def test_one_failing_group_fails_the_rule_and_one_that_cannot_be_told_never_passes_it(verdict, groups, status, counts):
    found = verdict(groups)
    assert (found.status, tuple(found.group_counts.values())) == (status, counts)
    assert bool(found.message) == (status != PASSED)


def test_the_worst_groups_are_named_and_all_are_counted(verdict):
    found = verdict({f"g{n}": (float(n), 10) for n in range(11, 61)} | {None: (100.0, 3)})
    assert [group["group"]["g"] for group in found.groups] == [None, *(f"g{n}" for n in range(60, 41, -1))]
    assert len(found.groups) == SHOWN_GROUPS
    assert found.group_counts == {"all": 51, "failed": 51, "error": 0}
    assert found.message.startswith("51 of 51 groups of g fail; the worst is g=NULL: Mean of 'a' is 100, must be <= 10")
    data = found.to_dict()
    assert group_text(data["groups"][0]) == "g=NULL, value=100, rows=3"
    assert more_groups(data, 5) == "and 46 more groups"


def test_the_history_keeps_a_bounded_number_of_groups_the_failing_ones_first(verdict):
    found = verdict({f"g{n:03}": (float(n > 290) * 20, n) for n in range(1, 301)})
    assert len(found.segments) == STORED_GROUPS
    names = [metric.key.segment[0][1] for metric in found.segments]
    assert set(names[:10]) == {f"g{n}" for n in range(291, 301)}
    assert names[10:] == [f"g{n}" for n in range(290, 200, -1)]


def test_a_tolerance_is_one_of_each_group(rule_file):
    made = planned(rule_file, "{name: r, that: a > 0, tolerance: 10%, group_by: [g]}")
    groups = {("x",): Counts(100, 10), ("y",): Counts(10, 2), (None,): Counts(10, 0)}
    measured = Measured(120, counts={"r": Counts(120, 12)}, groups={"r": {g: _of(c) for g, c in groups.items()}})
    (found,) = judge(made, measured, COLUMNS)
    # 12 of 120 are 10% of the whole
    assert (found.status, found.failed_rows, found.rows_in_scope) == (FAILED, 12, 120)
    assert [(group["group"], group["failed_rows"]) for group in found.groups] == [({"g": "y"}, 2)]


def _of(counts):
    return Measured(counts.scope, counts={"r": counts})


REFUSED = {
    "unique: a\n    group_by: [g]": "'group_by' of 'unique': does not go with it: a key is one of the whole batch",
    "schema: {extra: fail}\n    group_by: [g]": "'group_by' of 'schema': does not go with it: every group",
    "row_count: {at_least: 0.5 * median(last 7)}\n    group_by: [g]": "bounds that look at earlier batches",
    "row_count: {at_least: 1}\n    group_by: []": "'group_by' of 'row_count'",
    "row_count: {at_least: 1}\n    group_by: [g, g]": "names column 'g' twice",
}


@pytest.mark.parametrize("rule", REFUSED)
def test_what_cannot_be_grouped_is_refused_with_a_reason(rule_file, rule):
    with pytest.raises(RuleFileError) as told:
        load(rule_file(f"{HEAD}  - {rule}\n"))
    assert REFUSED[rule] in str(told.value)


def test_a_sensitive_column_makes_no_groups(rule_file):
    head = HEAD.replace("rules:", "columns: {g: {sensitive: true}}\nrules:")
    with pytest.raises(RuleFileError, match="column 'G' is sensitive, and groups are told by their values"):
        load(rule_file(f"{head}  - {{row_count: {{at_least: 1}}, group_by: [G]}}\n"))


@pytest.mark.parametrize(("column", "why"), (("m", "groups are told by single values"), ("gg", "did you mean 'g'")))
def test_a_column_that_makes_no_groups_is_an_error_of_its_rule_alone(rule_file, column, why):
    made = planned(rule_file, f"{{name: r, row_count: {{at_least: 1}}, group_by: [{column}]}}")
    assert why in made.errors["r"]


def test_rules_that_share_their_columns_share_a_pass(rule_file):
    rules = (
        "{mean: {column: a, at_most: 1}, group_by: [g]}\n  - {completeness: {column: a, at_least: 1}, group_by: [G]}\n"
        "  - {that: a > 0, group_by: [g]}\n  - {row_count: {at_least: 1}, group_by: [g, h]}\n"
        "  - {distinct_count: {column: a, at_least: 1}, group_by: [h]}"
    )
    made = planned(rule_file, rules)
    # all of g, all of g and h, all of h with one key
    assert [len(part.rules) for part in made.group_passes] == [3, 1, 1]
    assert [step.rules for step in made.steps if "group" in step.purpose] == [
        ("that", "a.mean", "a.completeness"),
        ("row_count",),
        ("a.distinct_count",),
        ("a.distinct_count",),
    ]


def test_grouping_is_part_of_what_is_judged(rule_file):
    one, other = (
        load(rule_file(f"{HEAD}  - {{row_count: {{at_least: 1}}{more}}}\n")).fingerprint
        for more in ("", ", group_by: [g]")
    )
    assert one != other
