"""Deequ by PyDeequ: `VerificationSuite` for the verdicts; for the split a check for each rule, as each check gives a column of
`rowLevelResultsAsDataFrame`. That frame holds what a split needs, so it is written once, partitioned by the verdict.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import orders

from contenders import (
    FIRST_DAY,
    LARGEST,
    LAST_DAY,
    PATTERNS,
    REQUIRED,
    ROW_RULES,
    RULES,
    SHIPPED,
    VALUE,
    Contender,
    Found,
    Sides,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Engine(Contender):
    """Deequ's metrics are ratios: failing rows are told from them and the size."""

    title = "PyDeequ"
    requirements = ("pydeequ==1.7.*",)
    environment: ClassVar = {"SPARK_VERSION": "3.5"}
    deequ = True
    reasons = "a true or false for every rule"

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import pydeequ  # noqa: F401 - see ours

    def close(self) -> None:
        """Without this the thread that answers the JVM's calls of lambdas keeps the process alive."""
        gateway: Any = self.spark.sparkContext._gateway
        gateway.shutdown_callback_server()

    def checks(self, data: str) -> Found:
        """One check with every rule, in our order: constraint results come in the order they were added."""
        from pydeequ.verification import VerificationResult, VerificationSuite

        check = self._check("orders")
        for rule in RULES:
            check = _add(check, rule)
        result = VerificationSuite(self.spark).onData(self.frame(data)).addCheck(check).run()
        outcomes = VerificationResult.checkResultsAsJson(self.spark, result)
        metrics = VerificationResult.successMetricsAsJson(self.spark, result)
        rows = next(metric["value"] for metric in metrics if metric["name"] == "Size")
        found: Found = {}
        for rule, outcome in zip(RULES, outcomes, strict=True):
            passed = outcome["constraint_status"] == "Success"
            found[rule] = passed if rule not in ROW_RULES else 0 if passed else _failing(outcome, rows)
        return found

    def quarantine(self, data: str, folder: Path) -> Sides:
        """A row fails when a check says false; NULL is a row that the check does not ask about."""
        from pydeequ.verification import VerificationResult, VerificationSuite
        from pyspark.sql import functions as F

        frame = self.frame(data)
        run = VerificationSuite(self.spark).onData(frame)
        names = [rule.replace(".", "_") for rule in ROW_RULES]
        for rule, name in zip(ROW_RULES, names, strict=True):
            run = run.addCheck(_add(self._check(name), rule))
        rows = VerificationResult.rowLevelResultsAsDataFrame(self.spark, run.run(), frame)
        good = reduce(and_, (F.coalesce(F.col(f"`{name}`"), F.lit(True)) for name in names))
        split = rows.withColumn("good", good).select(*orders.COLUMNS, *(f"`{name}`" for name in names), "good")
        split.write.mode("overwrite").partitionBy("good").parquet(str(folder / "split"))
        return Sides([str(folder / "split" / "good=true")], [str(folder / "split" / "good=false")])

    def profile(self, data: str) -> dict[str, float | None]:
        """The column profiler as it comes."""
        from pydeequ.profiles import ColumnProfilerRunner

        found = ColumnProfilerRunner(self.spark).onData(self.frame(data)).run()
        return {name: column.completeness for name, column in found.profiles.items()}

    def _check(self, name: str) -> Any:
        from pydeequ.checks import Check, CheckLevel

        return Check(self.spark, CheckLevel.Error, name)


def _failing(outcome: dict[str, Any], rows: float) -> int:
    """Of `Value: 0.98 does not meet the constraint requirement!`."""
    return round((1 - float(outcome["constraint_message"].split()[1])) * rows)


def _add(check: Any, rule: str) -> Any:
    """The check with one rule more."""
    column, _, kind = rule.partition(".")
    if kind == "required":
        assert column in REQUIRED
        return check.isComplete(column)
    if kind == "matches":
        return check.hasPattern(column, PATTERNS[column])
    if kind == "in":
        return check.isContainedIn(column, list(orders.COUNTRIES if column == "country" else orders.STATUSES))
    if rule in _SATISFIES:
        return check.satisfies(_SATISFIES[rule], rule)
    match rule:
        case "order_id.unique":
            return check.isUnique(column)
        case "customer_id.at_least":
            return check.isNonNegative(column)
        case "unit_price.above":
            return check.isPositive(column)
        case "rating.completeness":
            return check.hasCompleteness(column, lambda ratio: ratio >= 0.5)
        case "row_count":
            return check.hasSize(lambda size: size >= 1)
        case "quantity.mean":
            return check.hasMean(column, lambda mean: 5 <= mean <= 15)
        case "quantity.stddev":
            return check.hasStandardDeviation(column, lambda deviation: 1 <= deviation <= 20)
    raise KeyError(rule)


_SATISFIES = {
    "order_date.between": f"order_date between date'{FIRST_DAY}' and date'{LAST_DAY}'",
    "quantity.between": "quantity between 1 and 1000",
    "unit_price.at_most": "unit_price <= 100000",
    "discount.between": "discount between 0 and 1",
    "weight.above": f"weight > 0 and weight <= {LARGEST}D",
    # a predicate that is NULL counts as a failure in the metric
    "rating.between": "rating is null or rating between 1 and 5",
    "shipped-after-order": SHIPPED,
    "value-not-negative": VALUE,
}
