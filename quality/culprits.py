"""Why so much of a batch would be quarantined: what is different from the batch published last, as clues for a person.

Of four kinds, the most telling first: a column of a failing rule that is NULL far more often than it was; a rule that is
new, or demands something else; one input file, or another slice, that nearly all of the rows are in; one rule that nearly all of them fail. Counts of
NULLs come from the footers of what was written, the rules of last time from its result: no pass is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quality.backends.footers import column_stats
from quality.model import RowCounts, RuleResult
from quality.results import Context, Sides
from quality.slices import Slice
from quality.storage import commit
from quality.storage.commit import CommitRecord, DataFile

#: A share of NULLs that is so much higher than it was is sudden.
SUDDEN = 0.2
#: What nearly all rows have in common.
NEARLY_ALL = 0.9
#: Columns that are looked at, and clues that are told.
_COLUMNS, _CLUES = 20, 3


@dataclass(frozen=True)
class Clue:
    """Something that points to the cause: `kind` is null, rule_changed, slice or rule; `name` the column, rule or slice."""

    kind: str
    name: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """As the result JSON has it."""
        return dict(vars(self))


def told(clues: Sequence[Clue]) -> str:
    """The end of the message of a batch that is held; empty without a clue."""
    return f"; likely: {'; '.join(clue.message for clue in clues)}" if clues else ""


def of_run(
    context: Context, verdicts: Sequence[RuleResult], rows: RowCounts, files: Sides, slice: Slice | None
) -> list[Clue]:
    """The clues of a batch of whose rows too many would be quarantined."""
    moving = [v for v in verdicts if v.failed_rows and str(v.on_fail) != "keep"]
    moving.sort(key=lambda verdict: -(verdict.failed_rows or 0))
    before = _before(context)
    earlier = _rules_of(context, before) if before else {}
    found = [
        *(_nulls(context, moving, verdicts, files, before, earlier) if before else ()),
        *(_changed(moving, earlier, rows, before) if before and earlier else ()),
        *_slice(slice),
        *_one_rule(moving, rows),
    ]
    return found[:_CLUES]


def _before(context: Context) -> CommitRecord | None:
    """What is live of the batch, else of the batch before it, else of the newest."""
    live = commit.live_records(context.store, context.dataset)
    own = [record for record in live if record.batch == context.batch]
    earlier = [record for record in live if record.batch_time <= context.batch_time]
    return next(reversed(own or earlier or live), None)


def _rules_of(context: Context, record: CommitRecord) -> dict[str, Mapping[str, Any]]:
    """The rules of a result by id; none when it cannot be read: a clue is not worth a failure."""
    try:
        return {str(rule["id"]): rule for rule in json.loads(context.store.read(record.result))["rules"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _nulls(
    context: Context,
    moving: Sequence[RuleResult],
    verdicts: Iterable[RuleResult],
    files: Sides,
    before: CommitRecord,
    earlier: Mapping[str, Mapping[str, Any]],
) -> list[Clue]:
    names = list(dict.fromkeys(name for v in moving for name in v.column.split(",") if name))[:_COLUMNS]
    untyped = {v.column.lower(): v.failed_rows or 0 for v in verdicts if v.type == "type"}
    untyped_before = {str(r["column"]).lower(): r["failed_rows"] or 0 for r in earlier.values() if r["type"] == "type"}
    now = _shares(context, (*files["passed"], *files["quarantine"]), names, untyped)
    then = _shares(context, (*before.passed, *before.quarantine), names, untyped_before)
    sudden = {name: share for name, share in now.items() if name in then and share - then[name] >= SUDDEN}
    return [
        Clue(
            "null",
            name,
            f"column '{name}' is NULL in {share:.1%} of the rows, and was in {then[name]:.1%} in batch '{before.batch}'",
        )
        for name, share in sorted(sudden.items(), key=lambda pair: -(pair[1] - then[pair[0]]))
    ]


def _shares(
    context: Context, files: Sequence[DataFile], names: Sequence[str], untyped: Mapping[str, int]
) -> dict[str, float]:
    """The share of NULLs of columns, less those that are NULL because their text is of another type."""
    found = column_stats(context.spark, [context.store.uri(file.path) for file in files], names) if names else {}
    return {
        name: max(stats.nulls - untyped.get(name.lower(), 0), 0) / stats.rows
        for name, stats in found.items()
        if stats.nulls is not None
    }


def _changed(
    moving: Sequence[RuleResult],
    earlier: Mapping[str, Mapping[str, Any]],
    rows: RowCounts,
    before: CommitRecord | None,
) -> list[Clue]:
    assert before is not None
    found = []
    for verdict in moving:
        # a rule of few rows is no reason to hold a batch
        if 2 * (verdict.failed_rows or 0) < rows.quarantined:
            continue
        known, batch = earlier.get(verdict.id), before.batch
        if known is None:
            said = f"rule '{verdict.id}' is new since batch '{batch}'"
        elif known.get("expected") != verdict.expected:
            said = f"rule '{verdict.id}' has changed since batch '{batch}': {verdict.expected}; before: {known['expected']}"
        else:
            continue
        found.append(Clue("rule_changed", verdict.id, f"{said} ({verdict.failed_rows:,} rows fail it)"))
    return found


def _slice(slice: Slice | None) -> list[Clue]:
    if slice is None or slice.share < NEARLY_ALL:
        return []
    return [Clue("slice", slice.name, slice.words)]


def _one_rule(moving: Sequence[RuleResult], rows: RowCounts) -> list[Clue]:
    first = moving[0] if moving else None
    if first is None or len(moving) < 2 or (first.failed_rows or 0) < NEARLY_ALL * rows.quarantined:
        return []
    return [Clue("rule", first.id, f"rule '{first.id}' fails {first.failed_rows:,} of them")]
