"""Finds the slices that explain the failing rows of a run: which rows are looked at, and what is known of the whole batch.

Failing rows are read back where they are staged or written. Where the input is of several files, rows staged by groups of files
tell of which group they are; only the files of a group that has most of the failing rows of a rule are read again, and the columns
of rules whose rows stay in passed. Where nothing is staged they are found in the batch once more, which tells the file of each: a
narrow pass over the columns of the rules and of the slices. Where it is one file and rows that fail stay in passed without a
flag, of few nothing is told. Nothing is done while every rule about rows is within its tolerance, nor for rules that fewer rows
fail than `LEAST_ROWS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality import slices
from quality.backends.footers import column_stats
from quality.backends.reading import FILE, Batch, with_file
from quality.checks import RowCheck
from quality.engine import Findings
from quality.file_groups import FileGroups
from quality.results import Context, Sides
from quality.rows import duplicates, failing_sql
from quality.rule_types.schema import Malformed
from quality.slices import LEAST_ROWS, Dimension, FailingRow, Slice
from quality.sql import disjunction

#: The entry for all rows that are quarantined, whatever they failed.
QUARANTINED = ""
#: Rules that are asked about, those with most failing rows first.
MOST_RULES = 50


@dataclass(frozen=True)
class Staged:
    """The rows that failed as they are staged, with the number of their group of input files in the place of the file where
    there are `groups`."""

    frame: DataFrame
    groups: FileGroups | None = None


def localised(
    context: Context,
    batch: Batch,
    findings: Findings,
    files: Sides,
    written: Callable[[], DataFrame],
    seen: Sequence[FailingRow] | None,
    staged: Staged | None = None,
) -> dict[str, Slice]:
    """By rule id the slice that explains most of its failing rows, and under QUARANTINED that of the quarantine when it is
    above what is held. `written` reads back the rows that were quarantined or flagged; `seen` are all of them, when
    they are on the driver anyhow."""
    several = findings.plan.several
    every = several or (staged is not None and seen is None)
    checks = _to_explain(context, findings, files, every=every)
    if not checks:
        return {}
    with context.step("localise", "looking what failing rows have in common"):
        return _of_checks(context, batch, findings, files, written, None if several else seen, staged, checks)


def _of_checks(
    context: Context,
    batch: Batch,
    findings: Findings,
    files: Sides,
    written: Callable[[], DataFrame],
    seen: Sequence[FailingRow] | None,
    staged: Staged | None,
    checks: Sequence[RowCheck],
) -> dict[str, Slice]:
    counts = findings.measured.counts
    removing = [check for check in checks if check.rule.quarantines]
    held = removing and _is_held(context, files)
    failing = {check.rule.id: counts[check.rule.id].failed for check in checks}
    failing |= {QUARANTINED: sum(file.rows for file in files["quarantine"])} if held else {}
    by_file = False

    def of_all(marks: Mapping[str, str]) -> Mapping[str, str]:
        return {**marks, QUARANTINED: disjunction([marks[check.rule.id] for check in removing])} if held else marks

    if seen is not None:
        ids = {check.rule.id: {check.rule.id} for check in checks}
        ids |= {QUARANTINED: {check.rule.id for check in removing}} if held else {}
        counted = slices.count_here(seen, ids, dimensions(context, batch))
    else:
        if staged or findings.plan.several:
            frame, marks = _failing(staged.frame if staged else _read_again(context, batch), findings, checks)
        else:
            frame, marks = written(), slices.written_marks(check.rule.id for check in checks)
        by_file = FILE in frame.columns
        chosen = dimensions(context, batch, by_file=by_file)
        counted = _counted(frame, of_all(marks), chosen, failing)
        if by_file and staged and staged.groups:

            def again(which: Sequence[RowCheck], paths: Sequence[str] = ()) -> slices.Counted:
                """The failing rows of some checks by their file, in all files or in some."""
                rows = _read_again(context, batch)
                frame, marks = _failing(_of_files(rows, paths) if paths else rows, findings, which)
                return _counted(frame, of_all(marks) if which == checks else marks, chosen[:1], failing)

            staying = [check for check in checks if not check.rule.quarantines]
            counted = slices.of_files(
                counted,
                slices.near(counted, staged.groups.members),
                lambda paths: again(checks, paths),
                again(staying) if staying else None,
            )
        counted = _with_names(counted)
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


def _counted(
    frame: DataFrame, marks: Mapping[str, str], chosen: Sequence[Dimension], failing: Mapping[str, int]
) -> slices.Counted:
    rows = slices.rows_to_look_at(frame, marks, chosen, failing)
    return slices.count_here(rows, {rule: {rule} for rule in marks}, chosen)


def dimensions(context: Context, batch: Batch, *, by_file: bool = False) -> list[Dimension]:
    """What the slices of a batch are made of."""
    return slices.dimensions(batch.columns, context.rule_set.sensitive, by_file=by_file)


def _to_explain(context: Context, findings: Findings, files: Sides, *, every: bool) -> list[RowCheck]:
    """The checks of rules that failed; when the batch is held for its quarantine, of all that moved rows. Not `every`: of rows
    that stay in passed without a flag none can be looked at."""
    counts, held = findings.measured.counts, _is_held(context, files)
    plan, flags = findings.plan, context.rule_set.outputs.flags
    found = [
        check
        for check in plan.row_checks
        if (every or flags or check.rule.quarantines)
        and (count := counts[check.rule.id]).failed >= LEAST_ROWS
        and (
            check.by or not check.rule.tolerance.allows(count.failed, count.scope) or (held and check.rule.quarantines)
        )
    ]
    return sorted(found, key=lambda check: -counts[check.rule.id].failed)[:MOST_RULES]


def _is_held(context: Context, files: Sides) -> bool:
    bad, good = (sum(file.rows for file in files[side]) for side in ("quarantine", "passed"))
    return bad > Decimal(repr(context.rule_set.quarantined_above)) * (bad + good)


def _read_again(context: Context, batch: Batch) -> DataFrame:
    """The batch with the input file of each row, where Spark can tell it."""
    context.engine.launched.narrow += not batch.kept
    return (batch if batch.kept else with_file(batch)).frame


def _failing(frame: DataFrame, findings: Findings, checks: Sequence[RowCheck]) -> tuple[DataFrame, dict[str, str]]:
    """The rows of a frame that fail a check, and SQL by rule: the row failed it."""
    marked = duplicates(frame, checks, findings.frequencies)
    marks = {check.rule.id: failing_sql(check, marked.markers) for check in checks}
    return marked.joined.where(disjunction(list(marks.values()))), marks


def _of_files(frame: DataFrame, paths: Sequence[str]) -> DataFrame:
    """The rows of some files, and where Spark can tell files apart while it plans, no other is read."""
    found = frame.where(F.col(FILE).isin(*paths))
    names = {path.rpartition("/")[2] for path in paths}
    with suppress(AnalysisException):
        # Spark's versions differ in whether the name is as in an address
        return found.where(F.col("_metadata.file_name").isin(*names, *map(unquote, names)))
    return found


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
