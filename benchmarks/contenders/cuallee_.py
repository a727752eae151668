"""cuallee: one `Check` with every rule, validated once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orders

from contenders import FIRST_DAY, LARGEST, LAST_DAY, PATTERNS, REQUIRED, ROW_RULES, SHIPPED, VALUE, Contender, Found

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Engine(Contender):
    """Its tests of a mean or a deviation are for equality with a number."""

    title = "cuallee"
    requirements = ("cuallee[pyspark]==0.15.*",)
    cannot: ClassVar = {"quarantine": "its results are counts"}
    left_out: ClassVar = {
        "row_count": "no check of the number of rows",
        "quantity.mean": "a mean is compared with one number, not with a range",
        "quantity.stddev": "a deviation is compared with one number, not with a range",
    }

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import cuallee.pyspark_validation  # type: ignore[import-not-found]  # noqa: F401 - see ours

    def checks(self, data: str) -> Found:
        """The result has a row for each rule, in their order. Violations of uniqueness are rows less distinct values."""
        from cuallee import Check, CheckLevel

        rules = self.rules("checks")
        check = Check(CheckLevel.ERROR, "orders")
        for rule in rules:
            _add(check, rule)
        rows = check.validate(self.frame(data)).orderBy("id").collect()
        counted = [rule in ROW_RULES and rule != "order_id.unique" for rule in rules]
        answers = [
            row.violations if counts else row.status == "PASS" for row, counts in zip(rows, counted, strict=True)
        ]
        return dict(zip(rules, answers, strict=True))


def _add(check: Any, rule: str) -> None:
    column, _, kind = rule.partition(".")
    if kind == "required":
        assert column in REQUIRED
        check.is_complete(column)
    elif kind == "matches":
        check.has_pattern(column, PATTERNS[column])
    elif kind == "in":
        check.is_contained_in(column, orders.COUNTRIES if column == "country" else orders.STATUSES)
    elif rule in _RANGES:
        check.is_between(column, _RANGES[rule])
    elif rule in _CONDITIONS:
        check.satisfies(column if kind else "order_id", _CONDITIONS[rule])
    else:
        _ADDED[rule](check)


_RANGES = {
    "order_date.between": (FIRST_DAY, LAST_DAY),
    "quantity.between": (1, 1000),
    "discount.between": (0, 1),
}
_CONDITIONS = {
    "weight.above": f"weight > 0 and weight <= {LARGEST}D",
    # a NULL is a violation of a range
    "rating.between": "rating is null or rating between 1 and 5",
    "shipped-after-order": SHIPPED,
    "value-not-negative": VALUE,
}
_ADDED: dict[str, Any] = {
    "order_id.unique": lambda check: check.is_unique("order_id"),
    "customer_id.at_least": lambda check: check.is_greater_or_equal_than("customer_id", 0),
    "unit_price.above": lambda check: check.is_positive("unit_price"),
    "unit_price.at_most": lambda check: check.is_less_or_equal_than("unit_price", 100000),
    "rating.completeness": lambda check: check.is_complete("rating", pct=0.5),
}
