"""How the values of a rule file stand beside the columns they are compared with."""

from __future__ import annotations

import pytest

from quality.errors import RuleDataError
from quality.model import Column, Tolerance
from quality.rule_types.args import parse_ratio, parse_values
from quality.rule_types.base import Row

ROW = Row(
    (Column("i", "int"), Column("d", "double"), Column("dec", "decimal(10,2)"), Column("s", "string"))
)  # fmt: skip


def test_a_tolerance_in_percent_allows_exactly_that_share():
    tolerances = {tenths: Tolerance(parse_ratio(f"{tenths / 10}%")) for tenths in range(1, 1000)}
    assert [tenths for tenths, tolerance in tolerances.items() if not tolerance.allows(tenths, 1000)] == []
    assert [tenths for tenths, tolerance in tolerances.items() if tolerance.allows(tenths + 1, 1000)] == []


@pytest.mark.parametrize("text", ("x%", "%", "", "101%", "-1%", "nan%", "inf", "nan"))
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="must be between 0 and 1 or a percentage"):
        parse_ratio(text)


def test_values_that_only_python_finds_equal_are_kept_apart():
    assert [repr(value) for value in parse_values([1, True, 1.0, 1, "1"])] == ["1", "True", "1.0", "'1'"]


@pytest.mark.parametrize(("column", "value", "expected"), (
    ("i", "5", "5BD"), ("dec", "0.10", "0.10BD"), ("d", "1e3", "1000.0D"), ("d", ".5", "0.5D"), ("dec", 0.1, "0.1BD"),
    ("s", "5", "'5'"), ("s", True, "'true'"), ("s", "it's", "'it\\'s'"),
))  # fmt: skip
def test_a_value_takes_the_type_of_its_column_also_when_a_template_gave_it_as_text(column, value, expected):
    assert ROW.literal(column, value) == expected


@pytest.mark.parametrize("value", ("five", "1_000", "nan", "0x10", "", "１２", True))
def test_a_text_that_is_no_number_does_not_stand_beside_a_number(value):
    with pytest.raises(RuleDataError, match="column 'i' is int, cannot be compared with"):
        ROW.literal("i", value)
