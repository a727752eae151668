"""Spark's and Java's own parsers over what a steward wrote: mistakes that hold whatever the data, found before a batch
is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from quality.backends.reading import reason
from quality.errors import Problem, RuleFileError
from quality.query_text import relations
from quality.rule_types.rules import Reference, Rule, RuleSet
from quality.sql import FORBIDDEN_FUNCTIONS, RELATIONS, clock_problem, literal, names_clock


def refuse_unparsable(spark: SparkSession, rule_set: RuleSet) -> None:
    """Raise RuleFileError with every expression that Spark, and every pattern that Java, cannot parse."""
    names = [reference.name for reference in rule_set.references]
    problems = [problem for rule in rule_set.rules for problem in _problems(spark, rule, names)]
    for reference in rule_set.references:
        problems += _of_reference(spark, reference)
    if problems:
        raise RuleFileError(problems)


def _of_reference(spark: SparkSession, reference: Reference) -> Iterator[Problem]:
    text = reference.input.where
    try:
        if text:
            spark._jsparkSession.sessionState().sqlParser().parseExpression(text)
    except (PySparkException, Py4JError) as error:
        message = f"reference '{reference.name}': '{text}' is not Spark SQL: {reason(error)}"
        yield Problem(reference.location.file, reference.location.line, message)


def _problems(spark: SparkSession, rule: Rule, references: Sequence[str]) -> Iterator[Problem]:
    jvm: Any = spark._jvm
    parser = spark._jsparkSession.sessionState().sqlParser()
    for text in (rule.where, *rule.check.expressions()):
        try:
            if text:
                parser.parseExpression(text)
        except (PySparkException, Py4JError) as error:
            yield _problem(rule, f"'{text}' is not Spark SQL: {reason(error)}")
    for query in rule.check.queries():
        yield from (_problem(rule, f"the query {wrong}") for wrong in query_problems(spark, query, references))
    for text in rule.check.patterns():
        try:
            jvm.java.util.regex.Pattern.compile(text)
        except (PySparkException, Py4JError) as error:
            yield _problem(rule, f"'{text}' is not a regular expression: {reason(error)}")


def _problem(rule: Rule, message: str) -> Problem:
    return Problem(rule.location.file, rule.location.line, f"rule '{rule.id}': {message}")


#: Nodes of Spark's parse of a query that read nothing but what stands below them. All others are refused: commands, tables by
#: function, scripts, and what a later Spark may bring.
_NODES = frozenset(
    [
        "Project",
        "Filter",
        "Aggregate",
        "UnresolvedHaving",
        "Sort",
        "GlobalLimit",
        "LocalLimit",
        "Offset",
        "SubqueryAlias",
        "Join",
        "Union",
        "Distinct",
        "Except",
        "Intersect",
        "UnresolvedWith",
        "WithWindowDefinition",
        "UnresolvedSubqueryColumnAliases",
        "OneRowRelation",
        "UnresolvedInlineTable",
        "LateralJoin",
        "Generate",
        "Window",
    ]
)


def query_problems(spark: SparkSession, query: str, references: Sequence[str] = ()) -> list[str]:
    """What is wrong with a query in Spark's own parse: no SQL, more than a query, it reads what is neither the batch nor one of
    the references, or calls a function that is not Spark's."""
    found = {named.name for named in relations(query)} & {*references}
    try:
        parsed = spark._jsparkSession.sessionState().sqlParser().parsePlan(query)
        return list(dict.fromkeys(_Parsed(spark, frozenset(found)).in_plan(parsed, frozenset(RELATIONS))))
    except (PySparkException, Py4JError) as error:
        return [f"is not Spark SQL: {reason(error)}"]


class _Parsed:
    """A walk through a parse. `references` may be read, each under its very name."""

    def __init__(self, spark: SparkSession, references: frozenset[str]) -> None:
        jvm: Any = spark._jvm
        self.references = references
        self._functions = jvm.org.apache.spark.sql.catalyst.analysis.FunctionRegistry.builtin()
        self._function = jvm.org.apache.spark.sql.catalyst.FunctionIdentifier

    def in_plan(self, node: Any, known: frozenset[str]) -> Iterator[str]:
        kind = str(node.getClass().getSimpleName())
        if kind == "UnresolvedRelation":
            name = ".".join(_each(node.multipartIdentifier()))
            if name.lower() not in known and name not in self.references:
                others = f", and references by their names: {', '.join(sorted(self.references))}" * bool(
                    self.references
                )
                yield f"reads '{name}'; a query reads the batch, as {' or '.join(RELATIONS)}{others}"
            return
        if kind not in _NODES:
            yield f"holds {kind}, which is not allowed: a query is one SELECT over the batch and references"
            return
        if kind == "UnresolvedWith":
            for pair in _each(node.cteRelations()):
                yield from self.in_plan(pair._2(), known)
                known |= {str(pair._1()).lower()}
        for expression in _each(node.expressions()):
            yield from self._in_expression(expression, known)
        for child in _each(node.children()):
            yield from self.in_plan(child, known)

    def _in_expression(self, expression: Any, known: frozenset[str]) -> Iterator[str]:
        kinds = {*_kinds(expression)}
        if kinds & {"SubqueryExpression", "PlanExpression"}:
            yield from self.in_plan(expression.plan(), known)
        if kinds & {"UnresolvedFunction", "UnresolvedGenerator"}:
            yield from self._of_function(expression, generates="UnresolvedGenerator" in kinds)
        for child in _each(expression.children()):
            yield from self._in_expression(child, known)

    def _of_function(self, call: Any, *, generates: bool) -> Iterator[str]:
        name = str(call.name().unquotedString()) if generates else ".".join(_each(call.nameParts()))
        reason = FORBIDDEN_FUNCTIONS.get(name.lower())
        if reason:
            yield f"calls {name}(), which {reason}"
        elif not self._functions.functionExists(self._function(name)):
            yield f"calls {name}(), which is none of Spark's own functions"


def clock_problems(frame: DataFrame, text: str) -> list[str]:
    """What of a frame depends on the clock, where `text`, which it was made of, holds a word such as 'now': it does where Spark
    casts the word because it stands beside a date or time."""
    if not names_clock(text):
        return []
    found = (literal for literal in _cast_texts(frame._jdf.queryExecution().analyzed()) if names_clock(literal))
    return list(dict.fromkeys(map(clock_problem, found)))


def _cast_texts(node: Any) -> Iterator[str]:
    """The texts in a plan that become dates or times, as literals."""
    for expression in _each(node.expressions()):
        yield from _cast_texts_within(expression)
    for child in _each(node.children()):
        yield from _cast_texts(child)


def _cast_texts_within(expression: Any) -> Iterator[str]:
    kinds = {*_kinds(expression)}
    if "Cast" in kinds and str(expression.dataType().typeName()) in ("date", "timestamp", "timestamp_ntz"):
        child = expression.child()
        if "Literal" in {*_kinds(child)} and str(child.dataType().typeName()) == "string":
            yield literal(str(child.value()))
    if kinds & {"SubqueryExpression", "PlanExpression"}:
        yield from _cast_texts(expression.plan())
    for child in _each(expression.children()):
        yield from _cast_texts_within(child)


def _kinds(thing: Any) -> Iterator[str]:
    kind = thing.getClass()
    while kind is not None:
        yield str(kind.getSimpleName())
        kind = kind.getSuperclass()


def _each(found: Any) -> list[Any]:
    return [found.apply(place) for place in range(found.size())]
