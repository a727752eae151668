"""The profile of a DataFrame or of files, without a rule: one pass, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality.backends.reading import Reader
from quality.backends.schemas import columns_of
from quality.backends.session import session
from quality.backends.tally import PROFILED, tally
from quality.errors import EngineError
from quality.model import Column
from quality.profiles import Profile
from quality.profiles import profile as of_tally
from quality.rule_types.rules import Input
from quality.rulefile.sections import known_format, refuse_options
from quality.sensitive import NOTHING, Sensitive
from quality.sql import quote
from quality.tally import read


def profile(
    data: DataFrame | str,
    *,
    format: str = "",
    options: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    sensitive: Sensitive = NOTHING,
) -> Profile:
    """The profile of every column, less the values of sensitive ones. A path is read as a rule file's input is: text formats as text, so that the inferred type
    says what the values look like. Raises InputError when there is nothing to read, EngineError where Spark runs without a
    JVM of ours to load classes into."""
    if isinstance(data, DataFrame):
        return profile_frame(data, columns_of(data.schema), sensitive)
    kind = known_format(data, format)
    refuse_options(options or ())
    with session(spark) as own:
        given = dict(options or ({"header": "true"} if kind == "csv" else {}))
        reader = Reader(own.spark, Input(path=(data,), format=kind, options=given), {})
        batch = reader.read(reader.pin())
        return profile_frame(batch.frame, batch.columns, sensitive)


def profile_frame(frame: DataFrame, columns: tuple[Column, ...], sensitive: Sensitive = NOTHING) -> Profile:
    """The profile of these columns of a frame, in one pass."""
    aggregate = tally(frame.sparkSession)
    if aggregate is None:
        raise EngineError("a profile needs a Spark whose class loader takes classes: a driver with a JVM of its own")
    named = [(PROFILED, f"c{place}") for place in range(len(columns))]
    selected = frame.selectExpr(
        *(f"{quote(column.name)} as {name}" for column, (_, name) in zip(columns, named, strict=True))
    )
    (row,) = selected.agg(aggregate.column(named).alias("tally")).select(F.col("tally")).collect()
    found: Any = row[0]
    tallied = read(bytes(found), "".join(role for role, _ in named), [column.type for column in columns])
    return of_tally(tallied, columns, sensitive=sensitive)
