"""Formulas of earlier batches, from DQDL and to DQDL. What differs: Glue takes 0 for a past that is not there yet."""

from __future__ import annotations

from decimal import Decimal

from quality import formulas
from quality.formulas import Formula, Tree, Within
from quality.model import COMPARISONS, Bounds
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.printer import expression
from quality.rulefile.dqdl.tree import Between, Call, Comparison, Condition, Expression, Negative, Number, Operation

DIFFERS = 'it does not apply until the history is long enough; Glue takes 0 for what is not there, as Metadata "min_history": "0" does here'


def formula(value: Expression) -> str:
    """An operand that asks for the history, as a rule file has it. Raises Lost."""
    try:
        return str(formulas.parse(expression(value)))
    except ValueError as error:
        raise Lost(f"its formula {error}") from None


def conditions(bounds: Bounds) -> list[Condition]:
    """The terms of earlier batches as conditions that must all hold. Raises Lost."""
    found: list[Condition] = []
    terms = dict(bounds.past)
    low, high = terms.get("above"), terms.get("below")
    if isinstance(low, Formula) and isinstance(high, Formula):
        found.append(Between(_expression(low.tree), _expression(high.tree)))
        terms = {word: asked for word, asked in terms.items() if word not in ("above", "below")}
    for word, asked in terms.items():
        if isinstance(asked, Within):
            centre = _expression(asked.of.tree)
            far = (
                Operation("*", _number(asked.amount), Call("abs", (centre,)))
                if asked.relative
                else _number(asked.amount)
            )
            found += [Comparison(">=", Operation("-", centre, far)), Comparison("<=", Operation("+", centre, far))]
        else:
            found.append(Comparison(COMPARISONS[word], _expression(asked.tree)))
    return found


def _number(value: Decimal) -> Number:
    return Number(f"{value:f}")


def _expression(tree: Tree) -> Expression:
    kind = tree[0]
    if kind in ("number", "%"):
        return _number(tree[1] / (100 if kind == "%" else 1))
    if kind in formulas.FUNCTIONS:
        return Call("avg" if kind == "mean" else kind, (_last(tree[1]),))
    if kind == "index":
        return _last(1) if tree[1:] == (1, 0) else Call("index", (_last(tree[1]), Number(str(tree[2]))))
    if kind == "percentile":
        return Call("percentile", (_last(tree[1]), _number(tree[2])))
    if kind in ("least", "most"):
        raise Lost("functions of DQDL take earlier batches, not several numbers")
    parts = [_expression(part) for part in tree[1:]]
    if kind == "abs":
        return Call("abs", (parts[0],))
    return Negative(parts[0]) if kind == "neg" else Operation(kind, parts[0], parts[1])


def _last(count: int) -> Call:
    return Call("last", (Number(str(count)),) if count > 1 else ())
