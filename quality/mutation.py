"""`quality test --mutate`: which faults in a good batch no rule would catch.

A sample of the batch is taken once and kept. Every fault makes a batch of its own of it, all of them are one frame, and one
job measures every rule over every one, as it does for examples; one more counts the keys where a rule has one. What is
judged is what a run would judge: the same plan, the same SQL. Anomalies are not looked at, nor what is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality import lookback, many
from quality.backends.needs import needs
from quality.backends.parsing import refuse_unparsable
from quality.backends.reading import Batch, Reader, reason
from quality.backends.session import session
from quality.backends.sizing import one_task
from quality.casts import text_as
from quality.engine import Engine
from quality.errors import EngineError, InputError, UsageError
from quality.example_batch import good_batch, refuse_few
from quality.example_batch import rows as rows_of_examples
from quality.examples import BATCH
from quality.keys import frequencies_of
from quality.model import Column, RuleStatus
from quality.mutants import DUPLICATES, NULLS, TABLE, TRUNCATED, Mutant, chosen, hit, mutants
from quality.planner import Plan
from quality.references import References
from quality.results import Progress
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX, KeyRule
from quality.rule_types.rules import RuleSet
from quality.rulefile import load
from quality.runs import mentions_file, planned, refuse_topic, resolve_batch_time, types_for
from quality.sensitive import withholding
from quality.sql import quote
from quality.storage import commit, layout
from quality.storage.store import open_store

#: Rows of the sample, and of all mutants together.
ROWS, _MOST_ROWS, _LEAST_ROWS = 2_000, 400_000, 100
SHARE, SEED = 0.05, 1
#: What the batch is called that is made of them.
_EXAMPLES = "of the examples"
_ROW = RESERVED_PREFIX + "number"
_MUTANT = RESERVED_PREFIX + "mutant"
_HIT = RESERVED_PREFIX + "hit"
_CHANGED = RESERVED_PREFIX + "changed"
#: A sample larger than this is worth compiled code.
_INTERPRETED = 20_000


@dataclass(frozen=True)
class Told:
    """One fault and what the rules say of it: `rows` have it, the rules of `caught_by` fail, those of `unsure` cannot tell."""

    mutant: Mutant
    rows: int
    caught_by: tuple[str, ...]
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mutated:
    """The outcome for a rule file. `rows` are those of the sample, `whole` says that they are the batch; `not_judged` are
    rules with the reason why they can catch nothing here; `unchanged` are faults that change no row of the sample."""

    rule_set: RuleSet
    batch: str
    rows: int
    whole: bool
    share: float
    seed: int
    told: tuple[Told, ...]
    not_judged: tuple[tuple[str, str], ...]
    unchanged: tuple[Mutant, ...]

    @property
    def caught(self) -> int:
        """How many faults at least one rule catches."""
        return sum(bool(told.caught_by) for told in self.told)

    @property
    def exit_code(self) -> int:
        """0 when every fault is caught, else 1."""
        return 0 if self.caught == len(self.told) else 1

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        columns: dict[str, list[Told]] = defaultdict(list)
        for told in self.told:
            columns[told.mutant.column].append(told)
        silent = {rule for rule, _ in self.not_judged} | {rule for told in self.told for rule in told.caught_by}
        return {
            "schema": "quality.mutation/1",
            "rule_file": self.rule_set.file,
            "dataset": self.rule_set.dataset,
            "batch": self.batch,
            "rows": self.rows,
            "sample": not self.whole,
            "share": self.share,
            "seed": self.seed,
            "faults": len(self.told),
            "caught": self.caught,
            "rate": self.caught / len(self.told) if self.told else None,
            "columns": [
                {
                    "column": name,
                    "faults": len(of),
                    "caught": sum(bool(told.caught_by) for told in of),
                    "rate": sum(bool(told.caught_by) for told in of) / len(of),
                    "not_caught": [told.mutant.fault for told in of if not told.caught_by],
                }
                for name, of in columns.items()
            ],
            "results": [
                {
                    "column": told.mutant.column,
                    "fault": told.mutant.fault,
                    "rows": told.rows,
                    "caught": bool(told.caught_by),
                    "caught_by": list(told.caught_by),
                    "could_not_tell": list(told.unsure),
                }
                for told in self.told
            ],
            "rules_not_judged": [{"rule": rule, "why": why} for rule, why in self.not_judged],
            "rules_that_caught_nothing": [
                rule.id for rule in self.rule_set.rules if rule.id not in silent and rule.check.type != "malformed"
            ],
            "faults_without_effect": [{"column": one.column, "fault": one.fault} for one in self.unchanged],
        }


def mutate(
    rules: str | Path,
    batch: str = "",
    *,
    input: str | None = None,
    variables: Mapping[str, Any] | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    allow_env: frozenset[str] = frozenset(),
    rows: int = ROWS,
    share: float = SHARE,
    seed: int = SEED,
    spark: SparkSession | None = None,
    progress: Progress | None = None,
) -> Mutated:
    """Which faults the rules would not catch in a batch that is good; without `batch` and `input` in one that is made of the examples
    of the rules. At most `rows` of it are looked at, drawn by `seed`; a
    fault is in a `share` of them, where it is not of a kind that is in every row. Nothing is written. Raises UsageError
    before anything is read, InputError when there is no batch, EngineError when Spark gives up."""
    if not 0 < share <= 1:
        raise UsageError(f"the share of rows with a fault must be above 0 and at most 1, got {share:g}")
    if rows < 1:
        raise UsageError(f"the number of rows must be at least 1, got {rows}")
    given: Any = {"variables": variables, "allow_env": allow_env, "input_path": input, "root": root, "dataset": dataset}
    given |= {"references": references}
    rule_set = load(rules, batch=layout.check_batch(batch or BATCH), **given)
    refuse_topic(rule_set) if batch or input else refuse_few(rule_set, len(rows_of_examples(rule_set.rules, seed)))
    told = progress or (lambda _words: None)
    if spark is None:
        told("starting Spark")
    with withholding(rule_set.sensitive), session(spark, needs=needs([rule_set])) as own:
        refuse_unparsable(own.spark, rule_set)
        engine = Engine(own.spark, "spark")
        try:
            made = "" if batch or input else _EXAMPLES
            return _mutated(engine, replace(rule_set, profile=False), made, (rows, share, seed), told)
        except (PySparkException, Py4JJavaError) as error:
            raise EngineError(f"Spark gave up on the faults: {reason(error)}") from error
        finally:
            engine.release()


def _mutated(engine: Engine, rule_set: RuleSet, made: str, how: tuple[int, float, int], told: Progress) -> Mutated:
    store = open_store(rule_set.outputs.root, engine.spark)
    live = commit.live_records(store, rule_set.dataset)
    types, pinned = types_for(rule_set, live)
    limit, share, seed = how
    if made:
        told("making a batch of examples")
        read = good_batch(engine, store, rule_set, seed)
    else:
        reader = Reader(engine.spark, rule_set.input, types, mentions_file(rule_set))
        told("reading the batch")
        read = reader.read(reader.pin())
    at = resolve_batch_time(rule_set, datetime.now(timezone.utc))
    sample, count, whole = _sample(engine.spark, read, limit, seed)
    if not count:
        raise InputError("the batch has no row that a fault could be put into")
    references = References(engine, store, rule_set, ask_rows=False)
    references.pin()
    with one_task(engine.spark, interpreted=count * 50 <= _INTERPRETED):
        small = replace(read, frame=sample, small=True)
        linked = references.attach(small, counting=False)
        plan = planned(engine, store, rule_set, linked, pinned)
        plan = lookback.with_past(plan, store, live, rule_set.batch, at, engine.spark)
        plan = many.measurable(linked, engine.analyse(linked.frame, plan))
        different = _different(sample, read.columns)
        found = mutants(read.columns, read.row.raw, _keys(plan), different, count, text=read.text)
        fewer = max(_LEAST_ROWS, _MOST_ROWS // (len(found) + 1))
        if count > fewer:
            sample, count, whole = sample.where(f"{_ROW} < {fewer}"), fewer, False
        told(f"judging {len(found)} faults")
        every = replace(small, frame=_frame(sample, read, found, count, share, seed))
        references.within = (_MUTANT,)
        return _judged(
            engine, plan, references.attach(every), found, (made or rule_set.batch, count, whole, share, seed)
        )


def _sample(spark: SparkSession, batch: Batch, limit: int, seed: int) -> tuple[DataFrame, int, bool]:
    """Some rows of the batch, numbered and kept on the driver; how many; whether they are all. The same ones each time."""
    frame = batch.frame.where(f"not {MALFORMED}") if batch.text else batch.frame
    # Spark hashes everything but maps
    names = [quote(column.name) for column in batch.columns if "map<" not in column.type]
    if names:
        frame = frame.orderBy(F.expr(f"xxhash64({seed}, {', '.join(names)})"))
    drawn = frame.limit(limit + 1).selectExpr("*", f"cast(monotonically_increasing_id() as int) as {_ROW}")
    rows = cast("Any", drawn)._jdf.collectAsList()
    own = cast("Any", spark._jsparkSession)
    kept = DataFrame(own.createDataFrame(rows, cast("Any", drawn)._jdf.schema()), spark).coalesce(1)
    count = int(rows.size())
    return kept.where(f"{_ROW} < {limit}"), min(count, limit), count <= limit


def _keys(plan: Plan) -> set[str]:
    names = {name.lower() for rule in plan.rules if isinstance(rule.check, KeyRule) for name in rule.check.columns()}
    return {column.name for column in plan.columns if column.name.lower() in names}


def _different(sample: DataFrame, columns: Sequence[Column]) -> dict[str, int]:
    """How many different texts a column has."""
    texts = [column.name for column in columns if column.type == "string"]
    if not texts:
        return {}
    row = sample.agg(
        *(F.expr(f"count(distinct {quote(name)})").alias(f"d{i}") for i, name in enumerate(texts))
    ).collect()[0]
    return dict(zip(texts, map(int, row), strict=True))


def _frame(sample: DataFrame, batch: Batch, found: Sequence[Mutant], rows: int, share: float, seed: int) -> DataFrame:
    """The sample once for each fault, by its number, and once as it is, by the number 0."""
    numbers = sample.sparkSession.range(len(found) + 1).selectExpr(f"cast(id as int) as {_MUTANT}").coalesce(1)
    by_fault = {one.fault: number for number, one in enumerate(found, 1) if one.column == TABLE}
    whole = [str(number) for number, one in enumerate(found, 1) if one.whole]
    is_hit = f"{hit(_ROW, _MUTANT, rows, share, seed)} or {_MUTANT} in ({', '.join(whole)})"
    every = sample.crossJoin(F.broadcast(numbers)).selectExpr("*", f"({_MUTANT} > 0 and ({is_hit})) as {_HIT}")
    every = every.where(f"{_MUTANT} <> {by_fault[TRUNCATED]} or {_ROW} < {rows - rows // 2}")
    twice = f"{_MUTANT} = {by_fault[DUPLICATES]} and {_HIT}"
    every = every.selectExpr("*", f"explode(if({twice}, array(1, 2), array(1))) as {_HIT}_copy")
    changed = {by_fault[TRUNCATED]: "true", by_fault[DUPLICATES]: "true"}
    values: dict[str, dict[int, str]] = defaultdict(dict)
    for number, one in enumerate(found, 1):
        tests = []
        for name, value in one.changes.items():
            values[name][number] = value
            old = batch.row.raw.get(name, quote(name))
            tests.append(f"{old} is not null" if value in NULLS else f"not ({old} <=> {value})")
        if tests:
            changed[number] = " or ".join(tests)
    selected = [_MUTANT, f"({_HIT} and {chosen(_MUTANT, changed, 'false')}) as {_CHANGED}"]
    made = {column.name for column in batch.columns}
    made |= {batch.row.raw[column.name] for column in batch.columns if column.name in batch.row.raw}
    for column in batch.columns:
        selected += _columns(column, batch, values[column.name])
    return every.selectExpr(*selected, *(quote(name) for name in sample.columns if name not in {*made, _ROW}))


def _columns(column: Column, batch: Batch, values: Mapping[int, str]) -> list[str]:
    """The column with the values of its faults, and its text where that is kept."""
    name = quote(column.name)
    text = batch.row.raw.get(column.name)
    if text is None:
        return [f"if({_HIT}, {chosen(_MUTANT, values, name)}, {name}) as {name}"]
    new = f"if({_HIT}, {chosen(_MUTANT, values, text)}, {text})"
    typed = f"if({_HIT}, {text_as(f'({new})', column.type, batch.row.timezone)}, {name})"
    return [f"{typed} as {name}", f"{new} as {text}"]


def _judged(
    engine: Engine, plan: Plan, batch: Batch, found: Sequence[Mutant], how: tuple[str, int, bool, float, int]
) -> Mutated:
    scans = many.scanned(batch, plan, _MUTANT, [(_CHANGED, F.expr(f"count_if({_CHANGED})"))])
    keys = frequencies_of(batch.frame, plan.key_passes, _MUTANT)

    def verdicts(number: int) -> dict[str, Any]:
        within = {key: of.get(number) for key, of in keys.items()}
        return {result.id: result for result in many.judged(engine, plan, scans[number][0], within)}

    good = verdicts(0)
    able = {rule for rule, said in good.items() if said.status in (RuleStatus.PASSED, RuleStatus.NOT_APPLICABLE)}
    said = {
        RuleStatus.FAILED: "fails without a fault",
        RuleStatus.ERROR: "could not tell",
        RuleStatus.NOT_APPLICABLE: "does not apply",
    }
    not_judged = [
        (rule, f"{said[result.status]}: {(result.message or result.expected).removeprefix('could not tell: ')}")
        for rule, result in good.items()
        if result.status != RuleStatus.PASSED
    ]
    told, unchanged = [], []
    for number, one in enumerate(found, 1):
        rows = scans[number][1][0] if number in scans else 0
        if one.column == TABLE and one.fault == TRUNCATED:
            rows = how[1] // 2
        if not rows:
            unchanged.append(one)
            continue
        now = verdicts(number)
        caught = tuple(rule for rule in now if rule in able and now[rule].status == RuleStatus.FAILED)
        unsure = tuple(rule for rule in now if rule in able and now[rule].status == RuleStatus.ERROR)
        told.append(Told(one, rows, caught, unsure))
    batch_id, count, whole, share, seed = how
    return Mutated(plan.rule_set, batch_id, count, whole, share, seed, tuple(told), tuple(not_judged), tuple(unchanged))
