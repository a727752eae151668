"""The generic tests of dbt that ask another model, as entries of a rule file: it becomes a reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from quality import sql
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.imports.writing import exists_in, reference_name

Arguments = dict[str, Any]
_AGGREGATE = re.compile(r"\s*(sum|avg|min|max|count)\s*\(\s*(?:(\*|1)|[`\"]?([\w ]+?)[`\"]?)\s*\)\s*", re.IGNORECASE)
_FUNCTIONS = {"avg": "mean"}


def model_of(text: Any) -> str:
    """The name of a model or a source, however it is pointed at. Raises Lost."""
    found = re.fullmatch(r"(?:ref|source)\((.*)\)", str(text).strip())
    names = re.findall(r"['\"]([^'\"]+)['\"]", found[1]) if found else [str(text)]
    if not names:
        raise Lost(f"'{text}' names no model")
    return str(names[-1])


def usable(text: Any, what: str) -> str:
    """An expression of Spark SQL. Raises Lost."""
    wrong = sql.problems(str(text))
    if wrong:
        raise Lost(f"{what} cannot be used: {'; '.join(wrong)}")
    return str(text).strip()


def relationship(kwargs: Arguments) -> list[Entry]:
    """Every value is one of another model's; either side may be a part of its rows."""
    rule = exists_in([kwargs["column_name"]], model_of(kwargs["to"]), [str(kwargs["field"])])
    own, other = _condition(kwargs, "from_condition"), _condition(kwargs, "to_condition")
    return [Entry("exists_in", rule["exists_in"], {"where": own} if own else {}, reference_where=other)]


def _condition(kwargs: Arguments, word: str) -> str:
    text = str(kwargs.get(word) or "").strip()
    return "" if not text or re.fullmatch(r"1\s*=\s*1", text) else usable(text, f"its {word}")


def row_count(bounds: Mapping[str, Any]) -> Callable[[Arguments], list[Entry]]:
    """The number of rows is held against that of another model."""

    def made(kwargs: Arguments) -> list[Entry]:
        factor = kwargs.get("factor", 1)
        held = bounds if factor == 1 else {"equals": factor}
        return [_beside("row_count_match", kwargs, held)]

    return made


def _beside(type: str, kwargs: Arguments, body: Mapping[str, Any]) -> Entry:
    """A rule about both models; a condition without another is about both."""
    own = _condition(kwargs, "row_condition")
    other = _condition(kwargs, "compare_row_condition") or own
    named = {
        **({"column": body["column"]} if "column" in body else {}),
        "reference": reference_name(model_of(kwargs["compare_model"])),
    }
    return Entry(type, {**named, **body}, {"where": own} if own else {}, reference_where=other)


def aggregate(kwargs: Arguments) -> list[Entry]:
    """An aggregate is that of another model, or near it."""
    found = [
        _AGGREGATE.fullmatch(str(text))
        for text in (kwargs["expression"], kwargs.get("compare_expression") or kwargs["expression"])
    ]
    if not all(found):
        raise Lost("only an aggregate of one column (sum, avg, min, max, count) is compared with another model's")
    (first, all_rows, column), (second, all_theirs, other) = (part.groups() for part in found if part)
    if first.lower() != second.lower() or bool(all_rows) != bool(all_theirs):
        raise Lost("two different aggregates are not compared with each other")
    bounds = _near(kwargs)
    if all_rows:
        return [_beside("row_count_match", kwargs, bounds)]
    function = first.lower()
    named = {"column": column, "function": _FUNCTIONS.get(function, function)}
    return [
        _beside(
            "aggregate_match", kwargs, {**named, **({"reference_column": other} if other != column else {}), **bounds}
        )
    ]


def _near(kwargs: Arguments) -> dict[str, Any]:
    """How far one may be from the other, as a quotient."""
    share = kwargs.get("tolerance_percent")
    if not share and kwargs.get("tolerance"):
        raise Lost("how far apart the two may be is said as a share of them here, not as an amount")
    if not share:
        return {}
    apart = Decimal(str(share))
    if not 0 < apart < 1:
        raise Lost("its tolerance_percent is no share between 0 and 1")
    return {"at_least": float(1 / (1 + apart)), "at_most": float(1 / (1 - apart))}
