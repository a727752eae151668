"""`quality test`: what a rule says of its own examples, without a batch.

Every example is a batch of its own, and all of them are one frame: one job measures every rule over every example,
grouped by example, and one more counts the keys where a rule has one. What is judged is what a run would judge: the
same plan, the same SQL, the same counts. Columns have the types the file declares; others are texts in a text format,
where a run reads texts too, and in typed formats what the values of all examples are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, StringType, StructField, StructType

from quality import planner, verification
from quality.backends.parsing import refuse_unparsable
from quality.backends.reading import Batch, reason
from quality.backends.session import session
from quality.backends.sizing import one_task
from quality.casts import text_as
from quality.engine import Engine
from quality.errors import EngineError, UsageError
from quality.keys import Frequencies, frequencies_of
from quality.model import Column, Metric, RuleStatus, Tolerance
from quality.planner import KeyPass, Plan
from quality.references import References
from quality.results import Progress
from quality.rule_types.base import MALFORMED, MALFORMED_LINE, RESERVED_PREFIX, Row
from quality.rule_types.rules import Example, Rule, RuleSet
from quality.rule_types.values import Type
from quality.rulefile import load
from quality.rulefile.examples import judges_rows
from quality.scan import Scan, Scanned
from quality.sql import quote
from quality.storage.store import open_store

_EXAMPLE = RESERVED_PREFIX + "example"
_RAW = RESERVED_PREFIX + "raw_"
#: What templates see as the batch when none is named.
BATCH = "2000-01-01"
_FOUND = {
    RuleStatus.PASSED: "pass",
    RuleStatus.FAILED: "fail",
    RuleStatus.NOT_APPLICABLE: "skip",
    RuleStatus.ERROR: "error",
}


@dataclass(frozen=True)
class Told:
    """What the rules of one entry say of one example: `found` is one of `EXPECTED`, or `error` with a `message` why."""

    rules: tuple[Rule, ...]
    example: Example
    found: str
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether they say what they must."""
        return self.found == self.example.expected


@dataclass(frozen=True)
class Tested:
    """The outcome for a rule file; `without` are ids of rules that have no example."""

    rule_set: RuleSet
    told: tuple[Told, ...]
    without: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 when every example holds, else 1."""
        return 0 if all(told.holds for told in self.told) else 1

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        examples = [
            {
                "rules": [rule.id for rule in told.rules],
                "type": told.rules[0].check.type,
                "location": str(told.example.location),
                "expected": told.example.expected,
                "found": told.found,
                "holds": told.holds,
                "message": told.message,
                "rows": [dict(row) for row in told.example.rows],
            }
            for told in self.told
        ]
        return {
            "schema": "quality.test/1",
            "rule_file": self.rule_set.file,
            "dataset": self.rule_set.dataset,
            "examples": len(examples),
            "held": sum(told.holds for told in self.told),
            "results": examples,
            "rules_without_examples": list(self.without),
        }


def judge_examples(
    rules: Sequence[str | Path],
    *,
    batch: str = BATCH,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    run_time: datetime | None = None,
    progress: Progress | None = None,
) -> list[Tested]:
    """What every rule of the files says of its examples. `batch` and `run_time` are what templates and rules that go by
    the clock see. Spark is started only when there are examples. Raises RuleFileError before anything is judged,
    EngineError when Spark gives up."""
    now = run_time or datetime.now(timezone.utc)
    given: Any = {
        "batch": batch,
        "variables": variables,
        "allow_env": allow_env,
        "run_time": now,
        "references": references,
    }
    for path in rules:
        if Path(path).suffix.lower() == ".dqdl":
            raise UsageError(
                f"{path}: DQDL has no place for examples; write a rule file with 'extends: {Path(path).name}' whose rules have "
                "some, or put faults into a batch with --mutate --input PATH"
            )
    rule_sets = [load(path, **given) for path in rules]
    if not any(rule.examples for rule_set in rule_sets for rule in rule_set.rules):
        return [_tested(rule_set, []) for rule_set in rule_sets]
    if progress:
        progress("starting Spark")
    with session(spark) as own, one_task(own.spark):
        for rule_set in rule_sets:
            refuse_unparsable(own.spark, rule_set)
        engine = Engine(own.spark, "spark")
        try:
            return [_tested(rule_set, _judged(engine, rule_set)) for rule_set in rule_sets]
        except (PySparkException, Py4JJavaError) as error:
            raise EngineError(f"Spark gave up on the examples: {reason(error)}") from error
        finally:
            engine.release()


def _tested(rule_set: RuleSet, told: list[Told]) -> Tested:
    return Tested(rule_set, tuple(told), tuple(rule.id for rule in rule_set.rules if not rule.examples))


@dataclass(frozen=True)
class _Case:
    """An example with the rules it is about: several where one entry stands for many columns. Each is without
    tolerance when an example is a single row: one row must not be within it."""

    example: Example
    rules: tuple[Rule, ...]


def _cases(rule_set: RuleSet) -> list[_Case]:
    found: dict[tuple[Any, ...], _Case] = {}
    for rule in rule_set.rules:
        names = list(dict.fromkeys(name for example in rule.examples for row in example.rows for name in row))
        meant = [*planner.expanded([rule], [Column(name, "string") for name in names])]
        for example in rule.examples:
            # an example that stands in one line with others is told apart by what it holds
            place = (rule.location, example.location, example.expected, repr(example.rows))
            rules = found[place].rules if place in found else ()
            found[place] = _Case(example, (*rules, *map(_strict, meant)))
    return list(found.values())


def _judged(engine: Engine, rule_set: RuleSet) -> list[Told]:
    cases = _cases(rule_set)
    groups: dict[tuple[tuple[str, str], ...], list[_Case]] = defaultdict(list)
    for case in cases:
        groups[_own_types(rule_set, case)].append(case)
    told = {}
    for types, group in groups.items():
        for case, found in zip(group, _judge_group(engine, rule_set, group, dict(types)), strict=True):
            told[id(case)] = found
    return [told[id(case)] for case in cases]


def _own_types(rule_set: RuleSet, case: _Case) -> tuple[tuple[str, str], ...]:
    """In typed formats a rule about types is judged against what its examples are, not against what it demands."""
    if rule_set.input.is_text:
        return ()
    columns = {rule.check.column.lower() for rule in case.rules if isinstance(rule.check, Type)}
    return tuple((name, _kind(_values([case], name))) for name in sorted(columns))


def _values(cases: Iterable[_Case], name: str) -> list[Any]:
    rows = [row for case in cases for row in case.example.rows]
    return [value for row in rows for key, value in row.items() if key.lower() == name and value is not None]


def _kind(values: Sequence[Any]) -> str:
    """The type that holds all values as they are written."""
    if not values or any(isinstance(value, str) for value in values):
        return "string"
    if any(isinstance(value, bool) for value in values):
        return "boolean" if all(isinstance(value, bool) for value in values) else "string"
    return "bigint" if all(isinstance(value, int) and abs(value) < 2**63 for value in values) else "double"


def _columns(rule_set: RuleSet, cases: list[_Case], own: Mapping[str, str]) -> tuple[Column, ...]:
    named = [name for name, _ in (*rule_set.columns, *rule_set.input.schema)]
    named += [name for case in cases for row in case.example.rows for name in row]
    named += [name for case in cases for rule in case.rules for name in rule.check.columns()]
    first = {name.lower(): name for name in reversed(named)}
    declared = {**rule_set.declared_types, **own}
    if not rule_set.input.is_text:
        declared = {**{name: _guess(cases, name) for name in first}, **declared}
    ordered = dict.fromkeys(name.lower() for name in named)
    return tuple(Column(first[name], declared.get(name, "string")) for name in ordered)


def _guess(cases: list[_Case], name: str) -> str:
    """The type of a column that is not declared: of its values, else one that the rules about it can measure."""
    values = _values(cases, name)
    if values:
        return _kind(values)
    checks = [metric for case in cases for rule in case.rules for metric in rule.check.metrics()]
    wanted = [a.types for a in (check.analyzer("") for check in checks) if name in map(str.lower, a.columns)]
    return "double" if any(types and "string" not in types for types in wanted) else "string"


def _frame(engine: Engine, rule_set: RuleSet, cases: list[_Case], columns: tuple[Column, ...]) -> Batch:
    """All rows of all examples, each with the number of its example, read as the batch would be."""
    lower = [column.name.lower() for column in columns]
    rows = []
    for number, case in enumerate(cases):
        for row in case.example.rows:
            texts = {name.lower(): _text(value) for name, value in row.items()}
            rows.append((number, *(texts.get(name) for name in lower)))
    schema = StructType([StructField(_EXAMPLE, IntegerType())])
    for index in range(len(columns)):
        schema = schema.add(f"{_RAW}{index}", StringType())
    raw = engine.spark.createDataFrame(rows, schema).coalesce(1)
    zone, is_text = rule_set.input.timezone, rule_set.input.is_text
    selected = [_EXAMPLE]
    for index, column in enumerate(columns):
        text = f"{_RAW}{index}"
        selected.append(
            f"{text if column.type == 'string' else text_as(text, column.type, zone)} as {quote(column.name)}"
        )
    helpers = {c.name: f"{_RAW}{i}" for i, c in enumerate(columns) if c.type != "string"} if is_text else {}
    selected += helpers.values()
    if is_text:
        selected += [f"false as {MALFORMED}", f"cast(null as string) as {quote(MALFORMED_LINE)}"]
        helpers[MALFORMED_LINE] = quote(MALFORMED_LINE)
    return Batch(raw.selectExpr(*selected), columns, Row(columns, helpers, zone), is_text, small=True)


def frame_of(engine: Engine, rule_set: RuleSet, rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Rows as a batch of the rule set: read as examples are."""
    case = _Case(Example("pass", tuple(rows), rule_set.rules[0].location), rule_set.rules)
    batch = _frame(engine, rule_set, [case], _columns(rule_set, [case], {}))
    return replace(batch, frame=batch.frame.drop(_EXAMPLE))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(repr(value), repr(value))
    return str(value)


def _judge_group(engine: Engine, rule_set: RuleSet, cases: list[_Case], own: Mapping[str, str]) -> list[Told]:
    columns = _columns(rule_set, cases, own)
    rules = {rule.id: rule for case in cases for rule in case.rules}
    rule_set = replace(rule_set, rules=tuple(rules.values()))
    references = References(engine, open_store(rule_set.outputs.root, engine.spark), rule_set, within=(_EXAMPLE,))
    references.pin()
    batch = references.attach(_frame(engine, rule_set, cases, columns))
    plan = planner.plan(rule_set, batch.row, batch.text)
    plan = engine.analyse(batch.frame, plan)
    scanned = _scan(batch, plan)
    scanned = _with_own(engine, batch, plan, cases, scanned)
    keys = frequencies_of(batch.frame, plan.key_passes, _EXAMPLE)
    return [
        _told(engine, plan, case, scanned[number], {key: keys[key].get(number) for key in keys})
        for number, case in enumerate(cases)
    ]


def _with_own(
    engine: Engine, batch: Batch, plan: Plan, cases: Sequence[_Case], scanned: Mapping[int, Scanned]
) -> dict[int, Scanned]:
    """With the metrics that take passes of their own: jobs for each example of such a rule, and for no other."""
    own, found = {check.rule.id: check for check in plan.metric_checks if check.own}, dict(scanned)
    for number, case in enumerate(cases):
        others = {
            id: Metric(check.analyzer.key, None) for id, check in own.items() if id not in {r.id for r in case.rules}
        }
        one = replace(scanned[number], metrics={**others, **scanned[number].metrics})
        if len(others) < len(own):
            alone = replace(batch, frame=batch.frame.where(f"{_EXAMPLE} = {number}"))
            one = engine.with_own(alone, plan.without(dict.fromkeys(others, "")), one)
        found[number] = one
    return found


def _strict(rule: Rule) -> Rule:
    # the rows of an example are one group
    rule = replace(rule, group_by=())
    return replace(rule, tolerance=Tolerance()) if judges_rows(type(rule.check)) else rule


def _scan(batch: Batch, plan: Plan) -> dict[int, Scanned]:
    """One job: what the shared scan of a run measures, for each example."""
    scan = Scan(batch, plan, None)
    measures = scan.measures()
    inputs = batch.frame.selectExpr(_EXAMPLE, *scan.inputs())
    grouped = inputs.groupBy(_EXAMPLE).agg(*measures)
    found: Any = grouped.select(*(f"a{index}" for index in range(len(measures))), _EXAMPLE)._jdf.collectAsList()
    rows = [found.get(index) for index in range(found.size())]
    return {int(row.get(len(measures))): scan.read(row) for row in rows}


def _told(
    engine: Engine,
    plan: Plan,
    case: _Case,
    scanned: Scanned,
    keys: Mapping[KeyPass, Frequencies | None],
) -> Told:
    none, plan = Frequencies(0, 0, 0, 0, 0), plan.without(scanned.errors)
    measured = engine.measured(plan, scanned, {key: found or none for key, found in keys.items()})
    verdicts = verification.judge(plan, measured, plan.columns)
    wanted = {rule.id for rule in case.rules}
    own = [verdict for verdict in verdicts if verdict.id in wanted]
    if not own:
        return Told(case.rules, case.example, "error", f"no column of the example is meant by '{case.rules[0].over}'")
    unsure = next((verdict for verdict in own if verdict.status == RuleStatus.ERROR), None)
    failed = next((verdict for verdict in own if verdict.status == RuleStatus.FAILED), None)
    passed = next((verdict for verdict in own if verdict.status == RuleStatus.PASSED), None)
    telling = unsure or failed or passed or own[0]
    return Told(
        case.rules,
        case.example,
        _FOUND[telling.status],
        (telling.message or telling.expected).removeprefix("could not tell: "),
    )
