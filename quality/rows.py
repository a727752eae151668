"""Splits a batch: rows that go on, rows that are quarantined with every reason, rows that are kept but flagged.

A row is on one side because every verdict is a boolean that is never NULL. Duplicates are found by joining the
duplicated keys alone, which are few, and only when there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.backends.reading import Batch
from quality.checks import KeyPass, RowCheck
from quality.engine import Findings
from quality.keys import Frequencies, doubled_keys
from quality.rule_types.base import MALFORMED, MALFORMED_LINE, QUALITY_COLUMN, RESERVED_PREFIX
from quality.sensitive import Hiding, Sensitive, hidden_sql, pads
from quality.sql import disjunction, literal, quote

VALUE_LENGTH = 256
#: A column of the batch that gives a row its id, where it is known before; NULL where it is not.
ROW_ID = f"{RESERVED_PREFIX}row_id"
#: Expressions of reasons in one array; more are concatenated, so that no expression grows without bound.
REASONS_CHUNK = 50


@dataclass(frozen=True)
class Origin:
    """What every quarantined row says of where it comes from."""

    batch: str
    run: str
    rule_set: str


@dataclass(frozen=True)
class Split:
    """The sides of a batch. `quarantined` and `flagged` are None when no row can be on them."""

    passed: DataFrame
    quarantined: DataFrame | None
    flagged: DataFrame | None


@dataclass(frozen=True)
class Marked:
    """A batch whose rows know whether their key is doubled: `markers` names the column that says so for each key."""

    joined: DataFrame
    markers: Mapping[KeyPass, str]


def duplicates(frame: DataFrame, checks: Iterable[RowCheck], frequencies: Mapping[KeyPass, Frequencies]) -> Marked:
    """Mark the rows of doubled keys. The keys were kept when they were counted; only too many are counted again, and then
    both sides of the join are shuffled."""
    doubled = [check.key for check in checks if check.key and frequencies[check.key].duplicated]
    markers = {key: f"{RESERVED_PREFIX}duplicate_{index}" for index, key in enumerate(dict.fromkeys(doubled))}
    for key, marker in markers.items():
        kept = frequencies[key].doubled
        names = [f"{marker}_{index}" for index in range(len(key.references))]
        found = (doubled_keys(frame, key) if kept is None else kept).toDF(*names).selectExpr("*", f"true as {marker}")
        # equality is enough: the keys of this side hold no NULL, and a row with one has no duplicate
        matches = [F.expr(ref) == F.col(name) for ref, name in zip(key.references, names, strict=True)]
        frame = frame.join(found if kept is None else F.broadcast(found), matches, "left").drop(*names)
    return Marked(frame, markers)


#: Sides of rows: those that pass, those that are quarantined, those that pass although some rule failed on them.
SIDES = 3


def side_expression(checks: Sequence[RowCheck], marked: Marked, group: str = "") -> str:
    """SQL: 1 for a row that is quarantined, 2 for one that passes although some rule failed on it, else 0. With the SQL of a
    `group` of rows three times its number is added for a row that is quarantined."""
    more = {1: f" + {SIDES} * {group}"} if group else {}
    removes = [failing_sql(check, marked.markers) for check in checks if check.rule.quarantines]
    keeps = [failing_sql(check, marked.markers) for check in checks if not check.rule.quarantines]
    cases = [
        f"when {disjunction(texts)} then {side}{more.get(side, '')}"
        for side, texts in ((1, removes), (2, keeps))
        if texts
    ]
    return f"case {' '.join(cases)} else 0 end"


def split(batch: Batch, findings: Findings, origin: Origin) -> Split:
    """The sides as frames over the batch; nothing runs yet."""
    failing = [check for check in findings.plan.row_checks if findings.measured.counts[check.rule.id].failed]
    removing = [check for check in failing if check.rule.quarantines]
    keeping = [check for check in failing if not check.rule.quarantines]
    marked = duplicates(batch.frame, failing, findings.frequencies)
    frame = marked.joined
    fails = {check.rule.id: failing_sql(check, marked.markers) for check in failing}
    bad = disjunction([fails[check.rule.id] for check in removing])
    odd = f"not ({bad}) and ({disjunction([fails[check.rule.id] for check in keeping])})"
    names = [quote(column.name) for column in batch.columns]
    return Split(
        passed=(frame.where(f"not ({bad})") if removing else batch.frame).selectExpr(*names),
        quarantined=_with_reasons(frame.where(bad), batch, failing, fails, origin) if removing else None,
        flagged=_with_reasons(frame.where(odd), batch, failing, fails, origin) if keeping else None,
    )


def failing_sql(check: RowCheck, keys: Mapping[KeyPass, str]) -> str:
    """The rule's verdict, the marker of a duplicate key included."""
    marker = keys.get(check.key) if check.key else None
    if marker is None:
        return check.fails
    return f"({check.scope}) and (not ({check.complies}) or {marker} is not null)"


def _with_reasons(
    frame: DataFrame, batch: Batch, checks: list[RowCheck], fails: dict[str, str], origin: Origin
) -> DataFrame:
    """Input columns and `_quality`. The row's id is that of its content, with an ordinal among equal rows."""
    names = [quote(column.name) for column in batch.columns]
    digest, reasons = f"{RESERVED_PREFIX}digest", f"{RESERVED_PREFIX}reasons"
    # a row that was known before keeps its id, whatever was corrected of it
    known = [ROW_ID] if ROW_ID in frame.columns else []
    if any(check.hiding == Hiding.HASH for check in checks):
        frame = with_key(frame)
    digested = frame.selectExpr(
        *names, f"{_reasons(checks, fails)} as {reasons}", f"{content_digest(batch)} as {digest}", *known
    )
    id = numbered(digest)
    row_id = f"coalesce({ROW_ID}, {id})" if known else id
    quality = (
        f"named_struct('row_id', {row_id}, 'batch', {literal(origin.batch)}, "
        f"'run', {literal(origin.run)}, 'rule_set', {literal(origin.rule_set)}, 'failures', {reasons})"
    )
    return digested.selectExpr(*names, f"{quality} as {QUALITY_COLUMN}")


def content_digest(batch: Batch) -> str:
    """SQL: the part of a row's id that its content gives."""
    content = [f"{quote(column.name)} as c{index}" for index, column in enumerate(batch.columns)]
    # a line that could not be read has no columns: it is its text
    content += [f"if({MALFORMED}, {quote(MALFORMED_LINE)}, null) as line"] if batch.text else []
    canonical = (
        f"to_json(struct({', '.join(content)}), map('ignoreNullFields', 'false', "
        f"'timestampFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSSXXX', 'timestampNTZFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSS'))"
    )
    return f"left(sha2({canonical}, 256), 32)"


def numbered(digest: str) -> str:
    """SQL: the id of a row by its digest and its place among equal rows."""
    return f"concat({digest}, '-', row_number() over (partition by {digest} order by {digest}))"


def _reasons(checks: list[RowCheck], fails: dict[str, str]) -> str:
    """An array of the failures of a row, in file order."""
    entries = [_reason(check, fails[check.rule.id]) for check in checks]
    chunks = [f"array({', '.join(entries[i : i + REASONS_CHUNK])})" for i in range(0, len(entries), REASONS_CHUNK)]
    return f"array_compact(concat({', '.join(chunks)}))"


def _reason(check: RowCheck, fails: str) -> str:
    rule = check.rule
    fields = {
        "rule": literal(rule.id),
        "severity": literal(str(rule.severity)),
        "column": literal(rule.column),
        "message": literal(rule.check.requirement()),
        "value": hidden_text(check.value, check.hiding) if check.hiding else f"left({check.value}, {VALUE_LENGTH})",
    }
    struct = ", ".join(f"'{name}', {value}" for name, value in fields.items())
    return f"if({fails}, named_struct({struct}), null)"


# sensitive columns

_INNER, _OUTER = f"{RESERVED_PREFIX}inner", f"{RESERVED_PREFIX}outer"


def with_key(frame: DataFrame) -> DataFrame:
    """The frame beside the key of hashes, which no plan shows: it is data, not text."""
    inner, outer = pads()
    row = frame.sparkSession.createDataFrame(
        [(bytearray(inner), bytearray(outer))], f"{_INNER} binary, {_OUTER} binary"
    )
    return frame.crossJoin(F.broadcast(row))


def hidden_text(text: str, how: Hiding) -> str:
    """SQL: what stands in the place of a text; for a hash over a frame `with_key`."""
    return hidden_sql(text, how, _INNER, _OUTER)


def hiding(frame: DataFrame, sensitive: Sensitive) -> DataFrame:
    """The frame with its sensitive columns as texts that stand in their place."""
    hows = {name: sensitive.how(name) for name in frame.columns}
    if not any(hows.values()):
        return frame
    keyed = with_key(frame) if Hiding.HASH in hows.values() else frame
    texts = {name: f"cast({quote(name)} as string)" for name in frame.columns}
    return keyed.selectExpr(
        *(f"{hidden_text(texts[name], how)} as {quote(name)}" if how else quote(name) for name, how in hows.items())
    )
