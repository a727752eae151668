"""How a schema may change: against the columns of the published batch before this one."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest

from quality import lookback, planner, verification
from quality.model import Column, Decision, RuleStatus
from quality.rule_types.base import Row
from quality.rule_types.evolution import wider
from quality.rulefile import load
from quality.storage import commit
from quality.storage.store import LocalStore
from quality.verification import Measured
from tests.past import START, add

BEFORE = (Column("id", "int"), Column("Name", "string"), Column("price", "decimal(10,2)"))


@pytest.fixture
def judged(rule_file, tmp_path):
    store = LocalStore(str(tmp_path / "root"))

    def judge(rule, columns, before=BEFORE):
        if before is not None:
            add(store, 0, 1.0, columns=(Column("elsewhere", "int"),))
            add(store, 1, 1.0, columns=before)
        # held, and later: neither is the batch before
        add(store, 2, 1.0, columns=(Column("held", "int"),), decision=Decision.HELD)
        add(store, 9, 1.0, columns=(Column("later", "int"),))
        rules = load(rule_file(f"version: 1\ndataset: d\ninput: {{table: t}}\nrules:\n- {rule}\n"), batch="b")
        plan = planner.plan(rules, Row(columns), text=False)
        live = commit.live_records(store, "d")
        plan = lookback.with_past(plan, store, live, "today", START + timedelta(days=5), None)
        (result,) = verification.judge(plan, Measured(1), columns)
        return result

    return judge


def changed(*columns, **types):
    kept = [dataclasses.replace(column, type=types.get(column.name, column.type)) for column in BEFORE]
    return (*kept, *columns)


@pytest.mark.parametrize(("rule", "columns", "told"), (
    ("schema_change: true", BEFORE, ""), ("schema_change: true", changed(Column("new", "int")), ""),
    ("schema_change: {added: fail}", changed(Column("new", "int")), "column 'new' is new"),
    ("schema_change: true", BEFORE[1:], "column 'id' is gone"), ("schema_change: {removed: allow}", BEFORE[1:], ""),
    ("schema_change: true", (BEFORE[0], Column("NAME", "string"), BEFORE[2]), ""),
    ("schema_change: true", changed(id="bigint"), "column 'id' is bigint, was int"),
    ("schema_change: {types: widen}", changed(id="bigint", price="decimal(12,2)"), ""),
    ("schema_change: {types: widen}", changed(id="smallint", Name="int"), "column 'id' is smallint, was int; column 'Name' is int, was string"),
    ("schema_change: {types: allow}", changed(Name="int"), ""), ("schema_change: true", BEFORE[::-1], ""),
    ("schema_change: {order: fail}", BEFORE[::-1], "the columns are in another order"),
    ("schema_change: {order: fail}", (Column("new", "int"), *BEFORE), ""),
))  # fmt: skip
def test_changes_are_told_unless_they_are_allowed(judged, rule, columns, told):
    found = judged(rule, columns)
    assert (found.status, found.message) == (RuleStatus.FAILED if told else RuleStatus.PASSED, told)
    assert found.expected.endswith("(2024-01-02)")


def test_the_first_batch_has_nothing_to_differ_from(judged):
    found = judged("schema_change: {added: fail}", BEFORE, before=None)
    assert (found.status, found.message) == (RuleStatus.NOT_APPLICABLE, "no batch was published before this one")


def extremes(kind):
    """Values of a type that are the hardest to hold."""
    bits = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}.get(kind)
    if bits:
        return [Fraction(-(2 ** (bits - 1))), Fraction(2 ** (bits - 1) - 1)]
    if kind.startswith("decimal"):
        digits, scale = map(int, kind[8:-1].split(","))
        return [Fraction(10**digits - 1, 10**scale), Fraction(1, 10**scale)]
    if kind == "float":
        return [Fraction(float(np.finfo(np.float32).max)), Fraction(float(np.nextafter(np.float32(1), np.float32(2))))]
    return [Fraction(float(np.finfo(np.float64).max)), Fraction(float(np.nextafter(np.float64(1), np.float64(2))))]


def holds(kind, value):
    """Whether a type has this very value."""
    if kind in ("float", "double"):
        try:
            with np.errstate(over="ignore"):
                found = float({"float": np.float32, "double": np.float64}[kind](float(value)))
        except OverflowError:
            return False
        return np.isfinite(found) and Fraction(found) == value
    low, high = min(extremes(kind)), max(extremes(kind))
    if kind.startswith("decimal"):
        scale = int(kind[:-1].split(",")[1])
        return -high <= value <= high and (value * 10**scale).denominator == 1
    return value.denominator == 1 and low <= value <= high


KINDS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal(3,0)", "decimal(5,2)", "decimal(10,0)",
         "decimal(12,2)", "decimal(19,0)", "decimal(20,0)", "decimal(21,2)", "decimal(38,18)")  # fmt: skip


@pytest.mark.parametrize("old", KINDS)
def test_a_wider_type_holds_every_value(old):
    for new in KINDS:
        by_values = all(holds(new, value) for value in extremes(old))
        # the doubles that happen to hold the ends of a decimal do not hold what lies between
        if old.startswith("decimal") and new in ("float", "double"):
            by_values = False
        # 0.01 is no double, and 2^31 - 1 no float
        assert wider(old, new) == by_values or old == new, (old, new)
