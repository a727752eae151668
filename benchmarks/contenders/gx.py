"""Great Expectations: one suite, validated once on a Spark DataFrame; the result says how many values were unexpected."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import orders

from contenders import FIRST_DAY, LARGEST, LAST_DAY, PATTERNS, REQUIRED, ROW_RULES, VALUE, Contender, Found

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Engine(Contender):
    """The data context is made once, as a job that validates many batches makes it."""

    title = "Great Expectations"
    requirements = ("great_expectations[spark]>=1.9,<2",)
    environment: ClassVar = {"GX_ANALYTICS_ENABLED": "false"}
    cannot: ClassVar = {
        "quarantine": "it can list the keys of failing rows on the driver, for each expectation, and splits nothing",
    }

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import great_expectations as gx  # type: ignore[import-not-found]
        from great_expectations import expectations as gxe

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_spark(name="spark").add_dataframe_asset(name="orders")
        batches = asset.add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name="orders"))
        for rule in self.rules("checks"):
            suite.add_expectation(_expectation(gxe, rule))
        self.validation = context.validation_definitions.add(
            gx.ValidationDefinition(name="orders", data=batches, suite=suite)
        )

    def checks(self, data: str) -> Found:
        """BASIC: verdicts, counts and a few unexpected values."""
        ran = self.validation.run(batch_parameters={"dataframe": self.frame(data)}, result_format="BASIC")
        return {one.expectation_config.meta["rule"]: _found(one) for one in ran.results}


def _found(one: Any) -> int | bool:
    """An expectation from SQL calls its count the observed value."""
    failure = one.exception_info or {}
    if failure.get("raised_exception") or any(isinstance(each, dict) for each in failure.values()):
        raise RuntimeError(str(failure))
    if one.expectation_config.meta["rule"] not in ROW_RULES:
        return bool(one.success)
    result = one.result
    return int(result["unexpected_count"] if "unexpected_count" in result else result["observed_value"])


def _expectation(gxe: Any, rule: str) -> Any:
    column, _, kind = rule.partition(".")
    meta = {"rule": rule}
    if kind == "required":
        assert column in REQUIRED
        return gxe.ExpectColumnValuesToNotBeNull(column=column, meta=meta)
    if kind == "matches":
        return gxe.ExpectColumnValuesToMatchRegex(column=column, regex=PATTERNS[column], meta=meta)
    if kind == "in":
        values = list(orders.COUNTRIES if column == "country" else orders.STATUSES)
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=values, meta=meta)
    if rule in _RANGES:
        return gxe.ExpectColumnValuesToBeBetween(column=column, meta=meta, **_RANGES[rule])
    match rule:
        case "order_id.unique":
            return gxe.ExpectColumnValuesToBeUnique(column=column, meta=meta)
        case "shipped-after-order":
            return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="ship_date", column_B="order_date", or_equal=True, meta=meta
            )
        case "value-not-negative":
            query = f"select * from {{batch}} where not ({VALUE})"
            return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, meta=meta)
        case "rating.completeness":
            return gxe.ExpectColumnProportionOfNonNullValuesToBeBetween(column=column, min_value=0.5, meta=meta)
        case "row_count":
            return gxe.ExpectTableRowCountToBeBetween(min_value=1, meta=meta)
        case "quantity.mean":
            return gxe.ExpectColumnMeanToBeBetween(column=column, min_value=5, max_value=15, meta=meta)
        case "quantity.stddev":
            return gxe.ExpectColumnStdevToBeBetween(column=column, min_value=1, max_value=20, meta=meta)
    raise KeyError(rule)


_RANGES: dict[str, dict[str, Any]] = {
    "customer_id.at_least": {"min_value": 0},
    "order_date.between": {"min_value": date.fromisoformat(FIRST_DAY), "max_value": date.fromisoformat(LAST_DAY)},
    "quantity.between": {"min_value": 1, "max_value": 1000},
    "unit_price.above": {"min_value": 0, "strict_min": True},
    "unit_price.at_most": {"max_value": 100000},
    "discount.between": {"min_value": 0, "max_value": 1},
    "weight.above": {"min_value": 0, "strict_min": True, "max_value": LARGEST},
    "rating.between": {"min_value": 1, "max_value": 5},
}
