"""Our metrics and verdicts beside Deequ's own: AnalysisRunner measures the same analyzers over the same rows, and the
checks of a run are Deequ's. Where the two differ on purpose, a test here pins the difference; docs/deequ.md lists them.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import quality
from quality import analyzers, distributions, planner
from quality.analyzers import Analyzer
from quality.backends.deequ import connect
from quality.backends.schemas import columns_of
from quality.errors import RuleFileError
from quality.rule_types.base import Row

ROOT = Path(__file__).parents[2]
ENGINES = ("auto", "deequ-runner", "spark")
BATCH = "2024-01-01"

SCHEMA = "i int, d double, y double, s string, g string, k int"
DATA = [
    (None if n % 6 == 5 else n % 7, None if n % 5 == 4 else n * 0.25 - 1, n * n % 11 / 2, "ab" * (n % 4) if n % 9 else None,
     "ab"[n % 2], None if n % 8 == 7 else n % 13)
    for n in range(30)
]  # fmt: skip
#: The last is NULL for the rows without i, and they are out of scope.
FILTERS = ("", "g = 'a'", "i > 2")

METRICS: list[dict[str, Any]] = [
    {"row_count": {}},
    *({"completeness": {"column": column}} for column in ("i", "s", "g")),
    *({word: {"column": column}} for word in ("mean", "sum", "stddev", "min", "max") for column in ("i", "d")),
    *(
        {word: {"column": column}}
        for word in ("variance", "skewness", "kurtosis", "value_range", "iqr", "median", "zeros_count")
        for column in ("i", "d")
    ),
    *({"quantile": {"column": "d", "q": q, "exact": True}} for q in (0, 0.3, 1)),
    {"ratio_of_sums": {"numerator": "i", "denominator": "y"}},
    *({"duplicate_rows": {"columns": columns}} for columns in (["k"], ["i", "s"])),
    *({word: {"column": "s"}} for word in ("min_length", "max_length")),
    *({"quantile": {"column": "d", "q": q}} for q in (0, 0.25, 0.5, 0.99)),
    {"correlation": {"columns": ["d", "y"]}},
    *({"entropy": {"column": column}} for column in ("i", "s", "k")),
    *({"distinct_count": {"column": column, "approximate": True}} for column in ("i", "s")),
    *(
        {word: {"columns": columns}}
        for word in ("uniqueness", "distinctness", "unique_value_ratio", "distinct_count")
        for columns in (["k"], ["i", "s"])
    ),
]
#: One that every metric here satisfies, and one that none does.
BOUNDS = ({"at_least": -1e6}, {"above": 1e6})
SHARES = ("completeness", "uniqueness", "distinctness", "unique_value_ratio")
#: Of what has ends: these.
ENDS = {word: ({"at_least": 0}, {"above": 1}) for word in SHARES} | {"correlation": ({"at_least": -1}, {"above": 1})}
ROW_RULES: list[dict[str, Any]] = [
    {"required": {"column": "i"}},
    {"required": {"column": "g"}},
    {"at_least": {"column": "i", "value": 3}},
    {"at_least": {"column": "i", "value": 3}, "tolerance": "60%"},
    {"at_least": {"column": "i", "value": 3}, "tolerance": "7 rows"},
    {"between": {"column": "d", "range": [0, 5]}, "nulls": "fail"},
    {"between": {"column": "d", "range": [0, 5]}, "nulls": "skip"},
    {"in": {"column": "s", "values": ["", "ab"]}, "severity": "warning"},
    {"matches": {"column": "s", "pattern": "(ab)*"}},
    {"length": {"column": "s", "at_most": 4}},
    {"that": "i < d"},
    {"that": "i < d", "nulls": "fail", "severity": "info"},
    {"that": "i < d", "nulls": "skip"},
]


def metric_rules() -> list[dict[str, Any]]:
    found = []
    for rule in METRICS:
        ((word, arguments),) = rule.items()
        for where in FILTERS:
            beside = {"where": where} if where else {}
            found += [{word: {**arguments, **bounds}, "on_fail": "keep", **beside} for bounds in ENDS.get(word, BOUNDS)]
    return found


def row_rules() -> list[dict[str, Any]]:
    return [{**rule, **({"where": where} if where else {})} for rule in ROW_RULES for where in FILTERS]


RULES = [{**rule, "name": f"r{index}"} for index, rule in enumerate([*metric_rules(), *row_rules()])]


def write_rules(folder: Path, rules: Sequence[Mapping[str, Any]], name: str = "rules.yml") -> Path:
    tree = {
        "version": 1,
        "dataset": "parity",
        "input": {"path": str(folder / "data.parquet")},
        "hold": {"quarantined_above": "100%"},
        "outputs": {"root": str(folder / f"root-{name}")},
        "rules": list(rules),
    }
    file = folder / name
    file.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return file


def judged(spark, folder: Path, frame, rules: Sequence[Mapping[str, Any]], engine: str = "auto"):
    """A run over the rows of a frame."""
    frame.coalesce(1).write.mode("overwrite").parquet(str(folder / "data.parquet"))
    result = quality.run(write_rules(folder, rules), BATCH, spark=spark, engine=engine)
    assert result.exit_code != 3, result.data["message"]
    return result


def each(spark, folder: Path, frame, *rules: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of rules in the result of one run."""
    result = judged(spark, folder, frame, [{**rule, "id": f"r{n}"} for n, rule in enumerate(rules)])
    return [result.rule(f"r{n}") for n in range(len(rules))]


def value_of(entry: Mapping[str, Any]) -> float | None:
    text = entry["metric"]["value_text"] if entry["metric"] else ""
    return float(text) if text else None


def equal(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-12)


@pytest.fixture(scope="module")
def deequ(spark):
    connected = connect(spark)
    assert connected is not None, "the session has no Deequ"
    return connected


@pytest.fixture(scope="module")
def runner(deequ):
    """Deequ's AnalysisRunner: the value of each analyzer, None where Deequ fails."""

    def run(frame, wanted: Sequence[Analyzer]) -> list[float | None]:
        unique = {analyzer: deequ.real(analyzer) for analyzer in wanted}
        found = deequ.run(frame, list(unique.values()))
        values = {analyzer: deequ.value(found[index]) for index, analyzer in enumerate(unique)}
        return [values[analyzer] for analyzer in wanted]

    return run


@pytest.fixture(scope="module")
def frame(spark):
    return spark.createDataFrame(DATA, SCHEMA).coalesce(1)


@pytest.fixture(scope="module")
def results(spark, frame, tmp_path_factory):
    """The same rules by each engine, each once."""

    @cache
    def run(engine: str):
        return judged(spark, tmp_path_factory.mktemp(engine), frame, RULES, engine)

    return run


@pytest.fixture(scope="module")
def compiled(frame, tmp_path_factory):
    """Our analyzer of every rule, by its name."""
    folder = tmp_path_factory.mktemp("compiled")
    rule_set = quality.load(write_rules(folder, RULES), batch=BATCH)
    plan = planner.plan(rule_set, Row(columns_of(frame.schema)), text=False)
    assert not plan.errors
    rows = {check.rule.id: check.analyzer for check in plan.row_checks}
    return {**rows, **{check.rule.id: check.analyzer for check in plan.metric_checks}}


# the same


def test_every_metric_is_what_deequs_own_runner_measures(results, compiled, runner, frame):
    # Deequ's CountDistinct takes no filter: see below
    comparable = {id: analyzer for id, analyzer in compiled.items() if analyzer.deequ}
    theirs = dict(zip(comparable, runner(frame, list(comparable.values())), strict=True))
    ours = {id: value_of(results("auto").rule(id)) for id in comparable}
    assert {a.name for a in comparable.values()} == {
        *("Size", "Completeness", "Compliance", "Mean", "Sum", "StandardDeviation", "Minimum", "Maximum"),
        *("MinLength", "MaxLength", "ApproxQuantile", "ApproxCountDistinct", "Correlation"),
        *("Uniqueness", "Distinctness", "UniqueValueRatio", "CountDistinct", "DuplicateRowCount", "Entropy"),
        *(
            "Variance",
            "Skewness",
            "Kurtosis",
            "Range",
            "InterquartileRange",
            "ZerosCount",
            "ExactQuantile",
        ),
    }
    assert {id: (ours[id], theirs[id]) for id in comparable if not equal(ours[id], theirs[id])} == {}
    assert None not in theirs.values()


@pytest.mark.parametrize("engine", ("auto", "deequ-runner"))
def test_every_constraint_of_deequs_check_agrees_with_our_verdict(results, compiled, engine):
    result = results(engine)
    constraints = [outcome for check in result.checks for outcome in check.constraints]
    verdicts = {
        entry["id"]: entry["status"] == "passed" for entry in result.data["rules"] if compiled[entry["id"]].deequ
    }
    assert {outcome.rule: outcome.passed for outcome in constraints} == verdicts
    assert len(constraints) == len(verdicts)
    assert set(verdicts.values()) == {True, False}
    levels = {outcome.rule: check.level for check in result.checks for outcome in check.constraints}
    assert levels == {
        rule["name"]: "Error" if rule.get("severity", "error") == "error" else "Warning"
        for rule in RULES
        if rule["name"] in verdicts
    }
    for check in result.checks:
        assert check.status == ("Success" if all(o.passed for o in check.constraints) else check.level)


@pytest.mark.parametrize("engine", ("deequ-runner", "spark"))
def test_the_engines_give_the_same_results(results, engine):
    auto, other = results("auto"), results(engine)
    assert (auto.data["versions"]["engine"], other.data["versions"]["engine"]) == ("deequ", engine)
    for mine, theirs in zip(auto.data["rules"], other.data["rules"], strict=True):
        assert equal(value_of(mine), value_of(theirs)), mine["id"]
        for word in ("id", "status", "rows_in_scope", "failed_rows", "expected"):
            assert mine[word] == theirs[word]
    assert auto.data["rows"] == other.data["rows"]


@pytest.mark.parametrize("engine", ENGINES)
def test_degenerate_columns_are_measured_alike_by_all_engines(spark, tmp_path, engine):
    """A constant has no correlation, a mean of decimals is not cut, a mean of longs does not wrap around."""
    frame = spark.sql(
        "select 1D as one, n * 1D as n, cast(n as decimal(4,2)) as dec, 4611686018427387904L as l, cast(null as int) as void,"
        " if(n = 0, double('NaN'), n) as nan from (select explode(array(0, 1, 1)) as n)"
    )
    wanted = {
        ("correlation", "one", "n"): "NaN",
        ("correlation", "n", "void"): None,
        ("mean", "dec"): 2 / 3,
        ("mean", "l"): float(2**62),
        ("sum", "l"): float(3 * 2**62),
        ("stddev", "l"): 0.0,
        ("mean", "nan"): "NaN",
        ("max", "nan"): "NaN",
        ("min", "nan"): 1.0,
        ("mean", "void"): None,
        ("uniqueness", "void"): None,
        ("unique_value_ratio", "void"): None,
        ("distinct_count", "void"): 0.0,
        ("distinct_count", "nan"): 2.0,
    }
    rules: list[dict[str, Any]] = []
    for word, *columns in wanted:
        where_to_look = {"columns": columns} if len(columns) > 1 else {"column": columns[0]}
        rules.append({word: {**where_to_look, **ENDS.get(word, BOUNDS)[0]}, "id": "-".join([word, *columns])})
    result = judged(spark, tmp_path, frame, rules, engine)
    for key, value in wanted.items():
        entry = result.rule("-".join(key))
        assert equal(value_of(entry), None if value is None else float(value)), entry
        assert entry["status"] == ("error" if value is None else "failed" if value == "NaN" else "passed"), entry


# what a run costs


SCAN_METRICS = [
    *({word: {"column": "d", "above": -1e6}} for word in ("mean", "sum", "stddev", "min", "max")),
    *({word: {"column": "s", "above": -1}} for word in ("min_length", "max_length")),
    {"quantile": {"column": "d", "q": 0.5, "above": -1e6}},
    {"correlation": {"columns": ["d", "y"], "at_least": -1}},
    {"distinct_count": {"column": "s", "approximate": True, "above": -1}},
]


@pytest.mark.usefixtures("large")
def test_thirty_row_rules_and_ten_metrics_take_one_wide_pass_that_writes_and_a_narrow_one(spark, frame, tmp_path):
    rows = [{"that": f"i is null or i > {-n - 1}", "name": f"row {n}"} for n in range(30)]
    metrics = [{**rule, "name": f"metric {n}"} for n, rule in enumerate(SCAN_METRICS)]
    (tmp_path / "few").mkdir()
    few = judged(spark, tmp_path / "few", frame, [rows[0], metrics[-1]])
    many = judged(spark, tmp_path, frame, [*rows, *metrics])
    assert {entry["status"] for entry in many.data["rules"]} == {"passed"}
    assert many.data["passes"]["actual"]["wide"] == 1
    assert many.data["passes"]["actual"]["narrow"] == 1
    # as Spark counts them: forty rules need no job more than one
    assert many.data["passes"]["actual"]["jobs"] == few.data["passes"]["actual"]["jobs"]


def test_the_fallback_to_deequs_runner_takes_one_wide_scan_more(spark, frame, tmp_path):
    metrics = [{**rule, "name": f"metric {n}"} for n, rule in enumerate(SCAN_METRICS)]
    result = judged(spark, tmp_path, frame, metrics, "deequ-runner")
    assert result.data["passes"]["actual"]["wide"] == 3


def test_no_python_callback_server_is_started(spark, frame, tmp_path):
    before = set(threading.enumerate())
    result = judged(spark, tmp_path, frame, [{"mean": {"column": "d", "above": 0}}, {"required": {"column": "i"}}])
    assert result.checks
    gateway = spark.sparkContext._gateway
    assert getattr(gateway, "_callback_server", None) is None
    assert [t for t in set(threading.enumerate()) - before if not t.daemon] == []


# one rule that cannot be judged


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("throws while it runs", {"that": "element_at(array(1, 2), cast(i as int)) > 0"}),
    ("throws in its filter", {"required": {"column": "s"}, "where": "element_at(array(1, 2), cast(i as int)) > 0"}),
    ("a filter of a metric throws", {"mean": {"column": "d", "above": 0}, "where": "element_at(array(1, 2), i) > 0"}),
    ("a filter of a key throws", {"unique": {"column": "k"}, "where": "element_at(array(1, 2), i) > 0"}),
    ("a column that is not there", {"at_least": {"column": "nowhere", "value": 0}}),
    ("a column that is not there, in SQL", {"that": "nowhere > 0"}),
    ("a column that is not there, in a filter", {"required": {"column": "i"}, "where": "nowhere > 0"}),
    ("a column of a metric that is not there", {"mean": {"column": "nowhere", "above": 0}}),
    ("a column of a key that is not there", {"unique": {"columns": ["k", "nowhere"]}}),
    ("a number beside a date", {"at_least": {"column": "i", "value": "2020-01-01"}}),
    ("a mean of texts", {"mean": {"column": "s", "above": 0}}),
    ("a length of numbers", {"min_length": {"column": "i", "above": 0}}),
    ("a type that no cast leads to", {"type": {"column": "i", "is": "date"}}),
    ("no boolean", {"that": "i + 1"}),
    ("a text", {"that": "s"}),
    ("a map as key", {"unique": {"column": "m"}}),
    ("a map to count", {"distinct_count": {"column": "m", "above": 0}}),
]


def test_a_rule_that_cannot_be_judged_ends_in_error_alone(spark, frame, tmp_path):
    frame = frame.selectExpr("*", "map('a', d) as m")
    sound = [
        {**rule, "name": f"sound {n}"}
        for n, rule in enumerate([*row_rules()[:12], *SCAN_METRICS, {"key": {"column": "k"}}])
    ]
    broken = [{**rule, "name": f"broken {n}"} for n, (_, rule) in enumerate(BROKEN)]
    (tmp_path / "sound").mkdir()
    alone = judged(spark, tmp_path / "sound", frame, sound)
    mixed = judged(
        spark, tmp_path, frame, [x for pair in zip(broken, sound, strict=False) for x in pair] + sound[len(broken) :]
    )
    statuses = {why: mixed.rule(f"broken-{n}")["status"] for n, (why, _) in enumerate(BROKEN)}
    assert statuses == {why: "error" for why, _ in BROKEN}
    for n in range(len(sound)):
        mine, theirs = dict(mixed.rule(f"sound-{n}")), dict(alone.rule(f"sound-{n}"))
        mine.pop("location"), theirs.pop("location")
        assert mine == theirs
    assert "error" not in {entry["status"] for entry in alone.data["rules"]}
    assert mixed.data["rows"] == alone.data["rows"]
    assert {o.rule for c in mixed.checks for o in c.constraints} == {
        o.rule for c in alone.checks for o in c.constraints
    }
    assert (mixed.exit_code, str(mixed.status), str(mixed.decision)) == (4, "error", "held")


MANY_ROWS = ("sum(i) > 0", "row_number() over (order by i) > 0", "explode(array(true))")


@pytest.mark.parametrize("text", MANY_ROWS)
def test_an_expression_over_many_rows_is_refused_before_anything_is_read(spark, frame, tmp_path, text):
    with pytest.raises(RuleFileError, match="looks at many rows"):
        judged(spark, tmp_path, frame, [{"that": text}])


def test_an_expression_over_many_rows_that_the_lint_does_not_know_is_an_error_alone(
    spark, frame, tmp_path, monkeypatch
):
    # functions that a platform has registered
    monkeypatch.setattr("quality.sql.AGGREGATES", frozenset())
    broken = [{"that": text} for text in MANY_ROWS]
    found = each(spark, tmp_path, frame, *broken, {"required": {"column": "g"}}, {"mean": {"column": "d", "above": 0}})
    assert [entry["status"] for entry in found] == ["error"] * len(MANY_ROWS) + ["passed", "passed"]


# differences, each a row of docs/deequ.md


def check_status(spark, deequ, frame, demand) -> str:
    """The status of a Deequ check run by Deequ's VerificationSuite."""
    checks = deequ.jvm.com.amazon.deequ.checks
    check = demand(checks.Check(checks.CheckLevel.Error(), "theirs", deequ._seq([])))
    result = deequ.jvm.com.amazon.deequ.VerificationRunBuilder(frame._jdf).addCheck(check).run()
    return str(result.status().toString())


def compliance(predicate: str, where: str = "") -> analyzers.Compliance:
    return analyzers.Compliance((), where, instance="theirs", predicate=predicate)


def test_a_null_passes_a_row_rule_unless_nulls_fail_makes_it_deequs_miss(spark, runner, tmp_path):
    frame = spark.createDataFrame([(1,), (-1,), (None,), (2,)], "x int")
    assert runner(frame, [compliance("x > 0")]) == [0.5]
    rule = {"above": {"column": "x", "value": 0}}
    found = each(spark, tmp_path, frame, rule, {**rule, "nulls": "fail"}, {**rule, "nulls": "skip"})
    assert [value_of(entry) for entry in found] == [0.75, 0.5, 2 / 3]


def test_a_predicate_that_is_null_everywhere_is_counted_and_no_failure_to_measure(spark, runner, tmp_path):
    frame = spark.createDataFrame([(None,), (None,)], "x int")
    assert runner(frame, [compliance("x > 0")]) == [None]
    rule = {"above": {"column": "x", "value": 0}}
    found = each(spark, tmp_path, frame, rule, {**rule, "nulls": "fail"}, {**rule, "nulls": "skip"})
    assert [entry["status"] for entry in found] == ["passed", "failed", "not_applicable"]
    assert [value_of(entry) for entry in found] == [1.0, 0.0, None]


def test_nan_fails_a_comparison_that_deequ_finds_true(spark, runner, tmp_path):
    frame = spark.createDataFrame([(float("nan"),), (1.0,)], "x double")
    assert runner(frame, [compliance("x >= 0")]) == [1.0]
    rule = {"at_least": {"column": "x", "value": 0}}
    found = each(spark, tmp_path, frame, rule, {**rule, "nan": "pass"})
    assert [entry["failed_rows"] for entry in found] == [1, 0]


def test_a_rule_over_no_rows_is_not_applicable_where_deequ_fails(spark, runner, tmp_path):
    empty = spark.createDataFrame([], "x int")
    wanted = [analyzers.Completeness(("x",)), compliance("x > 0"), analyzers.Mean(("x",)), analyzers.Uniqueness(("x",))]
    assert runner(empty, wanted) == [None] * 4
    bounds = {"column": "x", "above": 0}
    words = ("completeness", "mean", "uniqueness")
    rules: list[dict[str, Any]] = [
        {"required": {"column": "x"}},
        {"above": {"column": "x", "value": 0}},
        *({word: bounds} for word in words),
    ]
    assert {entry["status"] for entry in each(spark, tmp_path, empty, *rules)} == {"not_applicable"}


def test_a_filter_that_leaves_no_row_makes_a_rule_not_applicable(spark, runner, tmp_path):
    frame = spark.createDataFrame([(1,)], "x int")
    where = "x > 100"
    wanted = [compliance("x > 0", where), analyzers.Mean(("x",), where), analyzers.Uniqueness(("x",), where)]
    assert runner(frame, wanted) == [None, None, None]
    rules = [
        {"above": {"column": "x", "value": 0}},
        *({w: {"column": "x", "above": 0}} for w in ("mean", "uniqueness")),
    ]
    found = each(spark, tmp_path, frame, *({**rule, "where": where} for rule in rules))
    assert [entry["status"] for entry in found] == ["not_applicable"] * 3


def test_a_metric_of_a_column_of_nulls_is_an_error_where_deequ_fails(spark, runner, tmp_path):
    frame = spark.createDataFrame([(None,), (None,)], "x int")
    assert runner(frame, [analyzers.Mean(("x",)), analyzers.Distinctness(("x",))]) == [None, None]
    rules = ({word: {"column": "x", "at_least": 0}} for word in ("mean", "distinctness"))
    assert [entry["status"] for entry in each(spark, tmp_path, frame, *rules)] == ["error", "error"]


def test_a_set_may_hold_backslashes_and_quotes(spark, deequ, tmp_path):
    frame = spark.createDataFrame([("a\\b",), ("it's",)], "x string")
    values = deequ.gateway.new_array(deequ.jvm.java.lang.String, 2)
    values[0], values[1] = "a\\b", "it's"
    assert check_status(spark, deequ, frame, lambda check: check.isContainedIn("x", values)) == "Error"
    assert check_status(spark, deequ, frame.where('x = "it\'s"'), lambda c: c.isContainedIn("x", values)) == "Success"
    (found,) = each(spark, tmp_path, frame, {"in": {"column": "x", "values": ["a\\b", "it's"]}})
    assert found["status"] == "passed"


def test_matches_is_of_the_whole_value_and_an_empty_match_is_one(spark, deequ, tmp_path):
    frame = spark.createDataFrame([("xabx",), ("",), ("ab\n",), ("ab",), (None,)], "x string")

    def theirs(pattern: str) -> float | None:
        regex = deequ.jvm.scala.util.matching.Regex(pattern, deequ._seq([]))
        java = deequ.analyzers.PatternMatch("x", regex, deequ.none, deequ.none)
        value: float | None = deequ.value(deequ.run(frame, [java])[0])
        return value

    # finds anywhere, and NULL is a miss; finds the empty text in every value, and takes it for no match
    assert (theirs("ab"), theirs("(cd)*")) == (3 / 5, 0.0)
    wanted = [
        ("matches", "ab", 3),
        ("contains_match", "ab", 1),
        ("contains_match", "(cd)*", 0),
        ("matches", "(cd)*", 3),
    ]
    found = each(spark, tmp_path, frame, *({word: {"column": "x", "pattern": text}} for word, text, _ in wanted))
    assert [entry["failed_rows"] for entry in found] == [failed for _, _, failed in wanted]


def test_longs_beyond_2_to_53_and_decimals_keep_every_digit(spark, runner, tmp_path):
    precise = Decimal("12345678901234567890.125")
    frame = spark.createDataFrame([(2**53 + 1, precise)], "l long, d decimal(38,3)")
    assert runner(frame, [analyzers.Maximum(("l",)), analyzers.Sum(("d",))]) == [float(2**53), float(precise)]
    largest = {"max": {"column": "l", "at_least": 2**53 + 1}}
    found = each(spark, tmp_path, frame, largest, {"sum": {"column": "d", "above": 0}})
    assert [entry["status"] for entry in found] == ["passed", "passed"]
    assert [entry["metric"]["value_text"] for entry in found] == [str(2**53 + 1), str(precise)]


def test_sums_and_means_of_longs_do_not_wrap_around(spark, runner, tmp_path):
    frame = spark.createDataFrame([(2**62,)] * 4, "x long").coalesce(1)
    assert runner(frame, [analyzers.Sum(("x",)), analyzers.Mean(("x",))]) == [0.0, 0.0]
    found = each(
        spark, tmp_path, frame, {"sum": {"column": "x", "equals": 2**64}}, {"mean": {"column": "x", "equals": 2**62}}
    )
    assert [entry["status"] for entry in found] == ["passed", "passed"]


def test_a_key_with_a_null_part_is_no_duplicate_for_unique_and_fails_key(spark, runner, tmp_path):
    frame = spark.createDataFrame([(1, None), (1, None), (None, None), (2, 2)], "a int, b int")
    # a value like any other, unless all parts are NULL
    assert runner(frame, [analyzers.Uniqueness(("a", "b"))]) == [1 / 3]
    key = {"columns": ["a", "b"]}
    share, unique, primary = each(
        spark, tmp_path, frame, {"uniqueness": {**key, "above": 0}}, {"unique": key}, {"key": key}
    )
    assert value_of(share) == 1 / 3
    assert (unique["failed_rows"], primary["failed_rows"]) == (0, 3)


def test_a_filtered_distinct_count_is_ours_alone(spark, frame, runner, tmp_path):
    rules = [
        {"distinct_count": {"column": "k", "at_least": 0}, "name": "all"},
        {"distinct_count": {"column": "k", "at_most": 7}, "where": "g = 'a'", "name": "some"},
    ]
    result = judged(spark, tmp_path, frame, rules)
    counts = [analyzers.CountDistinct(("k",))]
    assert value_of(result.rule("all")) == runner(frame, counts)[0]
    assert value_of(result.rule("some")) == runner(frame.where("g = 'a'"), counts)[0]
    assert [outcome.rule for check in result.checks for outcome in check.constraints] == ["all"]


def test_dates_and_times_have_a_minimum(spark, runner, tmp_path):
    frame = spark.createDataFrame([(date(1582, 10, 4),), (date(2020, 2, 29),)], "x date")
    assert runner(frame, [analyzers.Minimum(("x",))]) == [None]
    result = judged(spark, tmp_path, frame, [{"min": {"column": "x", "at_least": "1582-10-04"}, "name": "one"}])
    assert result.rule("one")["status"] == "passed"
    assert result.rule("one")["metric"]["value_text"] == "1582-10-04"
    assert result.checks == ()


def test_nested_fields_and_structs_can_be_measured(spark, runner, tmp_path):
    frame = spark.sql("select named_struct('f', n) as st from (select explode(array(1, 2, null)) as n)")
    assert runner(frame, [analyzers.Completeness(("st",)), analyzers.Mean(("st.f",))]) == [None, None]
    rules = [{word: {"column": column, "above": 0}} for word, column in (("completeness", "st"), ("mean", "st.f"))]
    assert [value_of(entry) for entry in each(spark, tmp_path, frame, *rules)] == [1.0, 1.5]


def test_a_dot_in_a_name_is_a_character_like_any_other(spark, deequ, tmp_path):
    frame = spark.createDataFrame([(1,), (3,)], "`a.b` int")
    assert deequ.value(deequ.run(frame, [deequ.real(analyzers.Mean(("a.b",)))])[0]) is None
    mean, members = each(
        spark,
        tmp_path,
        frame,
        {"mean": {"column": "a.b", "above": 0}},
        {"in": {"column": "a.b", "values": [1, 3]}},
    )
    assert value_of(mean) == 2.0
    assert members["status"] == "passed"


def test_one_wrong_expression_leaves_the_other_metrics_alone(spark, runner, tmp_path):
    frame = spark.createDataFrame([(1,)], "x int")
    assert runner(frame, [compliance("nowhere > 0"), analyzers.Size()]) == [None, None]
    rules: list[dict[str, Any]] = [
        {"that": "nowhere > 0", "name": "wrong"},
        {"row_count": {"equals": 1}, "name": "size"},
    ]
    result = judged(spark, tmp_path, frame, rules)
    assert (result.rule("wrong")["status"], result.rule("size")["status"]) == ("error", "passed")


def test_every_difference_of_the_documentation_is_pinned_here():
    text = (ROOT / "docs" / "deequ.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line][1:]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert all(named)
    written = {name for name, thing in globals().items() if name.startswith("test_") and callable(thing)}
    assert {name for names in named for name in names} <= written
    assert len(rows) >= 15


def test_every_analyzer_is_compared_with_deequs(compiled):
    there = [*vars(analyzers).values(), distributions.Entropy]
    kinds = {thing for thing in there if isinstance(thing, type) and issubclass(thing, Analyzer)}
    # Deequ's CustomSql runs a query by itself, against any table; it estimates no share
    abstract = {analyzers.Analyzer, analyzers.KeyAnalyzer, analyzers.Query, analyzers.ApproxDistinctness}
    assert {kind.__name__ for kind in kinds - abstract} == {analyzer.name for analyzer in compiled.values()}


def test_mutual_information_is_of_the_rows_with_both_values(spark, frame, tmp_path, deequ):
    rule = {"mutual_information": {"columns": ["k", "g"], "above": 0}, "id": "information"}
    result = judged(spark, tmp_path, frame, [rule])
    both = [row for row in DATA if row[5] is not None]
    where = "k is not null"
    java = deequ.analyzers.MutualInformation(deequ._seq(["k", "g"]), deequ._option(where))
    theirs, over_all = (
        deequ.value(deequ.run(frame, [one])[0])
        for one in (java, deequ.analyzers.MutualInformation(deequ._seq(["k", "g"]), deequ.none))
    )
    assert 0 < len(both) < len(DATA)
    assert equal(value_of(result.rule("information")), theirs)
    assert not equal(theirs, over_all)
    assert list(result.checks) == []


def test_a_ratio_of_sums_is_ours_alone(spark, frame, tmp_path):
    rule = {"ratio_of_sums": {"numerator": "i", "denominator": "y", "between": [1.186, 1.187]}, "id": "ratio"}
    result = judged(spark, tmp_path, frame, [rule])
    assert result.rule("ratio")["status"] == "passed"
    assert list(result.checks) == []
