"""Deequ's constraint suggestions on the first days of a data set, as constraints that can be judged in numpy.

`ConstraintSuggestionRunner` with the rules `DEFAULT` or `EXTENDED` sees the days as one table, as its documentation has it; a
tenth of the rows is held back (`useTrainTestSplitWithTestsetRatio`), and what fails on them is left out. Each constraint is
judged as the code that Deequ prints; `checked` compares that with Deequ itself on some days. The code lets NULL pass where
Deequ's own objects of `isContainedIn` and `isNonNegative` count it as a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Columns = dict[str, np.ndarray]
_SEED = 5_000_000_000


@dataclass(frozen=True)
class Constraint:
    """A constraint that Deequ suggested: its code, and Deequ's own object."""

    code: str
    column: str
    held: Callable[[Columns], bool]
    deequ: Any = None

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from others."""
        return (self.code,)


def spark() -> Any:
    """A Spark with Deequ."""
    from quality.backends.session import own_session

    return own_session("suggestions", "local[1]", {"spark.ui.enabled": "false", "spark.driver.memory": "2g"})


def frame(session: Any, days: Sequence[Columns], place: Path) -> Any:
    """The days as one table; numbers that are whole as such."""
    joined = {name: np.concatenate([day[name] for day in days]) for name in days[0]}
    typed = {}
    for name, values in joined.items():
        if values.dtype == object:
            typed[name] = pd.array(values, dtype="string")
        else:
            known = values[~np.isnan(values)]
            whole = bool((known == np.floor(known)).all())
            typed[name] = pd.array(values, dtype="Float64").astype("Int64") if whole else values
    table = pd.DataFrame(typed)
    place.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(place)
    return session.read.parquet(str(place))


def suggested(session: Any, table: Any, rules: str) -> tuple[list[Constraint], int]:
    """The constraints that hold on the rows held back, and how many were suggested in all."""
    jvm = session._jvm
    deequ, convert = jvm.com.amazon.deequ.suggestions, jvm.scala.collection.JavaConverters
    chosen = getattr(deequ.Rules, rules)()
    result = (
        deequ.ConstraintSuggestionRunner()
        .onData(table._jdf)
        .addConstraintRules(chosen)
        .useTrainTestSplitWithTestsetRatio(0.1, jvm.scala.Option.apply(_SEED))
        .run()
    )
    by_column = convert.mapAsJavaMapConverter(result.constraintSuggestions()).asJava()
    all_ = [one for name in by_column for one in convert.seqAsJavaListConverter(by_column[name]).asJava()]
    checks = convert.mapAsJavaMapConverter(result.verificationResult().get().checkResults()).asJava()
    passed = [
        one.constraint()
        for check in checks
        for one in convert.seqAsJavaListConverter(checks[check].constraintResults()).asJava()
        if one.status().toString() == "Success"
    ]
    kept = [one for one in all_ if any(one.constraint().equals(held) for held in passed)]
    made = [
        Constraint(one.codeForConstraint(), one.columnName(), _judge(one.codeForConstraint()), one.constraint())
        for one in kept
    ]
    return made, len(all_)


def _judge(code: str) -> Callable[[Columns], bool]:
    """Whether a day complies, by the code that Deequ prints."""
    found = re.match(r'\.(\w+)\("((?:[^"\\]|\\.)*)"(.*)\)\s*\Z', code, re.DOTALL)
    if not found:
        raise ValueError(f"not understood: {code}")
    method, name, rest = found.groups()
    at_least = re.search(r"_ >= ([-0-9.eE]+)", rest)
    level = float(at_least[1]) if at_least else 1.0
    equal = re.search(r"_ == ([-0-9.eE]+)", rest)
    near = re.search(r"_ <= ([-0-9.eE]+)", rest)
    if method in ("isComplete", "hasCompleteness"):
        return lambda day: 1 - _gone(day[name]).mean() >= level
    if method == "isContainedIn":
        listed = {
            re.sub(r"\\(.)", r"\1", text)
            for text in re.findall(r'"((?:[^"\\]|\\.)*)"', rest.partition("Array(")[2].partition(")")[0])
        }
        return lambda day: float(np.mean([value is None or value in listed for value in _texts(day[name])])) >= level
    if method == "isNonNegative":
        return lambda day: not (day[name] < 0).any()
    if method == "isUnique":
        return lambda day: _unique(day[name])
    numbers: dict[str, Any] = {
        "hasMin": np.nanmin,
        "hasMax": np.nanmax,
        "hasMean": np.nanmean,
        "hasStandardDeviation": np.nanstd,
    }
    texts: dict[str, Any] = {"hasMinLength": min, "hasMaxLength": max}
    if method in numbers:
        return lambda day: _near(
            float(numbers[method](day[name])) if not _gone(day[name]).all() else np.nan, equal, at_least, near
        )
    if method in texts:
        return lambda day: _near(
            float(texts[method]((len(v) for v in day[name] if v is not None), default=np.nan)), equal, at_least, near
        )
    raise ValueError(f"not understood: {code}")


def _near(value: float, equal: Any, at_least: Any, at_most: Any) -> bool:
    return (
        (equal is None or value == float(equal[1]))
        and (at_least is None or value >= float(at_least[1]))
        and (at_most is None or value <= float(at_most[1]))
        and not np.isnan(value)
    )


def _gone(values: np.ndarray) -> np.ndarray:
    return np.array([v is None for v in values], bool) if values.dtype == object else np.isnan(values)


def _texts(values: np.ndarray) -> list[Any]:
    if values.dtype == object:
        return list(values.tolist())
    return [None if v != v else str(int(v)) if v == int(v) else repr(v) for v in values.tolist()]


def _unique(values: np.ndarray) -> bool:
    known = values[~_gone(values)]
    return len(set(known.tolist())) == len(known)


def checked(session: Any, constraints: Sequence[Constraint], days: Sequence[Columns], place: Path) -> list[str]:
    """Where Deequ itself says otherwise of these days: empty when it agrees."""
    jvm, wrong = session._jvm, []
    checks, convert = jvm.com.amazon.deequ.checks, jvm.scala.collection.JavaConverters
    listed = jvm.java.util.ArrayList()
    for one in constraints:
        listed.add(one.deequ)
    for day, columns in enumerate(days):
        table = frame(session, [columns], place / f"{day}.parquet")
        check = checks.Check(
            checks.CheckLevel.Error(), "all", convert.asScalaBufferConverter(listed).asScala().toList()
        )
        result = jvm.com.amazon.deequ.VerificationRunBuilder(table._jdf).addCheck(check).run()
        (found,) = convert.mapAsJavaMapConverter(result.checkResults()).asJava().values()
        results = convert.seqAsJavaListConverter(found.constraintResults()).asJava()
        for one, told in zip(constraints, results, strict=True):
            if one.code.startswith((".isContainedIn", ".isNonNegative")) and _gone(columns[one.column]).any():
                continue
            if (told.status().toString() == "Success") != bool(one.held(columns)):
                wrong.append(f"day {day}: {one.code}: Deequ says {told.status().toString()}")
    return wrong


def suites(days: Sequence[Columns], later: Sequence[Columns], place: Path) -> dict[str, list[Constraint]]:
    """What `DEFAULT` and `EXTENDED` suggest from days. Raises ValueError when Deequ judges one of the later days otherwise."""
    session = spark()
    try:
        table = frame(session, days, place / "days.parquet")
        found = {}
        for rules in ("DEFAULT", "EXTENDED"):
            found[rules.lower()], _ = suggested(session, table, rules)
            wrong = checked(session, found[rules.lower()], later, place)
            if wrong:
                raise ValueError("; ".join(wrong))
        return found
    finally:
        session.stop()
