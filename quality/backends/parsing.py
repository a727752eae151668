"""Spark's and Java's own parsers over what a steward wrote: mistakes that hold whatever the data, found before a batch
is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality.backends.reading import reason
from quality.errors import Problem, RuleFileError
from quality.rule_types.custom import CustomSql
from quality.rule_types.rules import Reference, Rule, RuleSet
from quality.sql import RELATIONS


def refuse_unparsable(spark: SparkSession, rule_set: RuleSet) -> None:
    """Raise RuleFileError with every expression that Spark, and every pattern that Java, cannot parse."""
    problems = [problem for rule in rule_set.rules for problem in _problems(spark, rule)]
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


def _problems(spark: SparkSession, rule: Rule) -> Iterator[Problem]:
    jvm: Any = spark._jvm
    parser = spark._jsparkSession.sessionState().sqlParser()
    for text in (rule.where, *rule.check.expressions()):
        try:
            if text:
                parser.parseExpression(text)
        except (PySparkException, Py4JError) as error:
            yield _problem(rule, f"'{text}' is not Spark SQL: {reason(error)}")
    for metric in rule.check.metrics():
        if isinstance(metric, CustomSql):
            yield from (_problem(rule, f"the query {wrong}") for wrong in query_problems(spark, metric.query))
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


def query_problems(spark: SparkSession, query: str) -> list[str]:
    """What is wrong with a query in Spark's own parse: no SQL, more than a query, or it reads what is not the batch."""
    try:
        parsed = spark._jsparkSession.sessionState().sqlParser().parsePlan(query)
        return list(dict.fromkeys(_in_plan(parsed, frozenset(RELATIONS))))
    except (PySparkException, Py4JError) as error:
        return [f"is not Spark SQL: {reason(error)}"]


def _in_plan(node: Any, known: frozenset[str]) -> Iterator[str]:
    kind = str(node.getClass().getSimpleName())
    if kind == "UnresolvedRelation":
        name = ".".join(_each(node.multipartIdentifier()))
        if name.lower() not in known:
            yield f"reads '{name}'; a query reads the batch alone, as {' or '.join(RELATIONS)}"
        return
    if kind not in _NODES:
        yield f"holds {kind}, which is not allowed: a query is one SELECT over the batch"
        return
    if kind == "UnresolvedWith":
        for pair in _each(node.cteRelations()):
            yield from _in_plan(pair._2(), known)
            known |= {str(pair._1()).lower()}
    for expression in _each(node.expressions()):
        yield from _in_expression(expression, known)
    for child in _each(node.children()):
        yield from _in_plan(child, known)


def _in_expression(expression: Any, known: frozenset[str]) -> Iterator[str]:
    if _has_plan(expression):
        yield from _in_plan(expression.plan(), known)
    for child in _each(expression.children()):
        yield from _in_expression(child, known)


def _has_plan(expression: Any) -> bool:
    kind = expression.getClass()
    while kind is not None:
        if str(kind.getSimpleName()) in ("SubqueryExpression", "PlanExpression"):
            return True
        kind = kind.getSuperclass()
    return False


def _each(found: Any) -> list[Any]:
    return [found.apply(place) for place in range(found.size())]
