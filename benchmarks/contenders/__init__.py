"""The engines that are compared: each a small file here, with the rules of `orders.py` as its own documentation writes them.

A contender runs in a process of its own, in the environment its requirements make, so a module of this package imports
what it compares where it needs it: the command that starts them reads only what they say about themselves.

Answers must be equal to be compared. What trips most is said once here: a NULL passes a rule that does not ask for a value,
and a NaN is no weight, though Spark orders it above every number; engines without a word for that are given a range that
ends at the largest number.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Contenders by their file, in the order of the table.
NAMES = ("floor", "ours", "pydeequ_", "gx", "soda", "cuallee_", "sparkdq_", "pandera_")
#: What can be asked of one, by the name of the method. `read` and `copy` are what the floor does.
WORKLOADS = ("read", "copy", "checks", "quarantine", "profile", "all")

#: The rules about rows, by the ids that our own rule file gives them.
ROW_RULES = (
    "order_id.required", "order_id.unique", "customer_id.required", "customer_id.at_least", "order_date.required",
    "order_date.between", "created_at.required", "country.required", "country.in", "status.in", "email.required",
    "email.matches", "phone.matches", "sku.matches", "quantity.between", "unit_price.above", "unit_price.at_most",
    "discount.between", "weight.above", "rating.between", "comment.required", "shipped-after-order", "value-not-negative",
)  # fmt: skip
#: The rules about the whole batch. No fault is planted for them.
BATCH_RULES = ("rating.completeness", "row_count", "quantity.mean", "quantity.stddev")
RULES = ROW_RULES + BATCH_RULES

#: The columns that must have a value.
REQUIRED = ("order_id", "customer_id", "order_date", "created_at", "country", "email", "comment")
#: Whole values, as regular expressions that most engines only look for somewhere in the value.
PATTERNS = {"email": r"^[^@ ]+@[^@ ]+\.[a-z]{2,}$", "phone": r"^\+[0-9]{8,14}$", "sku": r"^SKU-[0-9]{6}$"}
FIRST_DAY, LAST_DAY = "2024-01-01", "2024-12-31"
#: Below NaN, and above every other double but infinity.
LARGEST = 1.7976931348623157e308
SHIPPED = "ship_date >= order_date"
VALUE = "gift or quantity * unit_price >= 0"

#: The types of the columns, for formats that keep none.
TYPES = (
    "order_id bigint, customer_id bigint, order_date date, ship_date date, created_at timestamp, country string, "
    "status string, email string, phone string, sku string, quantity int, unit_price decimal(16,6), discount decimal(27,6), "
    "weight double, rating int, gift boolean, coupon string, comment string"
)

#: Failing rows, or whether the rule passed where an engine gives no count.
Found = dict[str, int | bool]


@dataclass(frozen=True)
class Sides:
    """Where the rows of a split were written: Parquet files or folders. `found` where the split counts as it goes."""

    good: Sequence[str]
    bad: Sequence[str]
    found: Found | None = None


class Contender:
    """One engine on one Spark. It can do the workloads whose methods it has."""

    #: As it is called in the table.
    title: ClassVar[str] = ""
    #: What pip installs beside Spark. Empty: it runs where the command runs. The first one's version is shown.
    requirements: ClassVar[tuple[str, ...]] = ()
    #: Environment variables without which it does not start, or would call home.
    environment: ClassVar[Mapping[str, str]] = {}
    #: Whether it needs the classes of Deequ.
    deequ: ClassVar[bool] = False
    #: Workloads it cannot do, and why: one sentence.
    cannot: ClassVar[Mapping[str, str]] = {}
    #: Rules it cannot express, and why.
    left_out: ClassVar[Mapping[str, str]] = {}
    #: Rules it can express, but not for single rows, so that they are no part of its split.
    not_split: ClassVar[Mapping[str, str]] = {}
    #: What the quarantine says of why a row is there.
    reasons: ClassVar[str] = ""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def frame(self, data: str) -> DataFrame:
        """The rows, typed. Nothing is read but the schema."""
        if data.endswith(".csv"):
            return self.spark.read.csv(data, header=True, schema=TYPES)
        return self.spark.read.parquet(data)

    def close(self) -> None:
        """End what would keep the process from ending."""

    @classmethod
    def workloads(cls) -> tuple[str, ...]:
        """What it can do, of `WORKLOADS`."""
        return tuple(name for name in WORKLOADS if hasattr(cls, name))

    @classmethod
    def rules(cls, workload: str) -> tuple[str, ...]:
        """The rules that count in a workload: a split asks only for those about rows."""
        if workload not in ("checks", "quarantine", "all"):
            return ()
        left = {**cls.left_out, **(cls.not_split if workload != "checks" else {})}
        return tuple(rule for rule in (RULES if workload == "checks" else ROW_RULES) if rule not in left)


def contender(name: str) -> type[Contender]:
    """The class in the file of that name."""
    found: type[Contender] = importlib.import_module(f"{__name__}.{name}").Engine
    return found
