"""pandera for Spark SQL: a schema, validated once. Each check is a job of its own that looks for one row that fails, so the
frame is cached meanwhile, as its documentation advises. What is not about one column is a function on the whole frame.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import orders

from contenders import FIRST_DAY, LAST_DAY, PATTERNS, REQUIRED, RULES, SHIPPED, VALUE, Contender, Found

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Engine(Contender):
    """Errors name the check that found them: it bears the id of its rule."""

    title = "pandera"
    # pyspark 3.5 holds numpy below 2, and newer ones of the others do without it
    requirements = ("pandera[pyspark]==0.*", "pandas<3", "pyarrow<20")
    environment: ClassVar = {"PANDERA_CACHE_DATAFRAME": "True"}
    cannot: ClassVar = {"quarantine": "on Spark it says which checks failed, and not on which rows"}

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import pandera.pyspark  # type: ignore[import-not-found]  # noqa: F401 - see ours

    def checks(self, data: str) -> Found:
        """Verdicts only."""
        frame = self.frame(data)
        errors: Any = _schema(frame).validate(check_obj=frame).pandera.errors
        failed = set()
        for kind, found in ((kind, one) for kinds in errors.values() for kind, ones in kinds.items() for one in ones):
            if kind not in ("SERIES_CONTAINS_NULLS", "DUPLICATES", "DATAFRAME_CHECK"):
                raise RuntimeError(f"{kind}: {found}")
            words = {"SERIES_CONTAINS_NULLS": f"{found['column']}.required", "DUPLICATES": "order_id.unique"}
            failed.add(words.get(kind) or found["check"])
        if unknown := failed - set(RULES):
            raise RuntimeError(f"not asked for: {unknown}")
        return {rule: rule not in failed for rule in RULES}


def _schema(frame: DataFrame) -> Any:
    import pandera.pyspark as pa

    columns = {
        field.name: pa.Column(
            field.dataType,
            nullable=field.name not in REQUIRED,
            checks=[_check(pa.Check, rule) for rule in RULES if rule.startswith(f"{field.name}.") and _of_column(rule)],
        )
        for field in frame.schema
    }
    checks = [pa.Check(function, name=rule, error=rule) for rule, function in _FUNCTIONS.items()]
    return pa.DataFrameSchema(columns, checks=checks, unique=["order_id"])


def _of_column(rule: str) -> bool:
    return rule not in _FUNCTIONS and not rule.endswith((".required", ".unique"))


def _check(check: Any, rule: str) -> Any:
    column, _, kind = rule.partition(".")
    said = {"name": rule, "error": rule}
    if kind == "matches":
        return check.str_matches(PATTERNS[column], **said)
    if kind == "in":
        return check.isin(list(orders.COUNTRIES if column == "country" else orders.STATUSES), **said)
    name, arguments = _CHECKS[rule]
    return getattr(check, name)(**arguments, **said)


_CHECKS: dict[str, tuple[str, dict[str, Any]]] = {
    "customer_id.at_least": ("ge", {"min_value": 0}),
    "order_date.between": (
        "in_range", {"min_value": date.fromisoformat(FIRST_DAY), "max_value": date.fromisoformat(LAST_DAY)},
    ),
    "quantity.between": ("in_range", {"min_value": 1, "max_value": 1000}),
    "unit_price.above": ("gt", {"min_value": 0}),
    "unit_price.at_most": ("le", {"max_value": 100000}),
    "discount.between": ("in_range", {"min_value": 0, "max_value": 1}),
    "rating.between": ("in_range", {"min_value": 1, "max_value": 5}),
}  # fmt: skip


def _every_row(condition: str) -> Callable[[DataFrame], bool]:
    return lambda frame: frame.filter(f"not ({condition})").limit(1).count() == 0


def _aggregate(condition: str) -> Callable[[DataFrame], bool]:
    def holds(frame: DataFrame) -> bool:
        row = frame.selectExpr(condition).first()
        return bool(row and row[0])

    return holds


_FUNCTIONS = {
    # a range would say so too, but not of a cached frame: Spark skips batches by statistics that leave NaN out
    "weight.above": _every_row("weight > 0 and not isnan(weight)"),
    "shipped-after-order": _every_row(SHIPPED),
    "value-not-negative": _every_row(VALUE),
    "rating.completeness": _aggregate("count(rating) >= 0.5 * count(*)"),
    "row_count": _aggregate("count(*) >= 1"),
    "quantity.mean": _aggregate("avg(quantity) between 5 and 15"),
    "quantity.stddev": _aggregate("stddev(quantity) between 1 and 20"),
}
