"""Splits a batch: rows that go on, rows that are quarantined with every reason, rows that are kept but flagged.

A row is on one side because every verdict is a boolean that is never NULL. Duplicates are found by joining the
duplicated keys alone, which are few, and only when there are any.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.backends.reading import Batch
from quality.engine import Findings, key_counts
from quality.planner import KeyPass, RowCheck
from quality.rule_types.base import MALFORMED, MALFORMED_LINE, QUALITY_COLUMN, RESERVED_PREFIX
from quality.sql import literal, quote

#: Up to so many duplicated keys are sent to every executor; beyond, both sides are shuffled.
BROADCAST_KEYS = 500_000
VALUE_LENGTH = 256
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
    """The sides of a batch. `quarantined` and `flagged` are None when no row can be on them. `cached` are frames of
    duplicated keys, to be released when the sides are written."""

    passed: DataFrame
    quarantined: DataFrame | None
    flagged: DataFrame | None
    cached: tuple[DataFrame, ...] = ()


def split(batch: Batch, findings: Findings, origin: Origin) -> Split:
    """The sides as frames over the batch; nothing runs yet."""
    failing = [check for check in findings.plan.row_checks if findings.measured.counts[check.rule.id].failed]
    removing = [check for check in failing if check.rule.quarantines]
    keeping = [check for check in failing if not check.rule.quarantines]
    keys = _duplicated(failing, findings)
    duplicates = {key: _duplicates(batch.frame, key, marker).persist() for key, marker in keys.items()}
    frame = _with_duplicates(batch.frame, keys, duplicates, findings)
    fails = {check.rule.id: _fails(check, keys) for check in failing}
    bad = _any(fails[check.rule.id] for check in removing)
    odd = f"not ({bad}) and ({_any(fails[check.rule.id] for check in keeping)})"
    names = [quote(column.name) for column in batch.columns]
    return Split(
        passed=(frame.where(f"not ({bad})") if removing else batch.frame).selectExpr(*names),
        quarantined=_with_reasons(frame.where(bad), batch, failing, fails, origin) if removing else None,
        flagged=_with_reasons(frame.where(odd), batch, failing, fails, origin) if keeping else None,
        cached=tuple(duplicates.values()),
    )


def _any(conditions: Iterable[str]) -> str:
    return " or ".join(f"({text})" for text in conditions) or "false"


def _duplicated(failing: list[RowCheck], findings: Findings) -> dict[KeyPass, str]:
    """The keys that have duplicates, each with the name of the column that marks them."""
    keys = [check.key for check in failing if check.key and findings.frequencies[check.key].duplicated]
    return {key: f"{RESERVED_PREFIX}duplicate_{index}" for index, key in enumerate(dict.fromkeys(keys))}


def _duplicates(frame: DataFrame, key: KeyPass, marker: str) -> DataFrame:
    """The duplicated keys, marked. They are few, and every side asks for them: they are kept until all are written."""
    complete = " and ".join(f"k{index} is not null" for index in range(len(key.references)))
    names = [f"k{index} as {marker}_{index}" for index in range(len(key.references))]
    return key_counts(frame, key).where(f"n > 1 and {complete}").selectExpr(*names, f"true as {marker}")


def _with_duplicates(
    frame: DataFrame, keys: dict[KeyPass, str], duplicates: dict[KeyPass, DataFrame], findings: Findings
) -> DataFrame:
    for key, marker in keys.items():
        few = findings.frequencies[key].duplicated <= BROADCAST_KEYS
        names = [f"{marker}_{index}" for index in range(len(key.references))]
        # equality is enough: the keys of this side hold no NULL, and a row with one has no duplicate
        matches = [F.expr(ref) == F.col(name) for ref, name in zip(key.references, names, strict=True)]
        side = F.broadcast(duplicates[key]) if few else duplicates[key]
        frame = frame.join(side, matches, "left").drop(*names)
    return frame


def _fails(check: RowCheck, keys: dict[KeyPass, str]) -> str:
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
    content = [f"{name} as c{index}" for index, name in enumerate(names)]
    # a line that could not be read has no columns: it is its text
    content += [f"if({MALFORMED}, {quote(MALFORMED_LINE)}, null) as line"] if batch.text else []
    canonical = (
        f"to_json(struct({', '.join(content)}), map('ignoreNullFields', 'false', "
        f"'timestampFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSSXXX', 'timestampNTZFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSS'))"
    )
    digest, reasons = f"{RESERVED_PREFIX}digest", f"{RESERVED_PREFIX}reasons"
    digested = frame.selectExpr(
        *names, f"{_reasons(checks, fails)} as {reasons}", f"left(sha2({canonical}, 256), 32) as {digest}"
    )
    ordinal = f"row_number() over (partition by {digest} order by {digest})"
    quality = (
        f"named_struct('row_id', concat({digest}, '-', {ordinal}), 'batch', {literal(origin.batch)}, "
        f"'run', {literal(origin.run)}, 'rule_set', {literal(origin.rule_set)}, 'failures', {reasons})"
    )
    return digested.selectExpr(*names, f"{quality} as {QUALITY_COLUMN}")


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
        "value": f"left({check.value}, {VALUE_LENGTH})",
    }
    struct = ", ".join(f"'{name}', {value}" for name, value in fields.items())
    return f"if({fails}, named_struct({struct}), null)"
