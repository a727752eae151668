"""Suggestions from batches made of random numbers: what was planted is found, noise gives no rule, later batches decide."""

from __future__ import annotations

import re

import numpy as np
import pytest

from quality.rule_types.values import In
from quality.rulefile.lint import lint
from quality.suggesting.chances import rounded, share_limit, trends, wanders
from quality.suggesting.facts import of_arrays, shape
from quality.suggesting.judging import breaks
from quality.suggesting.suite import expected, suggest
from quality.suggesting.writing import Head, rule_file

ROWS = 300


def texts(values):
    found = np.empty(len(values), object)
    found[:] = values
    return found


def batch(n, rng, **changed):
    """A day of orders."""
    state = rng.choice(["new", "paid", "shipped"], ROWS, p=[0.3, 0.3, 0.4]).tolist()
    city = rng.choice(["Rome", "Oslo", "Bern", "Lima"], ROWS).tolist()
    country = {"Rome": "IT", "Oslo": "NO", "Bern": "CH", "Lima": "PE"}
    net = np.round(rng.gamma(2, 50, ROWS), 0)
    tax = np.floor(rng.uniform(1, 20, ROWS))
    tracked = [f"TR-{rng.integers(1000, 9999)}" if s == "shipped" or rng.random() < 0.3 else None for s in state]
    opened = rng.uniform(0, 1000, ROWS)
    columns = {
        "id": n * 10_000.0 + np.arange(ROWS),
        "state": texts(state),
        "city": texts(city),
        "country": texts([country[one] for one in city]),
        "month": rng.integers(1, 13, ROWS).astype(float),
        "net": net,
        "tax": tax,
        "gross": net + tax,
        "noise": rng.normal(0, 1, ROWS),
        "free": texts(["".join(rng.choice(list("abc DEF12-"), rng.integers(1, 30))) for _ in range(ROWS)]),
        "tracking": texts(tracked),
        "weight": np.where([t is None for t in tracked], np.nan, rng.uniform(1, 9, ROWS)),
        "opened": opened,
        "closed": opened + rng.exponential(400, ROWS),
    }
    return columns | changed


@pytest.fixture(scope="module")
def past():
    rng = np.random.default_rng(3)
    return [of_arrays(f"2024-01-{n:02d}", batch(n, rng)) for n in range(1, 25)]


@pytest.fixture(scope="module")
def suite(past):
    return suggest(past)


@pytest.fixture(scope="module")
def later():
    rng = np.random.default_rng(4)
    return lambda n, **changed: of_arrays(f"later {n}", batch(n, rng, **changed))


def rules(suite, **wanted):
    return [one for one in suite.suggestions if all(getattr(one, name) == value for name, value in wanted.items())]


@pytest.mark.parametrize(
    ("type", "columns"),
    (
        ("key", ("id",)),
        ("in", ("state",)),
        ("in", ("city",)),
        ("between", ("month",)),
        ("that", ("city", "country")),
        ("that", ("gross", "net", "tax")),
        ("matches", ("tracking",)),
        ("all_or_none_of", ("tracking", "weight")),
        ("required", ("state", "tracking")),
        ("compare", ("opened", "closed")),
        ("row_count", ()),
    ),
)
def test_what_was_planted_is_found(suite, type, columns):
    assert len(rules(suite, type=type, columns=columns)) == 1


def test_what_is_found_is_what_was_planted(suite):
    assert rules(suite, type="in", columns=("state",))[0].arguments == {"values": ["new", "paid", "shipped"]}
    assert rules(suite, type="between", columns=("month",))[0].arguments == {"range": [1, 12]}
    assert re.fullmatch(rules(suite, type="matches")[0].arguments["pattern"], "TR-4711")
    assert not re.fullmatch(rules(suite, type="matches")[0].arguments["pattern"], "tr-4711")


def test_noise_gives_no_sets_patterns_keys_or_pairs(suite):
    about = [one for one in suite.suggestions if {"noise", "free"} & set(one.columns)]
    assert {one.type for one in about} <= {"required", "between", "mean", "length"}


def test_a_number_that_keeps_counting_has_no_upper_end(suite, later):
    ends = [one for one in rules(suite, test="outside") if one.columns == ("id",)]
    assert not any(breaks(one, later(500)) for one in ends)


def test_later_good_batches_are_not_flagged_and_broken_ones_are(suite, later):
    good = [later(n) for n in range(30, 130)]
    flagged = [sum(breaks(one, each) is True for each in good) for one in suite.suggestions]
    assert sum(count > 1 for count in flagged) <= 0.05 * len(flagged)
    twice = later(40)
    twice = of_arrays("x", {name: np.append(v, v[:3]) for name, v in twice.sample.items()})
    assert any(breaks(one, twice) for one in rules(suite, type="key"))
    for name, value in (("state", texts(["lost"] * ROWS)), ("month", np.full(ROWS, 13.0)), ("gross", np.zeros(ROWS))):
        bad = later(41, **{name: value})
        assert any(breaks(one, bad) for one in suite.suggestions if name in one.columns)


def test_a_vocabulary_that_still_grows_is_not_closed():
    rng = np.random.default_rng(1)
    batches = [of_arrays(str(n), {"v": texts([*rng.choice(["a", "b"], 200), f"new{n}"])}) for n in range(20)]
    assert not [one for one in suggest(batches).suggestions if one.type == "in"]


def test_a_rule_that_later_batches_break_is_dropped_and_told():
    # never NULL at first, often NULL later
    batches = [
        of_arrays(str(n), {"v": np.where(np.arange(200) < (0 if n < 10 else n), np.nan, 1.0 + np.arange(200) % 7)})
        for n in range(20)
    ]
    found = suggest(batches)
    assert not [one for one in found.suggestions if one.type == "required"]


def test_one_batch_gives_wide_bounds_and_no_promise(past):
    found = suggest(past[:1])
    assert rules(found, type="row_count")[0].arguments == {"at_least": 1}
    assert {expected(one) for one in found.suggestions} == {None}
    text = rule_file(found, Head("orders", "in/{{ batch }}.parquet", "parquet"))
    assert "One batch does not say how batches vary" in text
    assert "type" not in text.partition("rules:")[0].replace("format", "")


def test_no_rows_give_a_file_too(tmp_path):
    text = rule_file(suggest([]), Head("orders", "in.parquet", "parquet"))
    (tmp_path / "r.yml").write_text(text)
    assert lint(str(tmp_path / "r.yml")).problems == ()


def test_the_file_lints(suite, tmp_path):
    text = rule_file(suite, Head("orders", "in/{{ batch }}.parquet", "parquet", batch_time=True))
    (tmp_path / "r.yml").write_text(text)
    report = lint(str(tmp_path / "r.yml"))
    assert (report.problems, report.warnings) == ((), ())
    assert report.rule_set
    # several columns stand in one rule that asks for values
    assert len(report.rule_set.rules) >= len(suite.suggestions) - 1
    assert max(len(line) for line in text.splitlines() if line.lstrip().startswith("#")) <= 120


@pytest.mark.parametrize("name", ("a b", "a`b", "x.y", "it's", "{{ x }}", "or", "line\nend", "naïve", "#", "yes"))
def test_odd_names_and_values_lint(name, tmp_path):
    rng = np.random.default_rng(8)
    batches = [
        of_arrays(str(n), {name: texts(rng.choice([name, "b'", "c"], 200).tolist()), "n": np.arange(200.0)})
        for n in range(12)
    ]
    (tmp_path / "r.yml").write_text(rule_file(suggest(batches), Head("d", "in.parquet", "parquet")), encoding="utf-8")
    report = lint(str(tmp_path / "r.yml"))
    assert report.problems == ()
    assert report.rule_set
    (listed,) = [rule.check for rule in report.rule_set.rules if isinstance(rule.check, In)]
    assert set(listed.values) == {name, "b'", "c"}


def test_shapes_are_those_of_the_tally():
    assert [shape(one) for one in ("AB-1234", "a", "", "--", "Xy9 z")] == ["A{2}-9{4}", "a", "", "-{2}", "Aa9 a"]


def test_bounds():
    assert rounded(1234.5, up=True) == 1240
    assert rounded(1234.5, up=False) == 1230
    assert rounded(0.012345, up=True) == 0.0124
    assert rounded(-56.2, up=False, whole=True) == -57
    assert share_limit([0.0] * 30, 1000, 1.0) == 0.005
    assert 0.12 < share_limit([0.1, 0.11, 0.09] * 10, 1000, 1.0) < 0.2
    rng = np.random.default_rng(2)
    assert trends((np.arange(30) + rng.normal(0, 3, 30)).tolist())
    assert sum(trends(rng.normal(0, 1, 30).tolist()) for _ in range(500)) <= 5
    # the season moves a level; chance does not
    season = 10 * np.sin(np.arange(60) / 20) + rng.normal(0, 3, 60)
    assert wanders(season.tolist())
    assert sum(wanders(rng.normal(0, 1, 60).tolist()) for _ in range(500)) <= 15


def test_a_column_is_asked_for_by_one_other_column_and_few_are_at_all():
    rng = np.random.default_rng(11)

    def day():
        gates = {name: rng.choice(["yes", "no"], ROWS) for name in ("a", "b")}
        both = (gates["a"] == "yes") | (gates["b"] == "yes")
        values = {f"v{place}": np.where(both | (rng.random(ROWS) < 0.1), 1.0 + place, np.nan) for place in range(6)}
        return {name: texts(column.tolist()) for name, column in gates.items()} | values

    found = [
        one for one in suggest([of_arrays(str(n), day()) for n in range(20)]).suggestions if one.test == "incomplete"
    ]
    assert {one.given["value"] for one in found} == {"yes"}
    asked = [one.columns[1] for one in found]
    assert len(asked) == len(set(asked)) == 4


def test_the_file_goes_from_the_whole_to_the_particular_and_says_evidence_once(suite):
    text = rule_file(suite, Head("orders", "in/{{ batch }}.parquet", "parquet"))
    titles = re.findall(r"^  # --- (.*)$", text, re.MULTILINE)
    assert titles == [
        "The batch as a whole", "Always there", "Values of single columns", "Columns that have to do with each other",
    ]  # fmt: skip
    order = [
        text.index(words) for words in ("row_count:", "required: {columns: [", "in: {column: state", "city and country")
    ]
    assert order == sorted(order)
    judged = max(one.held_back for one in suite.suggestions)
    assert text.count(f"judged by the {judged} later ones") == 1
    # rules that fewer batches could tell of, or that one broke, say so themselves
    alike = [one for one in suite.suggestions if (one.broken, one.held_back) == (0, judged)]
    assert text.count("later batches ") <= len(suite.suggestions) - len(alike)
