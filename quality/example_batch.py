"""A good batch made of the examples of rules that must pass, for want of a real one.

An example names a few columns. A row is put together of one example of each rule, as far as they agree, in many ways; what is
kept are the rows that no rule about rows fails, and of those with one key one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from quality import planner
from quality.backends.reading import Batch
from quality.engine import Engine
from quality.errors import UsageError
from quality.examples import frame_of
from quality.references import References
from quality.rule_types.base import KeyRule
from quality.rule_types.rules import Rule, RuleSet
from quality.sql import conjunction
from quality.storage.store import Store

#: So many rows are put together, and at least so many are a batch.
_TRIED, LEAST = 500, 5
_PASS = "pass"


def good_batch(engine: Engine, store: Store, rule_set: RuleSet, seed: int) -> Batch:
    """The batch. Raises UsageError when the examples do not make one."""
    kept = _kept(engine, store, rule_set, rows(rule_set.rules, seed))
    refuse_few(rule_set, kept.frame.count(), " that no rule fails")
    return kept


def refuse_few(rule_set: RuleSet, count: int, which: str = "") -> None:
    """Raise UsageError when rows of examples are too few for a batch."""
    if count < LEAST:
        made = f"1 row{which}" if count == 1 else f"{count} rows{which}"
        raise UsageError(
            f"{rule_set.file}: --mutate reads a batch that is good: say which by --batch, or by --input where it lies. The examples "
            f"that must pass make {made}; at least {LEAST} would do instead"
        )


def rows(rules: Sequence[Rule], seed: int) -> list[dict[str, Any]]:
    """Rows put together of examples, each once, by lower names of columns. The same ones each time."""
    examples = [
        [{name.lower(): value for name, value in row.items()} for one in rule.examples if one.expected == _PASS for row in one.rows]
        for rule in rules
    ]  # fmt: skip
    drawn, examples = random.Random(seed), [of for of in examples if of]
    found: dict[str, dict[str, Any]] = {}
    for _ in range(_TRIED if examples else 0):
        made: dict[str, Any] = {}
        # of rules whose examples do not agree each is the first one at times
        for of in drawn.sample(examples, len(examples)):
            part = drawn.choice(of)
            if all(name not in made or made[name] == value for name, value in part.items()):
                made |= part
        found.setdefault(repr(sorted(made.items(), key=repr)), made)
    return list(found.values())


def _kept(engine: Engine, store: Store, rule_set: RuleSet, found: Sequence[dict[str, Any]]) -> Batch:
    batch = frame_of(engine, rule_set, found)
    references = References(engine, store, rule_set, ask_rows=False)
    references.pin()
    linked = references.attach(batch, counting=False)
    plan = engine.analyse(linked.frame, planner.plan(rule_set, linked.row, linked.text))
    judged = [check for check in plan.row_checks if check.rule.check.by_row]  # type: ignore[attr-defined]
    good = linked.frame.where(conjunction([f"not ({check.fails})" for check in judged]))
    columns = {column.name.lower(): column.name for column in batch.columns}
    for check in plan.row_checks:
        names = [columns.get(name.lower()) for name in check.rule.check.columns()]
        if isinstance(check.rule.check, KeyRule) and all(names):
            good = good.dropDuplicates([name for name in names if name])
    kept = good.select(*(f"`{name.replace('`', '``')}`" for name in batch.frame.columns)).coalesce(1).persist()
    engine.kept.append(kept)
    return replace(batch, frame=kept)
