"""SQL of another tool, which names tables, as queries here, which name the batch and references."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from quality import query_text, sql
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.imports.writing import reference_name
from quality.rulefile.ruleforms import slug

#: What stands for the data set itself.
_OWN = re.compile(r"\$?\{(?:batch|object|table|schema|dataset)\}", re.IGNORECASE)


def over_batch(text: Any, dataset: str) -> str:
    """The query with the data set as `this`, and every other table as a reference. Comments at the ends of lines are left out."""
    query = "\n".join(line for line in str(text).splitlines() if not line.lstrip().startswith("--"))
    query = _OWN.sub("this", query).strip().removesuffix(";").strip()

    def called(name: str) -> str:
        is_own = name.lower() in sql.RELATIONS or dataset in (slug(name), slug(name.rpartition(".")[2]))
        return "this" if is_own else reference_name(name)

    return query_text.renamed(query, called)


def number(query: str, words: Mapping[str, Any], about: str, differs: str = "") -> Entry:
    """The demand that the number of a query lies within bounds. Raises Lost."""
    refuse(query)
    return Entry("sql", {"query": query, **words}, about=about, differs=differs)


def failing_rows(query: str, beside: Mapping[str, Any], about: str) -> Entry:
    """The demand that a query returns no rows, or as many as a tolerance says. Raises Lost."""
    refuse(query)
    return Entry("sql_rows", {"query": query}, beside, about)


def refuse(query: str) -> None:
    """Raise Lost for what can be no query of a rule."""
    wrong = sql.query_problems(query)
    if wrong:
        raise Lost(f"its query cannot be used: {'; '.join(wrong)}")
