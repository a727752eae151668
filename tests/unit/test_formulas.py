"""Formulas of earlier batches: what they are worth, how they are written, what is refused."""

from __future__ import annotations

import statistics
import time
from decimal import Decimal

import numpy as np
import pytest

from quality.formulas import Unreckonable, parse
from quality.model import Bounds
from quality.rule_types.args import parse_bounds

PAST = [10.0, 40.0, 25.5, 30.0, -20.0, 0.1, 7.0]


@pytest.mark.parametrize(("text", "expected"), (
    ("last", 10.0), ("last()", 10.0), ("last(1)", 10.0), ("last 1", 10.0), ("-last", -10.0),
    ("median(last 4)", statistics.median(PAST[:4])), ("mean(last(7))", statistics.fmean(PAST)),
    ("avg(last 3)", statistics.fmean(PAST[:3])), ("average(last 3)", statistics.fmean(PAST[:3])),
    ("std(last 5)", statistics.pstdev(PAST[:5])), ("stddev(last 5)", statistics.pstdev(PAST[:5])),
    ("min(last 5)", -20.0), ("max(last 5)", 40.0), ("sum(last 3)", 75.5), ("percentile(last 7, 0.9)", np.percentile(PAST, 90)),
    ("percentile(last 7, 25%)", np.percentile(PAST, 25)), ("index(last 3, 2)", 25.5), ("abs(min(last 5))", 20.0),
    ("0.8 * last + 2 / 4 - 1", 7.5), ("(last - 1) * (last + 1)", 99.0), ("10 - last - 1", -1.0), ("80 / last / 2", 4.0),
    ("10% of max(last 2)", 4.0), ("50% of 50% of last * 2", 5.0), ("max(100, 0.8 * min(last 2))", 100.0),
    ("min(last, max(last 3), 3)", 3.0), ("1.1 * last", 11.0), ("0.1 * 3 * last", 3.0), ("- -last", 10.0),
))  # fmt: skip
def test_a_formula_is_worth_what_its_definition_says(text, expected):
    formula = parse(text)
    assert formula.value(PAST) == pytest.approx(expected, rel=1e-14)
    assert parse(str(formula)) == formula


def test_decimals_are_those_that_are_written():
    assert parse("1.1 * last").value([10.0]) == 11.0
    assert parse("0.7 * last").value([0.1]) == 0.07
    assert parse("0.1 + 0.2 + 0 * last").value([0.0]) == 0.3


@pytest.mark.parametrize(("text", "batches"), (
    ("last", 1), ("median(last 7)", 7), ("max(last 3) + min(last 12)", 12), ("index(last 9, 0)", 9), ("max(1, last)", 1),
))  # fmt: skip
def test_it_knows_how_far_it_looks_back(text, batches):
    assert parse(text).batches == batches


@pytest.mark.parametrize(("text", "told"), (
    ("last 3", "needs one number of 'last 3', such as median(last 3)"),
    ("med(last 3)", "has 'med' in 'med(last 3)'; functions of earlier batches are min, max, mean"),
    ("median(3)", "takes median(last 7), got 'median(3)'"), ("percentile(last 3)", "takes percentile(last 7, 90%)"),
    ("percentile(last 3, 90)", "takes a percentile from 0 to 1 or a percentage, got 90"),
    ("index(last 3, 3)", "looks at place 3 of 3; 0 is the newest"), ("2 + 3", "looks at no earlier batch, got '2 + 3'"),
    ("mean(last 0)", "needs a number of batches, from 1 to 1,000"), ("mean(last 1001)", "from 1 to 1,000"),
    ("0.8 * ", "has the end of '0.8 *"), ("(last", "needs ')' before the end of '(last'"),
    ("last last", "has 'last' in 'last last', where a formula would end"), ("last; drop", "has ';'"),
    ("__import__('os').last", "has ''', which is not part of a formula"), ("last ** 9", "has '*' in 'last ** 9'"),
    ("last.__class__", "has '.'"), ("(" * 100 + "last" + ")" * 100, "parts deep"), ("-" * 499 + "l", "parts deep"),
    ("1 + " * 200 + "last", "more than 500 characters"),
))  # fmt: skip
def test_what_is_no_formula_is_refused_with_what_is_allowed(text, told):
    with pytest.raises(ValueError) as error:
        parse(text)
    assert told in str(error.value)


@pytest.mark.parametrize(("text", "past"), (
    ("1 / last", [0.0]), ("1 / (last - last)", [5.0]), ("index(last 3, 1)", [1.0, None, 2.0]), ("last", []), ("median(last 3)", [None]),
))  # fmt: skip
def test_what_has_no_value_says_so(text, past):
    with pytest.raises(Unreckonable, match=r"cannot be reckoned"):
        parse(text).value(past)


def test_a_great_formula_is_reckoned_at_once():
    text = "9e99 * " * 60 + "last"
    start = time.process_time()
    value = parse(text).value
    with pytest.raises(Unreckonable):
        value([9e300])
    assert time.process_time() - start < 1


def test_a_batch_without_a_value_is_passed_over_but_keeps_its_place():
    past = [None, 4.0, None, 2.0, 100.0]
    assert parse("mean(last 4)").value(past) == 3.0
    assert parse("index(last 4, 1)").value(past) == 4.0


def bounds(**words) -> Bounds:
    return parse_bounds(words)


def test_within_of_a_number_is_a_range():
    assert bounds(within="10% of 300") == bounds(between=[270.0, 330.0]) == bounds(within={"ratio": "10%", "of": 300})
    assert bounds(within="20 of -5").terms == (("at_least", -25.0), ("at_most", 15.0))
    assert bounds(within="10% of -10").terms == (("at_least", -11.0), ("at_most", -9.0))


@pytest.mark.parametrize("past", ([30.0, 10.0], [-30.0, -10.0], [0.0, 0.0]))
def test_within_of_a_formula_holds_around_it_whatever_its_sign(past):
    centre = sum(past) / 2
    relative, absolute = bounds(within={"ratio": 0.4, "of": "mean(last 2)"}), bounds(within="6 of mean(last 2)")
    for value in [centre + step / 8 for step in range(-100, 101)]:
        assert relative.resolved(past).accepts(value) == (abs(value - centre) <= abs(centre) * 0.4)
        assert absolute.resolved(past).accepts(Decimal(repr(value))) == (abs(value - centre) <= 6)
    assert str(relative) == "within 40% of mean(last 2)"
    assert str(absolute) == "within 6 of mean(last 2)"


def test_numbers_stand_beside_formulas():
    found = bounds(at_least=5, below="2 * last")
    assert (found.terms, found.batches, str(found)) == ((("at_least", 5),), 1, ">= 5 and < 2 * last")
    assert found.resolved([10.0]) == Bounds((("at_least", 5), ("below", 20.0)))
    with pytest.raises(Unreckonable, match="no value lies between 5 and 2"):
        found.resolved([1.0])


@pytest.mark.parametrize(("words", "told"), (
    ({"within": "10% of last", "at_least": 3}, "'within' says both ends"),
    ({"within": 5}, "'within' must be an amount of something, such as '10% of median(last 7)'"),
    ({"within": {"ratio": "10%"}}, "'within' must be an amount"), ({"within": {"ratio": "300%", "of": "last"}}, "between 0 and 1"),
    ({"within": {"by": -1, "of": "last"}}, "at least 0"), ({"within": "10% of mean(lst 2)"}, "'within' takes mean(last 7)"),
    ({"within": {"by": float("nan"), "of": "last"}}, "at least 0"), ({"within": {"ratio": "1%", "of": float("inf")}}, "must be of a number"),
    ({"within": "10% of true"}, "must be of a number or a formula"), ({"at_least": "med(last 2)"}, "'at_least' has 'med'"),
    ({"between": ["last 3", 5]}, "'between' needs one number of 'last 3'"),
    ({"at_least": "last", "at_most": "2024-01-01"}, "takes numbers beside a formula"),
))  # fmt: skip
def test_bounds_that_say_nothing_are_refused(words, told):
    with pytest.raises(ValueError) as error:
        parse_bounds(words)
    assert told in str(error.value)
