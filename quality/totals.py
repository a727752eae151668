"""What is aggregated of a reference: totals, and how the values of columns are spread. One pass tells all that is asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality import drifting
from quality.analyzers import FRACTIONAL, TEXTUAL, base_type, is_numeric
from quality.backends.reading import Batch
from quality.backends.tally import PROFILED, tally
from quality.casts import text_as
from quality.comparing import as_type
from quality.distributions import sketch_of
from quality.errors import RuleDataError
from quality.matches import AggregateMatch
from quality.model import Column
from quality.profiles import profile
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX
from quality.rule_types.questions import Question, Spread, Total
from quality.sensitive import Sensitive
from quality.tally import read

_SPREAD = f"{RESERVED_PREFIX}spread_"


def well_formed(batch: Batch) -> DataFrame:
    """The rows that could be read."""
    return batch.frame.where(f"not {MALFORMED}") if batch.text else batch.frame


@dataclass(frozen=True)
class Asked:
    """A question as SQL: `text` is the aggregate, or the column that is counted, of type `kind`; `lost` counts the texts that
    are none of the type."""

    question: Total | Spread
    text: str
    lost: str = "0"
    kind: str = ""


def asked(batch: Batch, found: Batch, question: Total | Spread) -> Asked:
    """The question as SQL over the reference. Raises RuleDataError when there is none."""
    wanted = batch.row.type(question.batch_column) if question.batch_column else ""
    try:
        return _total(found, question, wanted) if isinstance(question, Total) else _spread(found, question, wanted)
    except RuleDataError as error:
        raise RuleDataError(f"reference '{question.reference}': {error}") from None


def _total(found: Batch, question: Total, wanted: str) -> Asked:
    if not question.function:
        return Asked(question, "count(1)")
    kind = found.row.type(question.column)
    ref, lost = found.row.ref(question.column), "0"
    analyzer = AggregateMatch((question.column,), "", question.reference, function=question.function)
    if question.function != "count":
        # what a batch has no number for is a matter of the batch
        if base_type(kind) in TEXTUAL and is_numeric(wanted):
            kind, ref, lost = _number(found, question.column, wanted)
        analyzer.check_type(question.column, kind)
    cast = analyzer.native_type(kind)
    return Asked(question, analyzer.sql(f"cast({ref} as {cast})" if cast else ref), lost)


def _spread(found: Batch, question: Spread, wanted: str) -> Asked:
    kind = found.row.type(question.column)
    if is_numeric(wanted) and is_numeric(kind):
        return Asked(question, found.row.ref(question.column), kind=kind)
    if is_numeric(wanted) and base_type(kind) in TEXTUAL:
        kind, ref, lost = _number(found, question.column, wanted)
        return Asked(question, ref, lost, kind)
    if is_numeric(wanted):
        raise RuleDataError(f"column '{question.column}' is {kind}, which cannot be compared with {wanted}")
    text = as_type(found.row, question.column, wanted, found.row.timezone)
    ref = found.row.ref(question.column)
    return Asked(question, text, f"count_if({ref} is not null and ({text}) is null)", wanted)


def _number(found: Batch, column: str, wanted: str) -> tuple[str, str, str]:
    """Texts as numbers: their type, their SQL, and how many are none."""
    kind = "double" if base_type(wanted) in FRACTIONAL else "decimal(38,12)"
    text = found.row.ref(column)
    ref = text_as(text, kind, found.row.timezone)
    return kind, ref, f"count_if({text} is not null and {ref} is null)"


def answers(
    found: Batch, questions: Sequence[Asked], batch: Batch, sensitive: Sensitive
) -> tuple[dict[Question, Any], dict[Question, str]]:
    """What the reference tells, and why it does not tell the others: one pass. Raises what Spark raises."""
    spreads = [one for one in questions if isinstance(one.question, Spread)]
    totals = [one for one in questions if one not in spreads]
    rows = well_formed(found)
    counts = tally(rows.sparkSession) if spreads else None
    names = [f"{_SPREAD}{place}" for place in range(len(spreads) if counts else 0)]
    texts = [text for one in totals for text in (one.text, one.lost)] + [one.lost for one in spreads]
    columns = [F.expr(text) for text in texts]
    if counts:
        rows = rows.selectExpr("*", *(f"{one.text} as {name}" for one, name in zip(spreads, names, strict=True)))
        columns.append(counts.column([(PROFILED, name) for name in names]))
    row: Any = rows.agg(*(column.alias(f"a{place}") for place, column in enumerate(columns))).collect()[0]
    said: dict[Question, Any] = {one.question: row[2 * place] for place, one in enumerate(totals)}
    lost = [*row[1 : 2 * len(totals) : 2], *row[2 * len(totals) : len(texts)]]
    wrong: dict[Question, str] = {
        one.question: f"reference '{one.question.reference}': {_lost(one, number, batch)}"
        for one, number in zip((*totals, *spreads), lost, strict=True)
        if number
    }
    if counts:
        said |= _held(bytes(row[-1]), spreads, batch, sensitive)
    elif spreads:
        why = "columns are profiled by a class that Spark compiles, and its class loader takes none here"
        wrong |= dict.fromkeys((one.question for one in spreads), why)
    return said, wrong


def _lost(one: Asked, number: int, batch: Batch) -> str:
    kind = "number" if isinstance(one.question, Total) else base_type(batch.row.type(one.question.batch_column))
    kinds = "numbers" if is_numeric(kind) or kind == "number" else f"{kind}s"
    return (
        f"{number:,} texts of column '{one.question.column}' are no {kinds}; the option 'nullValue' of a reference in CSV names a "
        f"text that stands for NULL, any other is to be mended there"
    )


def _held(
    content: bytes, spreads: Sequence[Asked], batch: Batch, sensitive: Sensitive
) -> dict[Question, Mapping[Any, float]]:
    """The counts of each column, as a profile of the batch's column has them: what is sensitive there is so here."""
    asking = [one.question for one in spreads if isinstance(one.question, Spread)]
    ours = [batch.row.find(question.batch_column) for question in asking]
    columns = [Column(column.name, one.kind) for column, one in zip(ours, spreads, strict=True)]
    found = profile(read(content, PROFILED * len(columns), [column.type for column in columns]), columns, 0, sensitive)
    held = zip(asking, ours, found.columns, strict=True)
    return {question: drifting.counted(sketch_of(column.type), counted) for question, column, counted in held}
