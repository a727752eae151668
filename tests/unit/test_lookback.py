"""Bounds of earlier batches: which batches count, when a rule does not apply yet, what cannot be told."""

from __future__ import annotations

import statistics
from datetime import date, timedelta

import pytest

from quality import lookback, planner, verification
from quality.errors import RuleFileError
from quality.model import BatchStatus, Column, Decision, Metric, RuleStatus, Severity
from quality.report import plans
from quality.rule_types.base import Row
from quality.rule_types.values import Between, Values
from quality.rulefile import load
from quality.rulefile.lint import expanded, lint
from quality.storage import commit
from quality.storage.store import LocalStore
from quality.verification import Measured
from tests.past import START, add

HEAD = "version: 1\ndataset: d\ninput: {path: x, format: parquet}\nrules:\n"
COLUMNS = (Column("price", "double"), Column("day", "date"))
MEANS = [10.0, 12.0, 17.0, 11.0, 13.0]


@pytest.fixture
def store(tmp_path):
    store = LocalStore(str(tmp_path / "root"))
    for n, mean in enumerate(MEANS):
        add(store, n, mean)
    return store


def judged(rule_file, store, rule, value, day=5, batch="today"):
    rules = load(rule_file(HEAD + f"- {rule}\n"), batch="b")
    plan = planner.plan(rules, Row(COLUMNS), text=False)
    live = commit.live_records(store, "d")
    plan = lookback.with_past(plan, store, live, batch, START + timedelta(days=day), None)
    (check,) = plan.metric_checks
    measured = Measured(100, metrics={check.rule.id: Metric(check.analyzer.key, value)}, scopes={check.rule.id: 100})
    (result,) = verification.judge(plan, measured, COLUMNS)
    return result


@pytest.mark.parametrize(("rule", "limit"), (
    ("mean: {column: price, at_least: 0.8 * median(last 5)}", 0.8 * statistics.median(MEANS)),
    ("mean: {column: price, at_least: last}", MEANS[-1]), ("mean: {column: price, at_least: max(last 3)}", max(MEANS[-3:])),
    ("mean: {column: price, at_least: avg(last(5)) - std(last 5)}", statistics.fmean(MEANS) - statistics.pstdev(MEANS)),
    ("mean: {column: price, at_least: 'index(last 5, 4)'}", MEANS[0]),
))  # fmt: skip
def test_a_bound_is_the_value_of_its_formula(rule_file, store, rule, limit):
    assert judged(rule_file, store, rule, limit + 1e-9).status == RuleStatus.PASSED
    failed = judged(rule_file, store, rule, limit - 1e-9)
    assert failed.status == RuleStatus.FAILED
    assert f"must be >= {limit:.6g} (" in failed.message


def test_the_result_says_the_numbers_and_the_batches(rule_file, store):
    found = judged(rule_file, store, "mean: {column: price, within: {ratio: 40%, of: median(last 3)}}", 30.0)
    told = "between 7.8 and 18.2 (median(last 3) = 13, of 2024-01-03, 2024-01-04, 2024-01-05)"
    assert (found.expected, found.message) == (told, f"Mean of 'price' is 30, must be {told}")
    for n in range(5, 15):
        add(store, n, 10.0)
    found = judged(rule_file, store, "mean: {column: price, at_least: mean(last 10)}", 9.0, day=15)
    assert found.expected == ">= 10 (mean(last 10) = 10, of 10 batches, 2024-01-06 to 2024-01-15)"


@pytest.mark.parametrize(("rule", "status"), (
    ("mean: {column: price, at_least: median(last 6)}", RuleStatus.NOT_APPLICABLE),
    ("mean: {column: price, at_least: median(last 6)}\n  min_history: 5", RuleStatus.FAILED),
    ("mean: {column: price, at_least: median(last 6)}\n  min_history: 6", RuleStatus.NOT_APPLICABLE),
    ("sum: {column: price, at_least: last}", RuleStatus.NOT_APPLICABLE),
    ("mean: {column: price, at_least: last}\n  where: price > 0", RuleStatus.NOT_APPLICABLE),
))  # fmt: skip
def test_a_past_too_short_is_neither_good_nor_bad(rule_file, store, rule, status):
    found = judged(rule_file, store, rule, 0.0)
    assert found.status == status
    if status == RuleStatus.NOT_APPLICABLE:
        assert "published" in found.message
        assert found.metric.value == 0.0


@pytest.mark.parametrize(("bound", "value", "status"), (
    ("above: 0.9 * avg(last(10))", 1.0, RuleStatus.PASSED), ("above: 0.9 * avg(last(10))", 0.0, RuleStatus.FAILED),
    ("equals: max(last(3)) + std(last(3)) + index(last(3), 2)", 0.0, RuleStatus.PASSED), ("at_most: 1 / last", 0.0, RuleStatus.ERROR),
))  # fmt: skip
def test_without_any_history_what_is_not_there_is_0_where_that_is_asked_for(rule_file, tmp_path, bound, value, status):
    nothing = LocalStore(str(tmp_path / "none"))
    word, _, formula = bound.partition(": ")
    rule = f"mean: {{column: price, {word}: '{formula}'}}\n  min_history: 0"
    assert judged(rule_file, nothing, rule, value).status == status
    assert judged(rule_file, nothing, rule.partition("\n")[0], value).status == RuleStatus.NOT_APPLICABLE


def test_with_some_history_functions_are_of_what_is_there(rule_file, store):
    rule = "mean: {column: price, equals: mean(last 9)}\n  min_history: 0"
    assert judged(rule_file, store, rule, statistics.fmean(MEANS)).status == RuleStatus.PASSED


def test_the_default_of_a_file_reaches_only_rules_it_can_be_for(rule_file):
    body = "- mean: {column: price, at_least: median(last 7)}\n- row_count: {at_least: last}\n- required: {column: price}\n"
    rules = load(rule_file(HEAD.replace("rules:", "defaults: {min_history: 3}\nrules:") + body), batch="b").rules
    assert [rule.min_history for rule in rules] == [3, None, None]
    assert ["min_history" in rule.canonical for rule in rules] == [True, False, False]


def test_only_published_batches_before_this_one_count(rule_file, store):
    rule = "mean: {column: price, equals: sum(last 2)}"
    held = {"decision": Decision.HELD, "status": BatchStatus.FAILED}
    add(store, 6, 1000.0, **held)
    add(store, 9, 2000.0)
    # the third day again: itself does not count, nor what came later
    assert judged(rule_file, store, rule, MEANS[0] + MEANS[1], day=2, batch="2024-01-03").status == RuleStatus.PASSED
    assert judged(rule_file, store, rule, MEANS[3] + MEANS[4], day=8).status == RuleStatus.PASSED
    # a batch that ran again counts once, by its last run
    add(store, 4, 1.0)
    assert judged(rule_file, store, rule, MEANS[3] + 1.0, day=8).status == RuleStatus.PASSED


def test_rows_are_known_of_every_run(rule_file, store):
    rows = [1000 + n % 7 for n in range(5)]
    assert judged(rule_file, store, "row_count: {equals: sum(last 5)}", sum(rows)).status == RuleStatus.PASSED


@pytest.mark.parametrize(("rule", "value", "why"), (
    ("mean: {column: price, at_least: 1 / (last - last)}", 1.0, "1 / (last - last) cannot be reckoned: it divides by zero"),
    ("mean: {column: price, between: [last, 1]}", 1.0, "no value lies between 13 and 1"),
))  # fmt: skip
def test_a_formula_without_a_value_cannot_be_told(rule_file, store, rule, value, why):
    found = judged(rule_file, store, rule, value)
    assert (found.status, found.severity) == (RuleStatus.ERROR, Severity.ERROR)
    assert found.message.startswith(f"could not tell: {why}")


def test_a_history_that_cannot_be_read_spoils_only_the_rules_that_ask_for_it(rule_file, store):
    (entry,) = [e for e in store.list("history") if "run-4-" in e.key]
    store.put(entry.key, b"no parquet")
    found = judged(rule_file, store, "mean: {column: price, at_least: last}", 1.0)
    assert found.status == RuleStatus.ERROR
    assert "is no Parquet file of the history" in found.message
    assert judged(rule_file, store, "mean: {column: price, at_least: 1}", 1.0).status == RuleStatus.PASSED


@pytest.mark.parametrize(
    ("bounds", "status"),
    (
        ("at_least: last", RuleStatus.PASSED),
        ("above: last", RuleStatus.FAILED),
        ("equals: min(last 5)", RuleStatus.PASSED),
        ("at_least: last 6", None),
        ("at_least: max(last 6)", RuleStatus.NOT_APPLICABLE),
    ),
)
def test_the_number_of_columns_has_a_history(rule_file, store, bounds, status):
    for n in range(5):
        add(store, n, 1.0, columns_then=2 if n else 3)
    if status is None:
        with pytest.raises(RuleFileError):
            load(rule_file(HEAD + f"- column_count: {{{bounds}}}\n"), batch="b")
        return
    plan = planner.plan(load(rule_file(HEAD + f"- column_count: {{{bounds}}}\n"), batch="b"), Row(COLUMNS), text=False)
    (unread,) = verification.judge(plan, Measured(1), COLUMNS)
    assert (unread.status, "history was not read" in unread.message) == (RuleStatus.ERROR, True)
    live = commit.live_records(store, "d")
    plan = lookback.with_past(plan, store, live, "today", START + timedelta(days=5), None)
    (found,) = verification.judge(plan, Measured(1), COLUMNS)
    assert found.metric is not None
    assert (found.status, found.metric.value) == (status, 2)


def test_bounds_nobody_resolved_cannot_be_told(rule_file):
    rules = load(rule_file(HEAD + "- row_count: {at_least: last}\n"), batch="b")
    plan = planner.plan(rules, Row(COLUMNS), text=False)
    key = plan.metric_checks[0].analyzer.key
    (found,) = verification.judge(plan, Measured(1, metrics={"row_count": Metric(key, 1)}, scopes={"row_count": 1}), ())
    assert found.status == RuleStatus.ERROR
    assert "history was not read" in found.message
    assert "history: the metrics of up to 1 published batches before this one (for row_count)" in plans.render(plan)
    assert plans.to_dict(plan)["earlier_batches"] == 1


def test_the_canonical_form_loads_to_the_same_rules(rule_file):
    body = (
        "- mean: {column: price, within: {ratio: 40%, of: avg(last(7))}}\n  min_history: 3\n"
        "- row_count: {between: [0.5*last, 'max(10, 20% of max(last 5))']}\n- sum: {column: price, within: 20 of last}\n"
    )
    report = lint(str(rule_file(HEAD + body)), batch="b")
    assert report.rule_set is not None
    text = expanded(report)
    assert "within: 40% of mean(last 7)" in text
    assert load(rule_file(text, "again.yml"), batch="b").fingerprint == report.rule_set.fingerprint


@pytest.mark.parametrize(("rule", "told"), (
    ("length: {column: price, at_least: last}", "'length': takes no formula of earlier batches: only metrics have a history"),
    ("file_count: {at_least: last}", "takes no formula of earlier batches: only metrics have a history"),
    ("values: {column: price, within: 10% of last}", "'values': takes no formula of earlier batches"),
    ("row_count: {at_least: 5}\n  min_history: 3", "'min_history' of 'row_count': goes with bounds that look at earlier batches"),
    ("row_count: {at_least: median(last 3)}\n  min_history: 4", "must be at most 3, the number of batches the bounds ask for, got 4"),
    ("row_count: {at_least: last}\n  min_history: -1", "must be a whole number of batches from 0 to 1,000, got -1"),
    ("row_count: {at_least: lsat(7)}", "'at_least' must be a number, got 'lsat(7)'"),
    ("row_count: {at_least: median(last 7}", "needs ')' before the end of 'median(last 7'"),
))  # fmt: skip
def test_a_mistake_ends_in_one_message_at_its_line(rule_file, rule, told):
    with pytest.raises(RuleFileError) as error:
        load(rule_file(HEAD + f"- {rule}\n"), batch="b")
    assert told in str(error.value)
    assert len(error.value.problems) == 1


def test_texts_with_the_word_last_are_texts_beside_values(rule_file):
    body = (
        "- values: {column: name, not_equals: last call, at_least: last}\n- between: {column: name, range: [a, last]}\n"
    )
    first, second = load(rule_file(HEAD + body), batch="b").rules
    assert isinstance(first.check, Values)
    assert isinstance(second.check, Between)
    assert dict(first.check.bounds.terms) == {"not_equals": "last call", "at_least": "last"}
    assert second.check.range == ("a", "last")


def test_dates_have_no_arithmetic_and_say_so_from_the_first_batch_on(rule_file, store):
    found = judged(rule_file, store, "max: {column: day, at_least: last}", date(2024, 1, 5))
    assert found.status == RuleStatus.ERROR
    assert found.message.endswith("functions of earlier batches are about numbers, and Maximum is 2024-01-05")


@pytest.mark.parametrize(("rule", "wrong"), (
    ("drift: {column: price, at_most: 0.1, where: a}", "'where' stands beside 'drift', not inside it"),
    ("{drift: {column: price, at_most: 0.1}, where: price > 1}", "'where' of 'drift': does not go with it: it is about all rows"),
    ("drift: {column: price, at_most: 2 * last}", "takes numbers as bounds, not formulas of earlier batches"),
    ("drift: {column: price, at_most: 1, method: emd}", "must be one of psi, ks, js, linf, chi_square, got 'emd'"),
    ("drift: {column: price, at_most: 1, against: last 0}", "must be a number of earlier batches such as 'last 7', at most 1,000"),
    ("{drift: {column: price, at_most: 1, against: last 5}, min_history: 6}", "must be at most 5"),
    ("{drift: {column: price, at_most: 1}, min_history: 8}", "must be at most 7"),
    ("{drift: {column: price, at_most: 1}, min_history: 0}", "must be at least 1: there is no distribution of no batches"),
    ("drift: {column: price, at_most: 1, reference: old}", "reference 'old' is not declared; there is no section 'references:'"),
    ("drift: {column: price, at_most: 1, against: last 7, reference: old}", "('against') or with a 'reference', not with both"),
    ("drift: {column: price, at_most: 1, reference_column: old}", "'reference_column' needs a 'reference'"),
    ("{drift: {column: price, at_most: 1, reference: old}, min_history: 2}", "goes with bounds that look at earlier batches"),
))  # fmt: skip
def test_a_drift_rule_that_is_wrong_is_refused(rule_file, rule, wrong):
    (problem,) = lint(str(rule_file(HEAD + f"- {rule}\n"))).problems
    assert wrong in problem.message


def test_drift_without_a_history_cannot_be_told(rule_file, store):
    rules = load(rule_file(HEAD + "- drift: {column: price, at_most: 1}\n"), batch="b")
    plan = planner.plan(rules, Row(COLUMNS), text=False)
    (check,) = plan.metric_checks
    measured = Measured(100, metrics={check.rule.id: Metric(check.analyzer.key, None)}, scopes={check.rule.id: 100})
    (result,) = verification.judge(plan, measured, COLUMNS)
    assert (result.status, result.message) == (
        RuleStatus.ERROR,
        "could not tell: the history was not read, and the column is compared with it",
    )
    # batches are there, and none of them was profiled
    waiting = judged(rule_file, store, "drift: {column: price, against: last 3, at_most: 1}", None)
    assert (waiting.status, waiting.message) == (
        RuleStatus.NOT_APPLICABLE,
        "looks back over at least 3 published batches before this one, there are 3, 0 of them with a sketch of this column",
    )
