"""`examples:` of a rule: rows it must let pass, rows it must fail, rows it must leave out of its scope.

An example names the columns that matter; every other one is NULL. For a rule about rows an example is one row. For a
rule about the batch, and for `key` and `unique`, an example is a small batch: a list of rows; several batches are a list
of such lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from quality.casts import fits
from quality.errors import did_you_mean
from quality.model import Location
from quality.rule_types.args import shown
from quality.rule_types.base import MetricRule, RowRule, RuleType, SchemaRule
from quality.rule_types.composition import BatchComposition
from quality.rule_types.custom import CustomSql, SqlRows
from quality.rule_types.outliers import NoOutliers
from quality.rule_types.relations import DatasetMatch, SchemaMatch
from quality.rule_types.rules import EXPECTED, Example, Rule
from quality.rule_types.schema import Malformed
from quality.rule_types.values import Type
from quality.rulefile.nodes import Node
from quality.sql import words

if TYPE_CHECKING:
    from quality.rulefile.ruleforms import Problems


def judges_rows(kind: type[RuleType]) -> bool:
    """Whether an example of the type is a single row."""
    return issubclass(kind, RowRule) and kind.by_row


def read_examples(kind: type[RuleType], section: Node, problems: Problems) -> tuple[Example, ...]:
    """The examples of a rule in the order of the file; mistakes are noted."""
    no_rows = (SchemaRule, SchemaMatch, DatasetMatch, Malformed, CustomSql, SqlRows, NoOutliers)
    if issubclass(kind, no_rows) or not issubclass(kind, (RowRule, MetricRule, BatchComposition)):
        problems.add(section, f"'{kind.type}' takes no examples: rows do not tell what it judges")
        return ()
    if not isinstance(section.value, dict) or not section.mapping:
        problems.add(section, f"'examples' must be a mapping of {', '.join(EXPECTED)} to rows, {_got(section)}")
        return ()
    problems.unknown_keys(section, EXPECTED, "kind of example")
    known = [(word, node) for word, node in section.mapping.items() if word in EXPECTED]
    return tuple(example for word, node in known for example in _read(kind, word, node, problems))


def _read(kind: type[RuleType], word: str, node: Node, problems: Problems) -> Iterator[Example]:
    if not isinstance(node.value, list) or not node.items:
        problems.add(node, f"'{word}' of 'examples' must be a list of rows such as [{{amount: 5}}], {_got(node)}")
        return
    if judges_rows(kind):
        batches = [(entry, [entry]) for entry in node.items]
    elif all(isinstance(entry.value, list) for entry in node.items):
        batches = [(entry, entry.items) for entry in node.items]
    else:
        batches = [(node.items[0], node.items)]
    for place, rows in batches:
        wrong = [row for row in rows if not isinstance(row.value, dict)]
        for row in wrong:
            problems.add(row, f"an example of '{kind.type}' {_form(kind)}, {_got(row)}")
        if not rows:
            problems.add(place, f"an example of '{kind.type}' {_form(kind)}, {_got(place)}")
        if rows and not wrong:
            found = tuple({name: value.plain() for name, value in row.mapping.items()} for row in rows)
            lines = tuple({name: row.key_lines.get(name, row.line) for name in row.mapping} for row in rows)
            yield Example(word, found, Location(place.file, place.line), lines)


def _form(kind: type[RuleType]) -> str:
    if judges_rows(kind):
        return "is a row: a mapping of column names to values"
    return "is a batch: a list of rows, each a mapping of column names to values"


def _got(node: Node) -> str:
    return f"got {shown(node.plain()) if node.value not in ([], {}) else 'an empty one'}"


def check_examples(rules: Iterable[Rule], declared: Mapping[str, str], problems: Problems) -> None:
    """Note examples with columns that nothing in the file speaks of, and values that are none of their column's type.

    `declared` are types by lower-case name. A value of another type is a thing to judge for a rule about types;
    for every other rule it would be a NULL, which an example should say.
    """
    listed = list(rules)
    if not any(rule.examples for rule in listed):
        return
    known = _known(listed, declared)
    told = set()
    for rule in listed:
        for example in rule.examples:
            for row, lines in zip(example.rows, example.lines, strict=True):
                for name, value in row.items():
                    why = _misfit(rule, name, value, known, declared)
                    place = (example.location.file, lines[name], why)
                    # a rule for each of many columns shares its examples
                    if why and place not in told:
                        told.add(place)
                        problems.add(Node(None, example.location.file, lines[name]), f"example of '{rule.id}': {why}")


def _known(rules: list[Rule], declared: Mapping[str, str]) -> dict[str, str]:
    """Columns that the file speaks of, as they are written there, by lower-case name. Words of SQL may be functions:
    then a mistyped column passes here, and is told by the example that does not hold."""
    names = [*declared]
    for rule in rules:
        names += rule.check.columns()
    texts = [text for rule in rules for text in (rule.where, *rule.check.expressions())]
    names += sorted({word for text in texts for word in words(text)})
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(name.lower(), name)
    return known


def _misfit(rule: Rule, name: str, value: Any, known: Mapping[str, str], declared: Mapping[str, str]) -> str:
    if name.lower() not in known and not (rule.over and not rule.over.type):
        columns = [column for column in known.values() if column.lower() in declared] or [*known.values()]
        return f"nothing here speaks of a column '{name}'; {did_you_mean(name, [*dict.fromkeys(columns)], 'columns')}"
    if isinstance(value, (dict, list)):
        return f"the value of column '{name}' must be a text, number, boolean or null, got {shown(value)}"
    kind = declared.get(name.lower(), "")
    if kind and value is not None and not fits(value, kind) and not _about_types(rule, name):
        return f"{shown(value)} is no {kind}, which column '{name}' is declared to be"
    return ""


def _about_types(rule: Rule, name: str) -> bool:
    return isinstance(rule.check, Type) and rule.check.column.lower() == name.lower()
