"""What a DQDL document says, as values: two documents that say the same are equal, wherever it stands in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Union

#: Words that stand for what no text can be written for.
CONSTANTS = ("NULL", "EMPTY", "WHITESPACES_ONLY")


@dataclass(frozen=True, order=True)
class Position:
    """A place in a document; both count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


NOWHERE = Position(1, 1)


def _place() -> Position:
    return field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Number:
    """A number as it is written, with its sign."""

    text: str
    at: Position = _place()

    @property
    def value(self) -> Decimal:
        """Its exact value."""
        return Decimal(self.text)


@dataclass(frozen=True)
class Text:
    """A text in quotes: a value, a date, a time of day, a type, a hash, ..."""

    value: str
    at: Position = _place()


@dataclass(frozen=True)
class Constant:
    """NULL, EMPTY or WHITESPACES_ONLY."""

    name: str
    at: Position = _place()


@dataclass(frozen=True)
class Variable:
    """`$name`, a variable of the document."""

    name: str
    at: Position = _place()


@dataclass(frozen=True)
class Word:
    """A word without quotes: true or false."""

    text: str
    at: Position = _place()


@dataclass(frozen=True)
class Quantity:
    """A number with its unit: a duration (`24 hours`) or a size (`5 MB`)."""

    number: str
    unit: str
    at: Position = _place()


@dataclass(frozen=True)
class Call:
    """A function with its arguments: `now()`, `avg(last(7))`."""

    name: str
    arguments: tuple[Expression, ...] = ()
    at: Position = _place()


@dataclass(frozen=True)
class Operation:
    """Two operands with `+`, `-`, `*` or `/` between them."""

    sign: str
    left: Expression
    right: Expression
    at: Position = _place()


@dataclass(frozen=True)
class Negative:
    """An operand with a minus before it; a negative number is a Number."""

    operand: Expression
    at: Position = _place()


Expression = Union[Number, Text, Constant, Variable, Word, Quantity, Call, Operation, Negative]


@dataclass(frozen=True)
class Comparison:
    """`= != > >= < <=` with an operand."""

    sign: str
    operand: Expression
    at: Position = _place()


@dataclass(frozen=True)
class Between:
    """`between` leaves both ends out; `not between` takes them in."""

    low: Expression
    high: Expression
    negated: bool = False
    at: Position = _place()


@dataclass(frozen=True)
class Membership:
    """`in` a list, or a variable that is one."""

    values: tuple[Expression, ...] | Variable
    negated: bool = False
    at: Position = _place()


@dataclass(frozen=True)
class Matches:
    """`matches` a regular expression."""

    pattern: Text | Variable
    negated: bool = False
    at: Position = _place()


Condition = Union[Comparison, Between, Membership, Matches]


@dataclass(frozen=True)
class Parameter:
    """What a rule is about: a column, a path, a query. `form` is quoted, bare or variable; `link` what joins it to what
    stands before: nothing, `of` or `and`."""

    value: str
    form: str = "quoted"
    link: str = ""
    at: Position = _place()


@dataclass(frozen=True)
class Label:
    """A key with its value."""

    key: str
    value: str
    at: Position = _place()


@dataclass(frozen=True)
class Tag:
    """`with name condition`."""

    name: str
    condition: Condition
    at: Position = _place()


@dataclass(frozen=True)
class Rule:
    """A rule, or an analyzer, which has neither condition nor filter."""

    type: str
    parameters: tuple[Parameter, ...] = ()
    condition: Condition | None = None
    where: Text | Variable | None = None
    labels: tuple[Label, ...] = ()
    tags: tuple[Tag, ...] = ()
    at: Position = _place()


@dataclass(frozen=True)
class Composite:
    """Rules joined by `and` or by `or`."""

    operator: str
    rules: tuple[Rule | Composite, ...]
    labels: tuple[Label, ...] = ()
    at: Position = _place()


@dataclass(frozen=True)
class Entry:
    """A key of `Metadata` or `DataSources`."""

    key: str
    value: str | tuple[str, ...]
    at: Position = _place()


@dataclass(frozen=True)
class Binding:
    """A variable: a text, a constant, or a list of them."""

    name: str
    value: Text | Constant | tuple[Text | Constant, ...]
    at: Position = _place()


@dataclass(frozen=True)
class Document:
    """A whole document. `rules` and `analyzers` are None when the document has no such list."""

    metadata: tuple[Entry, ...] = ()
    data_sources: tuple[Entry, ...] = ()
    variables: tuple[Binding, ...] = ()
    default_labels: tuple[Label, ...] = ()
    rules: tuple[Rule | Composite, ...] | None = None
    analyzers: tuple[Rule, ...] | None = None
