"""What of a steward's SQL depends on the moment of reading, as Spark resolved it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame

from quality.errors import InputError
from quality.sql import clock_problem, literal, names_clock


def filtered(frame: DataFrame, where: str) -> DataFrame:
    """The rows of a condition; all without one. Raises InputError when they are others at each look, and what Spark raises."""
    if not where:
        return frame
    found = frame.where(where)
    if wrong := clock_problems(found, where):
        raise InputError(f"'where': {'; '.join(wrong)}")
    return found


def clock_problems(frame: DataFrame, text: str) -> list[str]:
    """What of a frame depends on the clock, where `text`, which it was made of, holds a word such as 'now': it does where Spark
    casts the word because it stands beside a date or time."""
    if not names_clock(text):
        return []
    found = (literal for literal in _cast_texts(frame._jdf.queryExecution().analyzed()) if names_clock(literal))
    return list(dict.fromkeys(map(clock_problem, found)))


def _cast_texts(node: Any) -> Iterator[str]:
    """The texts in a plan that become dates or times, as literals."""
    for expression in each(node.expressions()):
        yield from _cast_texts_within(expression)
    for child in each(node.children()):
        yield from _cast_texts(child)


def _cast_texts_within(expression: Any) -> Iterator[str]:
    own = {*kinds(expression)}
    if "Cast" in own and str(expression.dataType().typeName()) in ("date", "timestamp", "timestamp_ntz"):
        child = expression.child()
        if "Literal" in {*kinds(child)} and str(child.dataType().typeName()) == "string":
            yield literal(str(child.value()))
    if own & {"SubqueryExpression", "PlanExpression"}:
        yield from _cast_texts(expression.plan())
    for child in each(expression.children()):
        yield from _cast_texts_within(child)


def kinds(thing: Any) -> Iterator[str]:
    """The names of a Java object's class and of those above it."""
    kind = thing.getClass()
    while kind is not None:
        yield str(kind.getSimpleName())
        kind = kind.getSuperclass()


def each(found: Any) -> list[Any]:
    """The entries of a sequence of Scala."""
    return [found.apply(place) for place in range(found.size())]
