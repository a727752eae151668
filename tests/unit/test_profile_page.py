"""A profile as a page: whole, harmless, loading nothing, with bars that add up and without values that are sensitive."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from quality.model import Column
from quality.profiles import profile
from quality.report.profile_page import BARS, HEIGHT, WIDTH, _even, render
from quality.sensitive import Hiding, Sensitive
from quality.tally import ColumnTally, Numbers, Tallied, Temporal, Texts, Top
from tests.unit.test_profiles import COLUMNS, bins_of, tallied


class Page(HTMLParser):
    """Tags, attributes and text; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._open += [] if tag == "meta" else [tag]

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += "" if self._open[-1:] == ["style"] else data + " "


def test_a_page_is_whole_and_loads_nothing():
    text = render(profile(tallied(), COLUMNS), "in/a.csv")
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "object", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "http" not in text.replace("http-equiv", "")
    words = " ".join(page.text.split())
    assert "5 rows, 4 columns" in words
    assert "n int" in words
    assert "present 80% distinct 4 smallest 0 5 % quantile 0 " in words
    assert "largest 5 mean 2 standard deviation 1.58" in words
    assert "1 row of 5 rows missing" in words
    assert "false 3 60%" in words
    assert "Missing together" in words


def test_hostile_names_and_values_are_harmless():
    hostile = '<script>alert("x")</script>\x1b\u202e'
    top = Top(((hostile, 3), ("y" * 5000, 1)), True, 0)
    words = Texts(9, 1, 0, 0, 5000, bins_of([1, 5000]), {"Text": 4}, {hostile: 3, "y{99}": 1}, 0)
    found = Tallied(5, (), {(0,): 1}, 0, (ColumnTally("string", 4, None, top, texts=words),))
    text = render(profile(found, (Column(hostile, f"struct<{hostile}:int>"),)), hostile)
    Page(text)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "y" * 100 not in text


@pytest.mark.parametrize("how", (None, Hiding.MASK, Hiding.HASH))
def test_values_of_sensitive_columns_are_not_told(how, monkeypatch):
    monkeypatch.setenv("QUALITY_SENSITIVE_KEY", "a key")
    values = [70001, 70002, 70002, 70009]
    numbers = Numbers(0, 0, 0, 0, 0, 4, 70003.5, 41.0, 0.0, 99.0, 70001.0, 70009.0, bins_of(values))
    days = Temporal(19001, 19009, bins_of([19001, 19009], relative=False))
    top = Top((("70002", 2), ("70001", 1), ("70009", 1)), True, 0)
    made = (ColumnTally("int", 4, None, top, numbers=numbers), ColumnTally("date", 2, temporal=days))
    sensitive = Sensitive((("n", how), ("day", how))) if how else Sensitive()
    found = profile(Tallied(4, (), {}, 0, made), (Column("n", "int"), Column("day", "date")), sensitive=sensitive)
    page = Page(render(found, "x"))
    told = [word for word in ("70001", "70002", "70003", "70009", "2022-01-09", "2022-01-17") if word in page.text]
    assert bool(told) == (how is None)
    assert (("aria-label", "values") in page.attributes) == (how is None)
    assert ("hmac:" in page.text) == (how == Hiding.HASH)


def test_a_batch_without_rows_has_a_page():
    empty = Tallied(0, (), {}, 0, (ColumnTally("int", 0, None, Top((), True, 0), numbers=None),))
    assert "0 rows, 1 column" in Page(render(profile(empty, (Column("n", "int"),)), "x")).text
    assert "0 columns" in Page(render(profile(Tallied(0, (), {}, 0, ()), ()), "x")).text


@pytest.mark.parametrize("seed", range(5))
def test_bars_hold_every_value_near_where_it_is(seed):
    draw = np.random.default_rng(seed)
    values = np.concatenate([draw.normal(50, 20, 400), draw.integers(-30, 100, 200)])
    heights = _even(bins_of(values), values.min(), values.max())
    assert heights.sum() == pytest.approx(len(values))
    exact, _ = np.histogram(values, BARS)
    # a bin is 1 % wide, so a value may fall into the bar beside its own
    assert np.abs(np.cumsum(heights) - np.cumsum(exact)).max() <= exact.max()


def test_every_bar_is_inside_of_its_drawing():
    values = [1.0] * 10**6 + [-1e9, 1e9, 3.0]
    numbers = Numbers(0, 1, 0, 0, 0, len(values), 1.0, 9e18, 0.0, 9e36, -1e9, 1e9, bins_of(values))
    one = ColumnTally("double", len(values), bytes(4096), Top((("1", 10**6),), False, 5), numbers=numbers)
    text = render(profile(Tallied(len(values), (), {}, 0, (one,)), (Column("d", "double"),)), "x")
    bars = [
        [float(number) for number in found]
        for found in re.findall(r'<rect x="([-\d.e]+)" y="([-\d.e]+)" width="([-\d.e]+)" height="([-\d.e]+)"/>', text)
    ]
    assert len(bars) == 3
    assert all(
        x >= 0 and x + wide <= WIDTH and y >= 0 and y + tall <= HEIGHT and tall >= 1 for x, y, wide, tall in bars
    )


def test_a_column_of_one_value_has_one_bar():
    numbers = Numbers(0, 0, 0, 0, 0, 3, 7.0, 0.0, 0.0, 0.0, 7.0, 7.0, bins_of([7, 7, 7]))
    one = replace(tallied().columns[0], present=3, numbers=numbers)
    assert render(profile(Tallied(3, (), {}, 0, (one,)), COLUMNS[:1]), "x").count("<rect x=") == 1
