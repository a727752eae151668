"""Which slice is told of those that were counted."""

from __future__ import annotations

from typing import Any

import pytest

from quality.slices import Counted, Dimension, Slice, best

SHOP, HOUR, FILE, N = (
    Dimension("value", "shop", "shop"),
    Dimension("hour", "at", "hour"),
    Dimension("file", "", "file"),
    Dimension("value", "n", "n"),
)
DIMENSIONS = (SHOP, HOUR, FILE, N)


def chosen(rows: Any, failing: int = 100, of_batch: Any = None, constant: Any = None) -> str:
    places = {dimension.column: place for place, dimension in enumerate(DIMENSIONS)}
    counted = Counted(("r",), DIMENSIONS, {(places[c], v): (count,) for (c, v), count in rows.items()}, (failing,))
    found = best(counted, {"r": ("N",)}, of_batch or {}, constant or {})
    return found["r"].name if found else ""


@pytest.mark.parametrize(
    ("what", "rows", "of_batch", "name"),
    (
        ("most failing rows", {("shop", "a"): 90, ("shop", "b"): 10}, {}, "shop = a"),
        ("half is not most", {("shop", "a"): 50, ("shop", "b"): 50}, {}, ""),
        ("as common everywhere", {("shop", "a"): 90}, {("value", "shop", "a"): 0.8}, ""),
        ("rarer everywhere", {("shop", "a"): 90}, {("value", "shop", "a"): 0.1}, "shop = a"),
        ("NULL is a value", {("shop", None): 90}, {}, "shop is NULL"),
        ("the rule's own column", {("n", "7"): 100}, {}, ""),
        ("what is known before what is not", {("shop", "a"): 90, ("at", "07"): 100}, {("value", "shop", "a"): 0.05}, "shop = a"),
        ("the rarer of two", {("shop", "a"): 95, ("", "x/f.csv"): 95},
         {("value", "shop", "a"): 0.5, ("file", "", "x/f.csv"): 0.1}, "input file f.csv"),
        ("an hour", {("at", "07"): 80}, {}, "hour 7 of at"),
    ),
)  # fmt: skip
def test_the_slice_that_explains_most(what, rows, of_batch, name):
    assert chosen(rows, of_batch=of_batch) == name, what


def test_what_all_rows_that_pass_have_too_and_what_is_too_few_is_no_slice():
    assert chosen({("shop", "a"): 100}, constant={"shop": "a"}) == ""
    assert chosen({("shop", "a"): 100}, constant={"shop": "b"}) == "shop = a"
    assert chosen({("shop", "a"): 4}, failing=4) == ""


def test_words_say_how_common_it_is():
    assert Slice("value", "shop", "a", 90, 100, 0.1).words == (
        "90 of 100 failing rows are in shop = a, which has 10.0% of all rows"
    )
    assert (
        Slice("value", "shop", None, 90, 100, 0.1).words
        == "in 90 of 100 failing rows shop is NULL, as in 10.0% of all rows"
    )
    assert Slice("hour", "at", None, 90, 100).words == "in 90 of 100 failing rows at is NULL"
    assert Slice("value", "shop", "a", 90, 100, 0.1).to_dict()["lift"] == pytest.approx(9)
    assert Slice("hour", "at", "07", 90, 100).to_dict()["lift"] is None


@pytest.mark.parametrize(("rows", "failing", "told"), ((3, 5, False), (5, 5, True), (30, 50, True), (90, 600, False)))
def test_what_chance_would_make_is_no_slice(rows, failing, told):
    # a shop that has a quarter of all rows: 3 of 5 rows are in it in every tenth batch, 5 of 5 in every thousandth
    found = chosen({("shop", "a"): rows}, failing=failing, of_batch={("value", "shop", "a"): 0.25})
    assert found == ("shop = a" if told else "")
