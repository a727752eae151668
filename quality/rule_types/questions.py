"""What rules ask of references, the other data sets under `references:`, and of the batch as a whole. A question is a value:
equal ones are asked once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

#: The columns the engine adds begin so; an input column may not.
PREFIX = "__quality_"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Link:
    """Does the reference have these columns' values in those columns of its own?"""

    reference: str
    columns: tuple[str, ...]
    reference_columns: tuple[str, ...]

    @property
    def marker(self) -> str:
        """The helper column that holds the answer: true, or NULL."""
        return f"{PREFIX}link_{_digest(self.reference, '', *self.columns, '', *self.reference_columns)}"


@dataclass(frozen=True)
class Repeated:
    """Which keys without NULL do several rows of the batch itself have, of those that a condition means?"""

    columns: tuple[str, ...]
    where: str = ""
    reference: ClassVar[str] = ""

    @property
    def marker(self) -> str:
        """The helper column that holds the answer: true, or NULL."""
        return f"{PREFIX}repeated_{_digest(self.where, '', *self.columns)}"


@dataclass(frozen=True)
class Total:
    """What is an aggregate of a column of the reference, its texts taken as the type of a column of the batch? Of no column:
    how many rows does it have?"""

    reference: str
    function: str = ""
    column: str = ""
    batch_column: str = ""


@dataclass(frozen=True)
class Spread:
    """How often do the values of a column of the reference occur, counted as a column of the batch is?"""

    reference: str
    column: str
    batch_column: str


@dataclass(frozen=True)
class Order:
    """Does the row break the order of the batch: is its value less (`falls`: more) than the one before it, or `strict` equal to
    it, in the order of other columns and within groups? Among the rows of a condition, of those that have value and place."""

    column: str
    order_by: tuple[str, ...]
    per: tuple[str, ...] = ()
    falls: bool = False
    strict: bool = False
    where: str = ""
    #: The batch itself is asked.
    reference: ClassVar[str] = ""

    @property
    def marker(self) -> str:
        """The helper column that holds the answer: true, or NULL."""
        flags = (str(self.falls), str(self.strict), self.where)
        return f"{PREFIX}order_{_digest(self.column, '', *self.order_by, '', *self.per, '', *flags)}"

    @property
    def reads(self) -> int:
        """How often the batch is read for it: without groups ranges are sampled first."""
        return 1 if self.per else 2

    @property
    def shuffles(self) -> int:
        """How often it is shuffled: without groups into ranges, then each range together."""
        return self.reads

    def purpose(self) -> str:
        """What the pass does, as a plan says it."""
        within = f" within {', '.join(self.per)}" if self.per else ""
        return f"finding rows whose {self.column} breaks the order by {', '.join(self.order_by)}{within}"


@dataclass(frozen=True)
class Shape:
    """Which columns does the reference have? Without `types` only their names count."""

    reference: str
    types: bool = True


@dataclass(frozen=True)
class Near:
    """How far a number may be from that of the reference: by an amount, or by a share of it."""

    column: str
    amount: str
    relative: bool = False


@dataclass(frozen=True)
class Pairs:
    """Which rows of the batch has the reference too, by key? Names come in pairs, ours and theirs; no `columns` are all that
    both have."""

    reference: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...] = ()
    near: tuple[Near, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Relation:
    """The rows of the reference, for a query to read."""

    reference: str


@dataclass(frozen=True)
class Returned:
    """Which rows of the batch does a query return? They are told by `key`, by all their columns where there is none."""

    query: str
    key: tuple[str, ...] = ()
    reference: ClassVar[str] = ""

    @property
    def marker(self) -> str:
        """The helper column that holds the answer: true, or NULL."""
        return f"{PREFIX}returned_{_digest(self.query, '', *self.key)}"


@dataclass(frozen=True)
class Told:
    """By which columns a query tells rows of the batch; by none when it cannot. `untold` says why."""

    columns: tuple[str, ...]
    untold: str = ""


Question = Returned | Order | Repeated | Link | Total | Spread | Shape | Pairs | Relation
