"""Judging: rules from counts and metrics, batches by the outcome table. No Spark."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from quality.analyzers import Correlation
from quality.model import (
    BatchStatus,
    Bounds,
    Column,
    Decision,
    Metric,
    OnFail,
    RowCounts,
    RuleResult,
    RuleStatus,
    Severity,
    Tolerance,
    gravest_exit,
)
from quality.planner import plan
from quality.rule_types.base import Row
from quality.rulefile import load
from quality.verification import Counts, Measured, decide, judge

COLUMNS = (
    Column("a", "int"),
    Column("price", "decimal(38,18)"),
    Column("ratio", "double"),
    Column("day", "date"),
    Column("at", "timestamp"),
    Column("name", "string"),
)
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
QUARANTINE, HOLD, KEEP = OnFail.QUARANTINE, OnFail.HOLD, OnFail.KEEP
PASSED, FAILED, UNSURE, SILENT = RuleStatus.PASSED, RuleStatus.FAILED, RuleStatus.ERROR, RuleStatus.NOT_APPLICABLE


def result(status, severity=ERROR, on_fail=QUARANTINE):
    return RuleResult("r", "", "that", "", severity, on_fail, status, None, "", None, None, "", "f:1")


ROWS = RowCounts(100, 90, 10, 0)
FULL = RowCounts(100, 40, 60, 0)
HALF = RowCounts(100, 50, 50, 0)
EMPTY = RowCounts()

#: Rules, rows, (status, decision, exit code), by the lines of the outcome table, each against those below it.
OUTCOMES = {
    "an error rule that could not be judged": ([(UNSURE, ERROR, QUARANTINE)], ROWS, ("error", "held", 4)),
    "... even if rows of it would be kept": ([(UNSURE, ERROR, KEEP)], ROWS, ("error", "held", 4)),
    "... before a rule that holds": ([(FAILED, ERROR, HOLD), (UNSURE, ERROR, HOLD)], FULL, ("error", "held", 4)),
    "a rule that holds": ([(FAILED, ERROR, HOLD)], ROWS, ("failed", "held", 4)),
    "a warning that holds": ([(FAILED, WARNING, HOLD)], ROWS, ("failed", "held", 4)),
    "an information that holds": ([(FAILED, INFO, HOLD)], ROWS, ("failed", "held", 4)),
    "a rule that holds and passed": ([(PASSED, ERROR, HOLD)], ROWS, ("passed", "published", 0)),
    "a warning that holds and could not be judged": ([(UNSURE, WARNING, HOLD)], ROWS, ("warning", "published", 0)),
    "too much in quarantine": ([], FULL, ("failed", "held", 4)),
    "too much in quarantine, by a warning": ([(FAILED, WARNING, QUARANTINE)], FULL, ("failed", "held", 4)),
    "exactly half in quarantine": ([], HALF, ("passed", "published", 0)),
    "no rows": ([], EMPTY, ("warning", "held", 4)),
    "no rows and rules without scope": ([(SILENT, ERROR, QUARANTINE)], EMPTY, ("warning", "held", 4)),
    "no rows and a failed rule that holds": ([(FAILED, ERROR, HOLD)], EMPTY, ("failed", "held", 4)),
    "an error rule": ([(FAILED, ERROR, QUARANTINE)], ROWS, ("failed", "published", 1)),
    "an error rule that keeps its rows": ([(FAILED, ERROR, KEEP)], ROWS, ("failed", "published", 1)),
    "an error rule before a warning": ([(FAILED, WARNING, KEEP), (FAILED, ERROR, KEEP)], ROWS, ("failed", "published", 1)),
    "a warning": ([(FAILED, WARNING, KEEP)], ROWS, ("warning", "published", 0)),
    "a warning that quarantines": ([(FAILED, WARNING, QUARANTINE)], ROWS, ("warning", "published", 0)),
    "a warning that could not be judged": ([(UNSURE, WARNING, KEEP)], ROWS, ("warning", "published", 0)),
    "an information": ([(FAILED, INFO, KEEP)], ROWS, ("passed", "published", 0)),
    "an information that could not be judged": ([(UNSURE, INFO, KEEP)], ROWS, ("passed", "published", 0)),
    "a rule without scope": ([(SILENT, ERROR, HOLD)], ROWS, ("passed", "published", 0)),
    "rows quarantined within tolerance": ([(PASSED, ERROR, QUARANTINE)], ROWS, ("passed", "published", 0)),
    "nothing demanded": ([], ROWS, ("passed", "published", 0)),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "rows", "expected"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_first_line_of_the_outcome_table_that_applies_decides(rules, rows, expected):
    outcome = decide([result(*rule) for rule in rules], rows, 0.5, allow_empty=False)
    assert (outcome.status, outcome.decision, outcome.exit_code) == expected
    assert bool(outcome.message) == (outcome.decision == Decision.HELD)


def test_an_empty_batch_passes_where_that_is_allowed():
    outcome = decide([], EMPTY, 0.5, allow_empty=True)
    assert (outcome.status, outcome.decision, outcome.exit_code) == (BatchStatus.PASSED, Decision.PUBLISHED, 0)


@pytest.mark.parametrize(
    ("share", "total", "bad"),
    ((0.2, 10, 2), (0.3, 10, 3), (0.07, 100, 7), (0.007, 1000, 7), (0.29, 100, 29), (0.0, 5, 0)),
)
def test_a_share_of_quarantined_rows_may_be_reached_but_not_passed(share, total, bad):
    def held(count):
        return decide([], RowCounts(total, total - count, count, 0), share, allow_empty=False).exit_code == 4

    assert not held(bad)
    assert held(bad + 1)


def test_the_gravest_of_several_batches_is_in_the_order_0_1_4_3_2():
    codes = [0, 1, 4, 3, 2]
    assert [gravest_exit(codes[: n + 1]) for n in range(5)] == codes
    assert [gravest_exit(reversed(codes[: n + 1])) for n in range(5)] == codes
    assert gravest_exit([]) == 0


# rules from counts and metrics

TOLERANCES = (
    (Tolerance(), 0, 100, True),
    (Tolerance(), 1, 100, False),
    (Tolerance(0.01), 1, 100, True),
    (Tolerance(0.01), 2, 100, False),
    (Tolerance(0.01), 1, 99, False),
    (Tolerance(0.29), 29, 100, True),
    (Tolerance(0.07), 7, 100, True),
    (Tolerance(0.07), 8, 100, False),
    (Tolerance(0.007), 7, 1_000, True),
    (Tolerance(rows=10), 10, 10, True),
    (Tolerance(rows=10), 11, 10_000, False),
    (Tolerance(0.01, 10), 10, 100, True),
    (Tolerance(0.01, 10), 20, 2_000, True),
    (Tolerance(0.01, 10), 21, 2_000, False),
    (Tolerance(1.0), 5, 5, True),
    (Tolerance(0.1), 2**53 + 2, (2**53 + 2) * 10, True),
    (Tolerance(0.1), 2**53 + 3, (2**53 + 2) * 10, False),
)


@pytest.mark.parametrize(("tolerance", "failed", "scope", "allowed"), TOLERANCES)
def test_a_tolerance_allows_the_larger_of_share_and_rows_and_not_one_more(tolerance, failed, scope, allowed):
    assert tolerance.allows(failed, scope) is allowed


NAN, INF = math.nan, math.inf
BOUNDS = (
    ((("at_least", 0.98),), 0.98, True),
    ((("above", 0.98),), 0.98, False),
    ((("at_most", 0.1),), Decimal("0.1"), True),
    ((("at_most", 0.1),), Decimal("0.100000000000000001"), False),
    ((("at_least", 0.1),), Decimal("0.099999999999999999"), False),
    ((("equals", 0.1),), Decimal("0.100000000000000000"), True),
    ((("at_most", 2**53),), 2**53 + 1, False),
    ((("equals", 2**53 + 1),), 2**53 + 1, True),
    ((("equals", 2**53 + 1),), Decimal(2**53 + 1), True),
    ((("equals", 2**53 + 1),), 2**53, False),
    ((("not_equals", 2**53),), 2**53 + 1, True),
    ((("at_least", Decimal("12345678901234567.89")),), Decimal("12345678901234567.88"), False),
    ((("at_least", 1), ("at_most", 2)), 2, True),
    ((("at_least", 1), ("at_most", 2)), 2.0000001, False),
    ((("at_least", 0),), NAN, False),
    ((("at_most", 0),), NAN, False),
    ((("not_equals", 0),), NAN, False),
    ((("not_equals", 0),), Decimal("NaN"), False),
    ((("at_least", 0),), INF, True),
    ((("at_most", 10**400),), INF, False),
    ((("at_least", 0),), -INF, False),
    ((("at_most", INF),), 5, True),
    ((), NAN, False),
)


@pytest.mark.parametrize(("terms", "value", "holds"), BOUNDS)
def test_bounds_are_compared_exactly_and_nan_satisfies_none(terms, value, holds):
    assert Bounds(terms).accepts(value) is holds


@pytest.fixture
def judged(rule_file):
    """The verdict on the one rule of a file, from what was measured of it."""

    def verdict(rule, *, scope=100, failed=None, value=None, zone="UTC", columns=COLUMNS, **metric):
        text = f"version: 1\ndataset: d\ninput: {{table: t, timezone: {zone}}}\nrules:\n  - {rule}\n"
        made = plan(load(rule_file(text)), Row(columns, {}, zone), text=False)
        (only,) = made.rules
        counts = {only.id: Counts(scope, failed or 0)}
        metrics = {c.rule.id: Metric(c.analyzer.key, value, **metric) for c in made.metric_checks}
        (found,) = judge(made, Measured(scope, 0, counts, metrics, {only.id: scope}), columns)
        return found

    return verdict


def test_a_row_rule_fails_with_one_row_too_many(judged):
    within = judged("{that: a > 0, tolerance: 1%}", failed=1)
    assert (within.status, within.failed_rows, within.rows_in_scope) == (PASSED, 1, 100)
    assert within.message == "1 of 100 rows fail, within the tolerance of 1%"
    over = judged("{that: a > 0, tolerance: 1%}", failed=2)
    assert over.status == FAILED
    assert over.message == "2 of 100 rows fail, more than 1%; must satisfy: a > 0"


def test_the_metric_of_a_row_rule_is_one_less_the_share_of_failing_rows(judged):
    metric = judged("that: a > 0", failed=25).metric
    assert (metric.key.name, metric.value, metric.numerator, metric.denominator) == ("Compliance", 0.75, 75, 100)
    metric = judged("required: a", failed=100).metric
    assert (metric.key.name, metric.key.instance, metric.value) == ("Completeness", "a", 0.0)


@pytest.mark.parametrize(
    "rule", ("that: a > 0", "key: a", "mean: {column: a, above: 0}", "{row_count: {above: 0}, where: a > 0}")
)
def test_a_rule_without_a_row_in_scope_is_not_applicable(judged, rule):
    found = judged(rule, scope=0)
    assert (found.status, found.message) == (SILENT, "no row in scope")


def test_the_number_of_rows_of_an_empty_batch_is_0(judged):
    assert judged("row_count: {at_least: 1}", scope=0, value=0).status == FAILED
    assert judged("row_count: {at_least: 0}", scope=0, value=0).status == PASSED


def test_a_metric_of_nothing_but_null_cannot_be_told(judged):
    found = judged("mean: {column: a, above: 0}", value=None)
    assert found.status == UNSURE
    assert found.message == "could not tell: Mean of 'a' does not exist: all 100 rows in scope are NULL"


def test_a_failed_metric_says_what_it_is_and_must_be(judged):
    found = judged("completeness: {column: name, at_least: 0.98}", value=0.912, numerator=912, denominator=1000)
    assert (found.status, found.expected) == (FAILED, ">= 0.98")
    assert found.message == "Completeness of 'name' is 0.912, must be >= 0.98 (912 of 1,000)"


METRICS = (
    ("max: {column: price, at_most: 0.1}", Decimal("0.100000000000000001"), FAILED),
    ("max: {column: price, at_most: 0.1}", Decimal("0.1"), PASSED),
    ("sum: {column: a, equals: 9007199254740993}", 2**53 + 1, PASSED),
    ("sum: {column: a, equals: 9007199254740992}", 2**53 + 1, FAILED),
    ("mean: {column: ratio, at_least: 0}", NAN, FAILED),
    ("mean: {column: ratio, not_equals: 0}", NAN, FAILED),
    ("max: {column: ratio, at_least: 0}", INF, PASSED),
    ("max: {column: day, at_most: '2024-01-31'}", date(2024, 1, 31), PASSED),
    ("max: {column: day, at_most: '2024-01-31'}", date(2024, 2, 1), FAILED),
    ("min: {column: day, between: ['2024-01-01', '2024-12-31']}", date(2023, 12, 31), FAILED),
    ("max: {column: at, below: '2024-02-01'}", datetime(2024, 1, 31, 23, 59, 59, 999999, timezone.utc), PASSED),
    ("max: {column: at, below: '2024-02-01'}", datetime(2024, 2, 1, tzinfo=timezone.utc), FAILED),
    ("max: {column: at, equals: '2024-02-01 10:00:00+02:00'}", datetime(2024, 2, 1, 8, tzinfo=timezone.utc), PASSED),
    ("max: {column: at, equals: '2024-02-01T08:00:00Z'}", datetime(2024, 2, 1, 8, tzinfo=timezone.utc), PASSED),
    ("max: {column: day, at_most: 5}", date(2024, 1, 31), UNSURE),
    ("max: {column: a, at_most: '2024-01-31'}", 7, UNSURE),
)


@pytest.mark.parametrize(("rule", "value", "status"), METRICS)
def test_a_metric_is_compared_in_its_own_type(judged, rule, value, status):
    assert judged(rule, value=value).status == status


def test_a_time_without_a_zone_is_read_in_the_zone_of_the_input(judged):
    midnight_in_berlin = datetime(2024, 1, 31, 23, tzinfo=timezone.utc)
    rule = "min: {column: at, at_least: '2024-02-01'}"
    assert judged(rule, value=midnight_in_berlin, zone="Europe/Berlin").status == PASSED
    assert judged(rule, value=midnight_in_berlin, zone="UTC").status == FAILED


def test_a_column_that_is_not_there_makes_an_error_and_nothing_else(judged):
    found = judged("above: {column: b, value: 0}")
    assert found.status == UNSURE
    assert found.message.startswith("could not tell: column 'b' is not in the data; ")
    assert found.expected == "must be > 0"


SCHEMAS = (
    ("schema: {declared: {a: int, b: string}}", FAILED, "column 'b' is missing"),
    ("schema: {declared: {A: int}}", PASSED, ""),
    ("schema: {declared: {a: date}}", FAILED, "column 'a' is int, not date"),
    ("schema: {declared: {a: date}, types: allow}", PASSED, ""),
    ("schema: {declared: {b: int}, missing: allow}", PASSED, ""),
    ("schema: {declared: {price: 'decimal(38,18)', a: int}, order: fail}", FAILED, "the columns are in another order"),
    ("schema: {declared: {a: int, price: 'decimal(38,18)'}, extra: fail}", FAILED, "column 'ratio' is not declared"),
)


@pytest.mark.parametrize(("rule", "status", "message"), SCHEMAS)
def test_a_schema_rule_names_every_difference(judged, rule, status, message):
    found = judged(rule)
    assert found.status == status
    assert found.message.startswith(message)
    assert bool(found.message) == bool(message)


# where rows go


def test_quarantine_hold_and_keep_decide_about_rows_and_severity_does_not(rule_file):
    forms = [(s, f) for s in ("error", "warning", "info") for f in ("quarantine", "hold", "keep")]
    rules = "".join(f"  - {{id: {s}-{f}, that: a > 0, severity: {s}, on_fail: {f}}}\n" for s, f in forms)
    found = load(rule_file(f"version: 1\ndataset: d\ninput: {{table: t}}\nrules:\n{rules}")).rules
    assert {r.id for r in found if not r.quarantines} == {"error-keep", "warning-keep", "info-keep"}


def test_verdicts_come_in_the_order_of_the_file(rule_file):
    text = """\
version: 1
dataset: d
input: {table: t}
rules:
  - row_count: {above: 0}
  - that: a > 0
  - schema: true
  - above: {column: nope, value: 0}
  - required: a
"""
    made = plan(load(rule_file(text)), Row(COLUMNS), text=False)
    counts = {name: Counts(1, 0) for name in ("that", "a.required")}
    metrics = {"row_count": Metric(made.metric_checks[0].analyzer.key, 1)}
    found = judge(made, Measured(1, 0, counts, metrics, {"row_count": 1}), COLUMNS)
    assert [r.id for r in found] == ["row_count", "that", "schema", "nope.above", "a.required"]
    assert [r.status for r in found] == [PASSED, PASSED, PASSED, UNSURE, PASSED]


@pytest.mark.parametrize("found", (1.0000000000000002, -1.0000000000000009, 1.0, -0.25, 0.0, None, math.nan))
def test_a_correlation_is_never_beyond_its_ends(found):
    told = Correlation(("a", "b")).metric(found).value
    assert told == found or told in (1.0, -1.0) or (told is not None and math.isnan(told) and math.isnan(found))
    assert found is None or math.isnan(found) or abs(told) <= 1
