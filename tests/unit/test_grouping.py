"""What the verdicts on groups make of a rule, and where rules may not be grouped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quality import load
from quality.anomaly.values import Point, Series
from quality.errors import RuleFileError
from quality.grouping import SHOWN_GROUPS, STORED_GROUPS, Group
from quality.lookback import ByName, Past, in_groups
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


#: Means of groups in earlier batches, the newest first.
PAST = ({"x": 10.0, "y": 1.0}, {"x": 20.0, "y": 2.0}, {"x": 30.0, None: 5.0})


@pytest.fixture
def after(rule_file):
    """The verdict on groups by their means, by what earlier batches had of each: at most twice the median of three, at least
    two of them."""
    rule = "{name: r, mean: {column: a, at_most: 2 * median(last 3)}, min_history: 2, group_by: [g]}"

    def series(column, *segment: Any):
        return Series("Mean", column, "", segment)

    points = [{series("a", ("g", name)): Point(value) for name, value in of.items()} for of in PAST]
    # of another column, of other groups, of all rows: none of these is the past of a group
    others = (series("h", ("g", "y")), series("a"), series("a", ("g", None), ("h", "1")))
    points[2] |= dict.fromkeys(others, Point(99.0))

    def judged(groups, rule=rule):
        made = planned(rule_file, rule)
        past = Past(("c", "b", "a"), tuple(map(ByName, points)))
        made = replace(made, group_checks=tuple(in_groups(check, past) for check in made.group_checks))
        found: dict[Group, Measured] = {
            (name,): Measured(
                5, metrics={c.rule.id: Metric(c.analyzer.key, mean) for c in made.group_checks},
                scopes={c.rule.id: 5 for c in made.group_checks},
            )
            for name, mean in groups.items()
        }  # fmt: skip
        (result,) = judge(made, Measured(100, groups={c.rule.id: found for c in made.group_checks}), COLUMNS)
        return result

    return judged


def test_a_bound_from_earlier_batches_is_one_for_each_group(after):
    assert (after({"x": 40.0, "y": 3.0}).status, after({"x": 40.0, "y": 3.0}).message) == (PASSED, "")
    found = after({"x": 41.0, "y": 13.0})
    assert (found.status, found.group_counts) == (FAILED, {"all": 2, "failed": 2, "error": 0})
    assert found.expected == "<= 2 * median(last 3) in each group of g"
    # y is 10 beyond its own bound, x is 1
    assert found.message == (
        "2 of 2 groups of g fail; the worst is g=y: Mean of 'a' is 13, must be <= 3 (median(last 3) = 1.5, of b, c)"
    )
    assert [group["message"] for group in found.groups][1] == (
        "Mean of 'a' is 41, must be <= 40 (median(last 3) = 20, of a, b, c)"
    )


def test_the_past_of_a_group_goes_by_names_without_case_and_by_values_with_it(after):
    rule = "{name: r, mean: {column: A, at_most: 2 * median(last 3)}, min_history: 2, group_by: [G]}"
    assert after({"x": 40.0}, rule).status == PASSED
    assert after({"x": 41.0}, rule).status == FAILED
    assert after({"X": 41.0}, rule).status == SILENT
    # where two columns differ by case alone each has its own
    both = ByName({Series("Mean", name): Point(value) for name, value in (("a", 1.0), ("A", 2.0))})
    assert [both[Series("Mean", name)].value for name in "aA"] == [1.0, 2.0]


def test_a_group_with_too_short_a_past_is_not_judged_yet_and_the_result_says_so(after):
    few = "looks back over at least 2 published batches before this one, there are 3, {} of them with this group"
    alone = after({"new": 1e9})
    assert (alone.status, alone.message) == (SILENT, f"1 of 1 groups of g not judged yet; g=new: {few.format(0)}")
    beside = after({"x": 1.0, None: 1e9, "new": 1e9})
    assert (beside.status, beside.group_counts) == (PASSED, {"all": 3, "failed": 0, "error": 0, "not_applicable": 2})
    assert beside.message.startswith("2 of 3 groups of g not judged yet; g=")
    failing = after({"x": 50.0, None: 1e9})
    assert failing.status == FAILED
    assert failing.message.startswith("1 of 2 groups of g fails (1 not judged yet); g=x: Mean of 'a' is 50, ")
    # their metrics are the past of later batches
    assert len(after({str(n): 1.0 for n in range(300)}).segments) == 300


def test_parts_of_a_composed_rule_look_back_group_by_group(after):
    rule = "{name: r, group_by: [g], any: [{mean: {column: a, at_most: last}}, {row_count: {at_least: 9}}]}"
    rule = rule.replace("row_count: {at_least: 9}", "mean: {column: a, at_least: 900}")
    assert after({"x": 10.0, "y": 1.0}, rule).status == PASSED
    found = after({"x": 11.0, "y": 1.0, "new": 5.0}, rule)
    assert (found.status, found.group_counts["failed"]) == (FAILED, 2)
    assert [group["group"]["g"] for group in found.groups] == ["new", "x"]


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
