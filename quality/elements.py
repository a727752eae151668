"""Metrics of the elements of a column: what they are, as data. A path such as `items[].price` has as its values the elements of
all rows in scope. The rows of the shared scan are not multiplied for them: they take a narrow pass of their own."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar

from quality.analyzers import Analyzer, Completeness, KeyAnalyzer
from quality.distributions import Entropy, OwnAnalyzer, TopValueRatio, ValuesAnalyzer
from quality.errors import RuleDataError
from quality.passes import OwnPass
from quality.rule_types.base import Elements, Row, element

SOURCE = "elements"
#: What is measured of elements besides aggregates that have native SQL.
_BESIDES = (Completeness, KeyAnalyzer, Entropy, TopValueRatio)


@dataclass(frozen=True)
class OverElements(OwnAnalyzer):
    """What `of` is of a column, over elements. A list that is NULL or empty has none; an element that is NULL is a NULL value.
    `element` is the SQL of a value, in terms of the innermost element, `kind` its type. Deequ knows no elements, and is not asked."""

    of: Analyzer = field(default_factory=Analyzer)
    element: str = ""
    kind: str = ""

    source: ClassVar[str] = SOURCE

    @property
    def name(self) -> str:
        """That of the metric."""
        return self.of.name

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Those of the metric."""
        return self.of.parameters

    @property
    def counted(self) -> bool:
        """Whether it is of the distinct values and how often each occurs, not an aggregate over the elements."""
        return isinstance(self.of, (KeyAnalyzer, ValuesAnalyzer))

    @property
    def shuffles(self) -> int:
        """Distinct values are brought together."""
        return int(self.counted)

    @property
    def form(self) -> Hashable:
        """Which values are counted; all aggregates over the elements of the same lists are in one pass."""
        return self.element if self.counted else None

    def pass_over(self, inside: Elements, scope: str) -> OwnPass:
        """The pass it takes. Aggregates over other rows of the same lists are in the same one."""
        (path,) = self.columns
        lists = path[: path.rindex("]") + 1]
        what = f"counting values of elements {path}" if self.counted else f"measuring elements {lists}"
        named, rows = (path, scope) if self.counted else (lists, "true")
        return OwnPass(SOURCE, (named,), inside.arrays, rows, self.form, what, 1, self.shuffles)


def over(analyzer: Analyzer, row: Row) -> tuple[OverElements, Elements] | None:
    """The metric over elements, and their lists, where a path among its columns leads to elements; None where none does. Raises
    RuleDataError where it is none of elements, or not of such."""
    found = next(((name, inside) for name in analyzer.columns if (inside := row.elements(name))), None)
    if found is None:
        return None
    path, inside = found
    native = analyzer.source == "scan" and analyzer.native
    if len(analyzer.columns) > 1 or not (native or isinstance(analyzer, _BESIDES)):
        raise RuleDataError(
            f"{analyzer.name} of {', '.join(analyzer.columns)} is not measured of elements: an aggregate of one column, completeness "
            f"and counts of its values are"
        )
    kind = inside.row.type(path)
    of = analyzer.fitted(inside.row)
    of.check_type(path, kind)
    if isinstance(of, KeyAnalyzer) and "map<" in kind:
        raise RuleDataError(f"'{path}' is {kind}: maps cannot be compared, so they are no key")
    return OverElements(of.columns, of.where, of, inside.row.ref(path), kind), inside


def in_place(inside: Elements, reference: str) -> str:
    """SQL, over a row, of all values as a list of lists: for Spark to say whether it can be resolved."""
    for level in range(len(inside.arrays) - 1, -1, -1):
        reference = f"transform({inside.arrays[level]}, {element(level)} -> {reference})"
    return reference
