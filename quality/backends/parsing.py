"""Spark's and Java's own parsers over what a steward wrote: mistakes that hold whatever the data, found before a batch
is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality.backends.clocks import each, kinds
from quality.backends.reading import reason
from quality.errors import Problem, RuleFileError
from quality.query_text import relations
from quality.rule_types.rules import Filter, Rule, RuleSet
from quality.sql import FORBIDDEN_FUNCTIONS, RELATIONS


def refuse_unparsable(spark: SparkSession, rule_set: RuleSet) -> None:
    """Raise RuleFileError with every expression that Spark, and every pattern that Java, cannot parse."""
    names = [reference.name for reference in rule_set.references]
    problems = [problem for rule in rule_set.rules for problem in _problems(spark, rule, names)]
    for one in rule_set.filters:
        problems += _of_filter(spark, one)
    if problems:
        raise RuleFileError(problems)


def _of_filter(spark: SparkSession, given: Filter) -> Iterator[Problem]:
    try:
        spark._jsparkSession.sessionState().sqlParser().parseExpression(given.text)
    except (PySparkException, Py4JError) as error:
        message = f"{given.words}: '{given.text}' is not Spark SQL: {reason(error)}"
        yield Problem(given.location.file, given.location.line, message)


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
            name = ".".join(each(node.multipartIdentifier()))
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
            for pair in each(node.cteRelations()):
                yield from self.in_plan(pair._2(), known)
                known |= {str(pair._1()).lower()}
        for expression in each(node.expressions()):
            yield from self._in_expression(expression, known)
        for child in each(node.children()):
            yield from self.in_plan(child, known)

    def _in_expression(self, expression: Any, known: frozenset[str]) -> Iterator[str]:
        own = {*kinds(expression)}
        if own & {"SubqueryExpression", "PlanExpression"}:
            yield from self.in_plan(expression.plan(), known)
        if own & {"UnresolvedFunction", "UnresolvedGenerator"}:
            yield from self._of_function(expression, generates="UnresolvedGenerator" in own)
        for child in each(expression.children()):
            yield from self._in_expression(child, known)

    def _of_function(self, call: Any, *, generates: bool) -> Iterator[str]:
        name = str(call.name().unquotedString()) if generates else ".".join(each(call.nameParts()))
        reason = FORBIDDEN_FUNCTIONS.get(name.lower())
        if reason:
            yield f"calls {name}(), which {reason}"
        elif not self._functions.functionExists(self._function(name)):
            yield f"calls {name}(), which is none of Spark's own functions"
