"""Soda Core 3: SodaCL over a temporary view. Conditions over several columns are numeric checks with an expression of their
own, which Soda puts into the query of the other metrics; a check of failed rows would be a query of its own.
"""

from __future__ import annotations

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
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Engine(Contender):
    """Every check bears the id of its rule as its name."""

    title = "Soda Core 3"
    # setuptools: its parser of durations imports distutils, which newer Pythons left to it
    requirements = ("soda-core-spark-df==3.5.*", "setuptools")
    cannot: ClassVar = {"quarantine": "it can fetch samples of failing rows to the driver, and splits nothing"}

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import soda.scan  # type: ignore[import-not-found]  # noqa: F401 - see ours

        self.text = "checks for orders:\n" + "".join(f"  - {_check(rule)}\n" for rule in RULES)

    def checks(self, data: str) -> Found:
        """One scan. What is counted of duplicates is values, not rows: only the verdict is taken."""
        from soda.scan import Scan

        self.frame(data).createOrReplaceTempView("orders")
        scan = Scan()
        scan.disable_telemetry()
        scan.set_scan_definition_name("orders")
        scan.set_data_source_name("spark_df")
        scan.add_spark_session(self.spark, data_source_name="spark_df")
        scan.add_sodacl_yaml_str(self.text)
        scan.execute()
        if scan.has_error_logs():
            raise RuntimeError(scan.get_error_logs_text())
        return {check["name"]: _found(check) for check in scan.get_scan_results()["checks"]}


def _found(check: dict[str, Any]) -> int | bool:
    counts = check["name"] in ROW_RULES and check["name"] != "order_id.unique"
    return int(check["diagnostics"]["value"]) if counts else bool(check["outcome"] == "pass")


def _check(rule: str) -> str:
    column, _, kind = rule.partition(".")
    if kind == "required":
        assert column in REQUIRED
        return _lines(f"missing_count({column}) = 0", rule)
    if kind == "matches":
        return _lines(f"invalid_count({column}) = 0", rule, valid_regex=f"'{PATTERNS[column]}'")
    if kind == "in":
        values = ", ".join(f"'{value}'" for value in (orders.COUNTRIES if column == "country" else orders.STATUSES))
        return _lines(f"invalid_count({column}) = 0", rule, valid_values=f"[{values}]")
    if rule in _RANGES:
        return _lines(f"invalid_count({column}) = 0", rule, **_RANGES[rule])
    if rule in _CONDITIONS:
        return _own(rule, f"count(case when not ({_CONDITIONS[rule]}) then 1 end)", "= 0")
    if rule == "quantity.stddev":
        # on Spark it has no metric of that name
        return _own(rule, f"stddev({column})", "between 1 and 20")
    return _lines(_METRICS[rule], rule)


def _lines(head: str, rule: str, **arguments: str) -> str:
    found = "".join(f"\n      {key.replace('_', ' ')}: {value}" for key, value in arguments.items())
    return f"{head}:\n      name: {rule}{found}"


def _own(rule: str, expression: str, expected: str) -> str:
    """A check of a metric that is made for it."""
    name = rule.replace("-", "_").replace(".", "_")
    return f"{name} {expected}:\n      name: {rule}\n      {name} expression: {expression}"


_RANGES: dict[str, dict[str, str]] = {
    "customer_id.at_least": {"valid_min": "0"},
    "quantity.between": {"valid_min": "1", "valid_max": "1000"},
    "unit_price.at_most": {"valid_max": "100000"},
    "discount.between": {"valid_min": "0", "valid_max": "1"},
    "rating.between": {"valid_min": "1", "valid_max": "5"},
}
_CONDITIONS = {
    # bounds of a validity are numbers, and belong to it
    "order_date.between": f"order_date between date'{FIRST_DAY}' and date'{LAST_DAY}'",
    "unit_price.above": "unit_price > 0",
    "weight.above": f"weight > 0 and weight <= {LARGEST}D",
    "shipped-after-order": SHIPPED,
    "value-not-negative": VALUE,
}
_METRICS = {
    "order_id.unique": "duplicate_count(order_id) = 0",
    "rating.completeness": "missing_percent(rating) <= 50",
    "row_count": "row_count >= 1",
    "quantity.mean": "avg(quantity) between 5 and 15",
}
