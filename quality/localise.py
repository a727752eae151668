"""Finds the slices that explain the failing rows of a run: which rows are looked at, and what is known of the whole batch.

Failing rows were written, quarantined or flagged, and are read back. Where the input is of several files they are found in the
batch once more, which tells the file of each: a narrow pass over the columns of the rules and of the slices. Where it is one file
and rows that fail stay in passed without a flag, nothing is told of them. Nothing is done while every rule about rows is within its tolerance, nor for rules that fewer rows fail than `LEAST_ROWS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality import slices
from quality.backends.footers import column_stats
from quality.backends.reading import Batch
from quality.checks import RowCheck
from quality.engine import Findings
from quality.results import Context, Sides
from quality.rows import duplicates, failing_sql
from quality.rule_types.schema import Malformed
from quality.slices import FILE, LEAST_ROWS, Dimension, FailingRow, Slice
from quality.sql import disjunction

#: The entry for all rows that are quarantined, whatever they failed.
QUARANTINED = ""
#: Rules that are asked about, those with most failing rows first.
MOST_RULES = 50


def localised(
    context: Context,
    batch: Batch,
    findings: Findings,
    files: Sides,
    written: Callable[[], DataFrame],
    seen: Sequence[FailingRow] | None,
) -> dict[str, Slice]:
    """By rule id the slice that explains most of its failing rows, and under QUARANTINED that of the quarantine when it is
    above what is held. `written` reads back the rows that were quarantined or flagged; `seen` are all of them, when
    they are on the driver anyhow."""
    checks = _to_explain(context, findings, files)
    if not checks:
        return {}
    with context.step("localise", "looking what failing rows have in common"):
        return _of_checks(context, batch, findings, files, written, seen, checks)


def _of_checks(
    context: Context,
    batch: Batch,
    findings: Findings,
    files: Sides,
    written: Callable[[], DataFrame],
    seen: Sequence[FailingRow] | None,
    checks: Sequence[RowCheck],
) -> dict[str, Slice]:
    counts = findings.measured.counts
    removing = [check for check in checks if check.rule.quarantines]
    held = removing and _is_held(context, files)
    failing = {check.rule.id: counts[check.rule.id].failed for check in checks}
    failing |= {QUARANTINED: sum(file.rows for file in files["quarantine"])} if held else {}
    by_file = False
    if seen is not None and not findings.plan.several:
        ids = {check.rule.id: {check.rule.id} for check in checks}
        ids |= {QUARANTINED: {check.rule.id for check in removing}} if held else {}
        counted = slices.count_here(seen, ids, dimensions(context, batch))
    else:
        frame, marks = _in_batch(context, batch, findings, checks) if findings.plan.several else (written(), {})
        marks = marks or slices.written_marks(check.rule.id for check in checks)
        marks |= {QUARANTINED: disjunction([marks[check.rule.id] for check in removing])} if held else {}
        by_file = FILE in frame.columns
        chosen = dimensions(context, batch, by_file=by_file)
        counted = _with_names(slices.count(frame, marks, chosen, failing, small=batch.small))
    # a line that could not be read has no value in any column
    every = tuple(column.name for column in batch.columns)
    named = {
        check.rule.id: every if isinstance(check.rule.check, Malformed) else check.rule.check.columns()
        for check in checks
    }
    named[QUARANTINED] = tuple(name for check in removing for name in check.rule.check.columns())
    # columns that are profiled for a rule alone do not tell which others do not vary
    profile = findings.profile if findings.plan.rule_set.profile else None
    of_batch = slices.shares_of(profile)
    of_batch |= slices.shares_of_files({_plain(file.path): file.size for file in batch.files}) if by_file else {}
    return slices.best(counted, named, of_batch, {} if profile else _constants(context, counted, files))


def dimensions(context: Context, batch: Batch, *, by_file: bool = False) -> list[Dimension]:
    """What the slices of a batch are made of."""
    return slices.dimensions(batch.columns, context.rule_set.sensitive, by_file=by_file)


def _to_explain(context: Context, findings: Findings, files: Sides) -> list[RowCheck]:
    """The checks of rules that failed; when the batch is held for its quarantine, of all that moved rows."""
    counts, held = findings.measured.counts, _is_held(context, files)
    plan, flags = findings.plan, context.rule_set.outputs.flags
    found = [
        check
        for check in plan.row_checks
        if (plan.several or flags or check.rule.quarantines)
        and (count := counts[check.rule.id]).failed >= LEAST_ROWS
        and (
            check.by or not check.rule.tolerance.allows(count.failed, count.scope) or (held and check.rule.quarantines)
        )
    ]
    return sorted(found, key=lambda check: -counts[check.rule.id].failed)[:MOST_RULES]


def _is_held(context: Context, files: Sides) -> bool:
    bad, good = (sum(file.rows for file in files[side]) for side in ("quarantine", "passed"))
    return bad > Decimal(repr(context.rule_set.quarantined_above)) * (bad + good)


def _in_batch(
    context: Context, batch: Batch, findings: Findings, checks: Sequence[RowCheck]
) -> tuple[DataFrame, dict[str, str]]:
    """The failing rows of the batch, with their input file where Spark can tell it."""
    frame = (batch if batch.kept else with_file(batch)).frame
    context.engine.launched.narrow += not batch.kept
    context.engine.launched.shuffles += not batch.small
    marked = duplicates(frame, checks, findings.frequencies)
    marks = {check.rule.id: failing_sql(check, marked.markers) for check in checks}
    return marked.joined.where(disjunction(list(marks.values()))), marks


def with_file(batch: Batch) -> Batch:
    """The batch with the input file of each row, where Spark can tell it: not where corrected rows stand in the place of others,
    which come from other files."""
    with suppress(AnalysisException):
        return replace(batch, frame=batch.frame.select("*", F.input_file_name().alias(FILE)))
    return batch


def _plain(path: str) -> str:
    """A path as one text, however it is written."""
    scheme, colon, rest = unquote(path).partition(":")
    return f"/{rest.lstrip('/')}" if colon and scheme == "file" else unquote(path)


def _with_names(counted: slices.Counted) -> slices.Counted:
    """Input files by their plain paths."""

    def plain(number: int, value: str | None) -> str | None:
        return _plain(value) if value and counted.dimensions[number].kind == "file" else value

    # the rows of a shuffle, as of a join with a reference of many keys, come from no file
    told = {at: rows for at, rows in counted.rows.items() if at[1] or counted.dimensions[at[0]].kind != "file"}
    return replace(counted, rows={(n, plain(n, value)): rows for (n, value), rows in told.items()})


def _constants(context: Context, counted: slices.Counted, files: Sides) -> Mapping[str, str]:
    """The columns that have one value in all rows that pass."""
    names = [one.column for one in counted.dimensions if one.kind == "value"]
    found = column_stats(context.spark, [context.store.uri(file.path) for file in files["passed"]], names)
    return {name: stats.constant for name, stats in found.items() if stats.constant is not None}
