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
from quality.rule_types.rules import Reference, Rule, RuleSet


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
    for text in rule.check.patterns():
        try:
            jvm.java.util.regex.Pattern.compile(text)
        except (PySparkException, Py4JError) as error:
            yield _problem(rule, f"'{text}' is not a regular expression: {reason(error)}")


def _problem(rule: Rule, message: str) -> Problem:
    return Problem(rule.location.file, rule.location.line, f"rule '{rule.id}': {message}")
