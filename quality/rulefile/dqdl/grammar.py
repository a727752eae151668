"""The grammar of what stands between the commas of a DQDL document, and the values it makes.

One grammar of operands serves all rule types. Which kind goes with which type is said by `check`, whose messages can
then speak of the rule and not of tokens.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lark import Lark, Token, Tree

from quality.rulefile.dqdl.tree import (
    Between,
    Call,
    Comparison,
    Composite,
    Constant,
    Entry,
    Expression,
    Label,
    Matches,
    Membership,
    Negative,
    Number,
    Operation,
    Parameter,
    Position,
    Quantity,
    Rule,
    Tag,
    Text,
    Variable,
    Word,
)

_GRAMMAR = r"""
rule: simple | group | all | any
simple: NAME parameter* condition? clause*
group: "(" rule ")"
all: group (AND group)+ labels?
any: (group | inner) (OR (group | inner))+ labels?
inner: group (AND group)+

parameter: (OF | AND)? (TEXT | NAME | VARIABLE)

?condition: comparison | between | membership | matches
comparison: OPERATOR expression
between: NOT? "between" expression AND expression
membership: NOT? "in" (list | VARIABLE)
matches: NOT? "matches" (TEXT | VARIABLE)

?clause: where | labels | tags
where: "where" (TEXT | VARIABLE)
labels: "labels" OPERATOR label_list
label: TEXT OPERATOR TEXT
label_list: "[" [label ("," label)*] "]"
tags: "with" tag ("," tag)*
tag: WORD (condition | OPERATOR list)

list: "[" [expression ("," expression)*] "]"
?expression: term
    | expression (PLUS | MINUS) term -> operation
?term: factor
    | term (TIMES | OVER) factor -> operation
?factor: atom
    | MINUS factor -> negative
?atom: NUMBER | quantity | TEXT | VARIABLE | CONSTANT | WORD | call
    | "(" expression ")" -> grouped
quantity: NUMBER WORD
call: WORD "(" [expression ("," expression)*] ")"

mapping: "{" [entry ("," entry)*] "}"
entry: TEXT ":" (TEXT | texts)
texts: "[" [TEXT ("," TEXT)*] "]"
value: TEXT | CONSTANT | constants
constants: "[" [(TEXT | CONSTANT) ("," (TEXT | CONSTANT))*] "]"

AND.1: /(?:and|AND)(?![A-Za-z0-9_.])/
OR.1: /(?:or|OR)(?![A-Za-z0-9_.])/
OF: "of"
NOT: "not"
CONSTANT.1: /(?:NULL|EMPTY|WHITESPACES_ONLY)(?![A-Za-z0-9_.])/
OPERATOR: /[=!<>]{1,2}/
PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
TEXT: /"(?:[^"\\]|\\.)*"/s
VARIABLE: /\$[A-Za-z_][A-Za-z0-9_]*/
NUMBER: /[0-9]+(?:\.[0-9]+)?|\.[0-9]+/
WORD: /[A-Za-z_][A-Za-z0-9_]*/
NAME: /[A-Za-z0-9_.]+/
%ignore /\s+/
%ignore /#[^\n]*/
"""
STARTS = ("rule", "mapping", "value", "label_list")


@cache
def _parser() -> Lark:
    # the tables take some 50 ms, and lint of YAML does not need them
    return Lark(_GRAMMAR, parser="lalr", start=list(STARTS), propagate_positions=True, maybe_placeholders=False)


class Lines:
    """Where the lines of a text begin."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(match.end() for match in re.finditer(r"\n", text))]

    def at(self, offset: int) -> Position:
        """The line and column of a character."""
        line = bisect_right(self.starts, offset)
        return Position(line, offset - self.starts[line - 1] + 1)


class Reader:
    """Makes values of pieces of one text."""

    def __init__(self, text: str) -> None:
        self.text, self.lines = text, Lines(text)

    def read(self, start: str, begin: int, end: int) -> Any:
        """The value of `text[begin:end]`: `start` is one of STARTS. Raises lark.UnexpectedInput."""
        tree = _parser().parse(self.text[begin:end], start=start)
        return _Builder(self.lines, begin).build(tree)

    def accepted(self, start: str, begin: int, end: int) -> set[str]:
        """The names of the terminals that could follow `text[begin:end]`."""
        state = _parser().parse_interactive(self.text[begin:end], start=start)
        state.exhaust_lexer()
        return set(state.accepts())  # type: ignore[no-untyped-call]


def unquoted(token: str) -> str:
    r"""The text that stands in quotes. `\"` is a quote; a backslash before anything else is one, as regular expressions
    need it."""
    return re.sub(r"\\(.)", lambda match: '"' if match[1] == '"' else match[0], token[1:-1], flags=re.DOTALL)


class _Builder:
    def __init__(self, lines: Lines, begin: int) -> None:
        self.lines, self.begin = lines, begin

    def build(self, node: Any) -> Any:
        if isinstance(node, Token):
            return self.leaf(node)
        method: Callable[[Tree[Token], Position], Any] = getattr(self, f"_{node.data}")
        return method(node, self.lines.at(self.begin + (node.meta.start_pos if not node.meta.empty else 0)))

    def leaf(self, token: Token) -> Any:
        at = self.lines.at(self.begin + (token.start_pos or 0))
        make = _LEAVES.get(token.type)
        return make(str(token), at) if make else str(token)

    def all(self, nodes: Any) -> tuple[Any, ...]:
        return tuple(self.build(node) for node in nodes)

    def _rule(self, tree: Tree[Token], _at: Position) -> Rule | Composite:
        return self.build(tree.children[0])  # type: ignore[no-any-return]

    _group = _grouped = _rule

    def _simple(self, tree: Tree[Token], at: Position) -> Rule:
        name, *rest = tree.children
        parts = self.all(rest)
        clauses = [(node.data, part) for node, part in zip(rest, parts, strict=True) if isinstance(node, Tree)]
        wheres = [part for kind, part in clauses if kind == "where"]
        labels = [part for kind, part in clauses if kind == "labels"]
        if len(wheres) > 1 or len(labels) > 1:
            raise TwiceError("where" if len(wheres) > 1 else "labels", str(name))
        return Rule(
            type=str(name),
            parameters=tuple(part for part in parts if isinstance(part, Parameter)),
            condition=next(
                (part for part in parts if isinstance(part, (Comparison, Between, Membership, Matches))), None
            ),
            where=wheres[0] if wheres else None,
            labels=labels[0] if labels else (),
            tags=tuple(tag for kind, part in clauses if kind == "tags" for tag in part),
            at=at,
        )

    def _all(self, tree: Tree[Token], at: Position) -> Composite:
        rules = [node for node in tree.children if isinstance(node, Tree) and node.data != "labels"]
        labels = [node for node in tree.children if isinstance(node, Tree) and node.data == "labels"]
        operator = "or" if tree.data == "any" else "and"
        return Composite(operator, self.all(rules), self.build(labels[0]) if labels else (), at)

    _any = _inner = _all

    def _parameter(self, tree: Tree[Token], at: Position) -> Parameter:
        *link, token = (node for node in tree.children if isinstance(node, Token))
        form = {"TEXT": "quoted", "VARIABLE": "variable"}.get(token.type, "bare")
        value = unquoted(token) if form == "quoted" else token.removeprefix("$")
        return Parameter(value, form, str(link[0]).lower() if link else "", at)

    def _comparison(self, tree: Tree[Token], at: Position) -> Comparison:
        sign, operand = tree.children
        return Comparison(str(sign), self.build(operand), at)

    def _between(self, tree: Tree[Token], at: Position) -> Between:
        # NOT is there or not, AND always
        *negated, low, _, high = tree.children
        return Between(self.build(low), self.build(high), bool(negated), at)

    def _membership(self, tree: Tree[Token], at: Position) -> Membership:
        *negated, values = tree.children
        return Membership(self.build(values), bool(negated), at)

    def _matches(self, tree: Tree[Token], at: Position) -> Matches:
        *negated, pattern = tree.children
        return Matches(self.build(pattern), bool(negated), at)

    def _where(self, tree: Tree[Token], _at: Position) -> Text | Variable:
        return self.build(tree.children[0])  # type: ignore[no-any-return]

    def _labels(self, tree: Tree[Token], _at: Position) -> tuple[Label, ...]:
        return self.build(tree.children[-1])  # type: ignore[no-any-return]

    def _label(self, tree: Tree[Token], at: Position) -> Label:
        key, _, value = (str(node) for node in tree.children)
        return Label(unquoted(key), unquoted(value), at)

    def _tag(self, tree: Tree[Token], at: Position) -> Tag:
        name, condition = tree.children[0], tree.children[-1]
        found = self.build(condition)
        # a list behind `=` says the same as `in`
        return Tag(str(name), Membership(found, at=at) if isinstance(found, tuple) else found, at)

    def _list(self, tree: Tree[Token], _at: Position) -> tuple[Any, ...]:
        return self.all(tree.children)

    _tags = _constants = _mapping = _label_list = _list

    def _texts(self, tree: Tree[Token], _at: Position) -> tuple[str, ...]:
        return tuple(unquoted(str(node)) for node in tree.children)

    def _operation(self, tree: Tree[Token], at: Position) -> Operation:
        left, sign, right = tree.children
        return Operation(str(sign), self.build(left), self.build(right), at)

    def _negative(self, tree: Tree[Token], at: Position) -> Expression:
        operand = tree.children[-1]
        if isinstance(operand, Token) and operand.type == "NUMBER":
            return Number(f"-{operand}", at)
        return Negative(self.build(operand), at)

    def _quantity(self, tree: Tree[Token], at: Position) -> Quantity:
        return Quantity(str(tree.children[0]), str(tree.children[1]), at)

    def _call(self, tree: Tree[Token], at: Position) -> Call:
        return Call(str(tree.children[0]), self.all(tree.children[1:]), at)

    def _entry(self, tree: Tree[Token], at: Position) -> Entry:
        key, value = tree.children
        return Entry(unquoted(str(key)), unquoted(value) if isinstance(value, Token) else self.build(value), at)

    def _value(self, tree: Tree[Token], _at: Position) -> Any:
        return self.build(tree.children[0])


class TwiceError(Exception):
    """A clause stands twice; the arguments are its word and the rule type."""


_LEAVES: Mapping[str, Callable[[str, Position], Expression]] = {
    "NUMBER": Number,
    "TEXT": lambda text, at: Text(unquoted(text), at),
    "VARIABLE": lambda text, at: Variable(text[1:], at),
    "CONSTANT": Constant,
    "WORD": Word,
}
