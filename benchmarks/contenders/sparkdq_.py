"""sparkdq: a check set, run once; its result hands out the passed and the failed rows.

Its checks of numbers leave a row whose value is NULL in neither output, so the rule about `rating`, like those that need
SQL, compares a column with itself or with NULL, by the SQL expression its comparison of columns takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import orders

from contenders import BATCH_RULES, FIRST_DAY, LARGEST, LAST_DAY, PATTERNS, REQUIRED, VALUE, Contender, Found, Sides

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Engine(Contender):
    """Uniqueness is a rule about the whole batch here; were it critical, it would fail every row."""

    title = "sparkdq"
    requirements = ("sparkdq==0.*",)
    left_out: ClassVar = {
        "quantity.mean": "no check of a mean",
        "quantity.stddev": "no check of a deviation",
    }
    not_split: ClassVar = {"order_id.unique": "uniqueness is no check of rows"}
    reasons = "name and severity of every check"

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import sparkdq.checks  # type: ignore[import-not-found]  # noqa: F401 - see ours

    def checks(self, data: str) -> Found:
        """The validated frame has a column for each check of rows: true where it fails."""
        from pyspark.sql import functions as F

        rules = self.rules("checks")
        result = self._run(data, rules)
        found: Found = {_rule(one.check_id): bool(one.passed) for one in result.aggregate_results}
        rows = [_id(rule) for rule in rules if rule not in found]
        counts: Any = result.df.agg(*(F.sum(F.col(name).cast("int")).alias(name) for name in rows)).first()
        return {**found, **{_rule(name): counts[name] or 0 for name in rows}}

    def quarantine(self, data: str, folder: Path) -> Sides:
        """Each side is a pass of its own: they are two frames."""
        result = self._run(data, self.rules("quarantine"))
        result.pass_df().write.mode("overwrite").parquet(str(folder / "good"))
        result.fail_df().write.mode("overwrite").parquet(str(folder / "bad"))
        return Sides([str(folder / "good")], [str(folder / "bad")])

    def _run(self, data: str, rules: tuple[str, ...]) -> Any:
        from sparkdq.engine import BatchDQEngine  # type: ignore[import-not-found]
        from sparkdq.management import CheckSet  # type: ignore[import-not-found]

        checks = CheckSet()
        checks.add_checks_from_dicts([{"check-id": _id(rule), **_check(rule)} for rule in rules])
        return BatchDQEngine(checks).run_batch(self.frame(data))


def _id(rule: str) -> str:
    """A check's id becomes the name of a column, and a dot in it the field of a struct."""
    return rule.replace(".", "__")


def _rule(name: str) -> str:
    return name.replace("__", ".")


def _check(rule: str) -> dict[str, Any]:
    column, _, kind = rule.partition(".")
    if kind == "required":
        assert column in REQUIRED
        return {"check": "null-check", "columns": [column]}
    if kind == "matches":
        return {"check": "regex-match-check", "column": column, "pattern": PATTERNS[column]}
    if kind == "in":
        values = orders.COUNTRIES if column == "country" else orders.STATUSES
        return {"check": "is-contained-in-check", "allowed-values": {column: list(values)}}
    return _OTHERS[rule]


def _numbers(column: str, least: float, most: float, inclusive: tuple[bool, bool] = (True, True)) -> dict[str, Any]:
    ends = {"min-value": least, "max-value": most, "inclusive": inclusive}
    return {"check": "numeric-between-check", "columns": [column], **ends}


def _that(condition: str) -> dict[str, Any]:
    limit = f"case when {condition} then order_id end"
    return {"check": "column-greater-than-check", "column": "order_id", "limit": limit, "inclusive": True}


_OTHERS: dict[str, dict[str, Any]] = {
    "order_id.unique": {"check": "unique-rows-check", "subset-columns": ["order_id"]},
    "customer_id.at_least": {"check": "numeric-min-check", "columns": ["customer_id"], "min-value": 0, "inclusive": True},
    "order_date.between": {
        "check": "date-between-check", "columns": ["order_date"],
        "min-value": FIRST_DAY, "max-value": LAST_DAY, "inclusive": (True, True),
    },
    "quantity.between": _numbers("quantity", 1, 1000),
    "unit_price.above": {"check": "numeric-min-check", "columns": ["unit_price"], "min-value": 0},
    "unit_price.at_most": {
        "check": "numeric-max-check", "columns": ["unit_price"], "max-value": 100000, "inclusive": True,
    },
    "discount.between": _numbers("discount", 0, 1),
    "weight.above": _numbers("weight", 0.0, LARGEST, (False, True)),
    "rating.between": _that("rating is null or rating between 1 and 5"),
    "shipped-after-order": {
        "check": "column-greater-than-check", "column": "ship_date", "limit": "order_date", "inclusive": True,
    },
    "value-not-negative": _that(VALUE),
    "rating.completeness": {"check": "completeness-ratio-check", "column": "rating", "min-ratio": 0.5},
    "row_count": {"check": "row-count-min-check", "min-count": 1},
}  # fmt: skip
assert set(BATCH_RULES) - set(Engine.left_out) <= set(_OTHERS)
