"""Bounds that come from earlier batches: `0.8 * median(last 7)`. A small arithmetic over the last values of a metric, read
into a tree and reckoned in decimals, so that 1.1 * 10 is 11. Nothing is ever evaluated as code.

    sum     : product (("+" | "-") product)*
    product : factor (("*" | "/") factor)*
    factor  : "-" factor | number ["%"] ["of" factor] | call | "last" | "(" sum ")"
    call    : name "(" window ["," number ["%"]] ")" | ("min" | "max") "(" sum ("," sum)+ ")" | "abs" "(" sum ")"
            | "index" "(" window "," whole number ")"
    window  : "last" k | "last" "(" k ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException, localcontext
from typing import Any

#: Batches a window may look back over.
MOST_BATCHES = 1000
_LONGEST, _DEEPEST = 500, 20
_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?)|([A-Za-z_]+)|([-+*/(),%]))")


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def _std(values: Sequence[Decimal]) -> Decimal:
    centre = _mean(values)
    return _mean([(value - centre) ** 2 for value in values]).sqrt()


def _percentile(values: Sequence[Decimal], share: Decimal) -> Decimal:
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


#: What reduces a window to a number. `std` divides by n, as the rule type `stddev`; a percentile lies between two values
#: in proportion.
FUNCTIONS: Mapping[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "min": min,
    "max": max,
    "mean": _mean,
    "median": lambda values: _percentile(values, Decimal("0.5")),
    "std": _std,
    "sum": lambda values: sum(values, Decimal(0)),
}
_SAME = {"avg": "mean", "average": "mean", "stddev": "std"}
_NAMES = (*FUNCTIONS, "avg", "percentile", "index", "abs", "last")

Tree = tuple[Any, ...]


class Unreckonable(Exception):
    """A formula that has no value for these numbers, such as a division by zero."""


@dataclass(frozen=True)
class Formula:
    """A formula over the last values of a metric. Its text is the one way to write it."""

    tree: Tree

    @property
    def batches(self) -> int:
        """How many earlier batches it asks for."""
        return _batches(self.tree)

    def value(self, past: Sequence[float | None]) -> float:
        """Its value over the past, newest first; None is a batch without a value, which no function counts. Raises
        Unreckonable."""
        try:
            with localcontext() as context:
                context.prec = 40
                value = float(_value(self.tree, past))
        except (DecimalException, OverflowError, ValueError) as error:
            what = "it divides by zero" if "ivision" in type(error).__name__ else "it has no value"
            raise Unreckonable(f"{self} cannot be reckoned: {what}") from None
        if not math.isfinite(value):
            raise Unreckonable(f"{self} cannot be reckoned: it is beyond all numbers")
        return value

    def parts(self) -> tuple[Formula, ...]:
        """The parts that look into the past, each once, in order."""
        return tuple(Formula(part) for part in dict.fromkeys(_looking(self.tree)))

    def __str__(self) -> str:
        return _text(self.tree)


@dataclass(frozen=True)
class Within:
    """So near to a formula: by a share of its size, or by an amount."""

    of: Formula
    amount: Decimal
    relative: bool

    @property
    def batches(self) -> int:
        """How many earlier batches it asks for."""
        return self.of.batches

    def parts(self) -> tuple[Formula, ...]:
        """The formula it is about."""
        return (self.of,)

    def range(self, past: Sequence[float | None]) -> tuple[float, float]:
        """Its ends. Raises Unreckonable."""
        return around(Decimal(repr(self.of.value(past))), self.amount, relative=self.relative)

    def __str__(self) -> str:
        return f"{_percent(self.amount) if self.relative else _plain(self.amount)} of {self.of}"


def around(centre: Decimal, amount: Decimal, *, relative: bool) -> tuple[float, float]:
    """The ends of what lies within an amount, or a share of the size, of a number."""
    far = amount * abs(centre) if relative else amount
    return float(centre - far), float(centre + far)


def looks_back(text: str) -> bool:
    """Whether a text is meant as a formula rather than a date or a number."""
    return re.search(rf"\blast\b|^\s*(?:{'|'.join(_NAMES)})\s*\(", text) is not None


def parse(text: str) -> Formula:
    """The formula of a text. Raises ValueError with what is wrong and what is allowed."""
    if len(text) > _LONGEST:
        raise ValueError(f"is a formula of more than {_LONGEST} characters")
    reader = _Reader(text)
    tree = reader.sum(0)
    reader.end()
    if not _batches(tree):
        raise ValueError(f"looks at no earlier batch, got '{text}'; such as 0.8 * median(last 7)")
    return Formula(tree)


class _Reader:
    """Reads a formula from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, at = text, list[str](), 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"has '{text[at:].strip()[:1]}', which is not part of a formula, in '{text}'")
            self.tokens.append(found[0].strip())
            at = found.end()
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *allowed: str) -> str:
        token = self.next
        if token not in allowed:
            return ""
        self.at += 1
        return token

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise ValueError(f"needs '{sign}' before {self._here()}")

    def _here(self) -> str:
        return f"'{self.next}' in '{self.text}'" if self.next else f"the end of '{self.text}'"

    def end(self) -> None:
        if self.next:
            raise ValueError(f"has {self._here()}, where a formula would end")

    def sum(self, depth: int) -> Tree:
        tree = self.product(depth)
        while sign := self.take("+", "-"):
            tree = (sign, tree, self.product(depth))
        return tree

    def product(self, depth: int) -> Tree:
        tree = self.factor(depth)
        while sign := self.take("*", "/"):
            tree = (sign, tree, self.factor(depth))
        return tree

    def factor(self, depth: int) -> Tree:
        if depth > _DEEPEST:
            raise ValueError(f"is more than {_DEEPEST} parts deep")
        if self.take("-"):
            return ("neg", self.factor(depth + 1))
        if self.take("("):
            tree = self.sum(depth + 1)
            self.expect(")")
            return tree
        if self.next[:1].isdigit():
            number = self.number()
            return ("*", number, self.factor(depth + 1)) if self.take("of") else number
        return self.call(depth)

    def number(self) -> Tree:
        token = self.next
        if not token[:1].isdigit():
            raise ValueError(f"needs a number before {self._here()}")
        self.at += 1
        return ("%" if self.take("%") else "number", Decimal(token))

    def whole(self, what: str, least: int) -> int:
        token = self.next
        most = MOST_BATCHES - 1 + least
        if not token.isdigit() or not least <= int(token[:9]) <= most:
            raise ValueError(f"needs {what}, from {least} to {most:,}, before {self._here()}")
        self.at += 1
        return int(token)

    def window(self) -> int:
        """The number of batches after `last`."""
        if self.next.isdigit():
            return self.whole("a number of batches", 1)
        if not self.take("("):
            return 1
        count = 1 if self.next == ")" else self.whole("a number of batches", 1)
        self.expect(")")
        return count

    def call(self, depth: int) -> Tree:
        name = self.next
        if name == "last":
            self.at += 1
            count = self.window()
            if count > 1:
                raise ValueError(f"needs one number of 'last {count}', such as median(last {count})")
            return ("index", 1, 0)
        if _SAME.get(name, name) not in (*_NAMES, *_SAME):
            raise ValueError(f"has {self._here()}; functions of earlier batches are {', '.join(_NAMES)}")
        self.at += 1
        self.expect("(")
        tree = self.arguments(_SAME.get(name, name), depth)
        self.expect(")")
        return tree

    def arguments(self, name: str, depth: int) -> Tree:
        if name == "abs":
            return ("abs", self.sum(depth + 1))
        start = self.at
        if self.take("last"):
            count = self.window()
            if self.next in (")", "") and name in FUNCTIONS:
                return (name, count)
            if self.next == "," and name in ("percentile", "index"):
                self.at += 1
                return self.second(name, count)
        if name not in ("min", "max"):
            second = {"percentile": ", 90%", "index": ", 0"}.get(name, "")
            raise ValueError(f"takes {name}(last 7{second}), got '{self.text}'")
        self.at = start
        parts = [self.sum(depth + 1)]
        while self.take(","):
            parts.append(self.sum(depth + 1))
        if len(parts) == 1:
            raise ValueError(f"takes {name}(last 7) or {name} of several numbers, got '{self.text}'")
        return ("least" if name == "min" else "most", *parts)

    def second(self, name: str, count: int) -> Tree:
        if name == "index":
            at = self.whole("how many batches back, 0 for the newest", 0)
            if at >= count:
                raise ValueError(f"looks at place {at} of {count}; 0 is the newest")
            return ("index", count, at)
        share = _value(self.number(), ())
        if not 0 <= share <= 1:
            raise ValueError(f"takes a percentile from 0 to 1 or a percentage, got {share}")
        return ("percentile", count, share)


def _batches(tree: Tree) -> int:
    if tree[0] in FUNCTIONS or tree[0] in ("index", "percentile"):
        return int(tree[1])
    return max((_batches(part) for part in tree[1:] if isinstance(part, tuple)), default=0)


def _looking(tree: Tree) -> list[Tree]:
    if tree[0] in FUNCTIONS or tree[0] in ("index", "percentile"):
        return [tree]
    return [found for part in tree[1:] if isinstance(part, tuple) for found in _looking(part)]


def _value(tree: Tree, past: Sequence[float | None]) -> Decimal:
    kind = tree[0]
    if kind in ("number", "%"):
        return tree[1] / (100 if kind == "%" else 1)  # type: ignore[no-any-return]
    if kind in FUNCTIONS or kind in ("index", "percentile"):
        known = [Decimal(repr(float(value))) for value in past[: tree[1]] if value is not None]
        if kind == "index":
            # a place is a batch, so a batch without a value keeps its place
            there = past[tree[2]] if tree[2] < len(past) else None
            if there is None:
                raise ValueError
            return Decimal(repr(float(there)))
        if not known:
            raise ValueError
        return FUNCTIONS[kind](known) if kind in FUNCTIONS else _percentile(known, tree[2])
    parts = [_value(part, past) for part in tree[1:]]
    if kind in ("abs", "neg"):
        return abs(parts[0]) if kind == "abs" else -parts[0]
    if kind in ("least", "most"):
        return min(parts) if kind == "least" else max(parts)
    left, right = parts
    if kind == "/":
        return left / right
    return {"+": left + right, "-": left - right, "*": left * right}[kind]


def _text(tree: Tree, outer: int = 0) -> str:
    kind = tree[0]
    if kind in ("number", "%"):
        return _plain(tree[1]) + ("%" if kind == "%" else "")
    if kind in FUNCTIONS:
        return f"{kind}(last {tree[1]})"
    if kind == "index":
        return "last" if tree[1:] == (1, 0) else f"index(last {tree[1]}, {tree[2]})"
    if kind == "percentile":
        return f"percentile(last {tree[1]}, {_percent(tree[2])})"
    if kind in ("abs", "least", "most"):
        name = {"least": "min", "most": "max"}.get(kind, "abs")
        return f"{name}({', '.join(map(_text, tree[1:]))})"
    if kind == "neg":
        return f"-{_text(tree[1], 3)}"
    rank = 1 if kind in "+-" else 2
    if kind == "*" and tree[1][0] == "%":
        text = f"{_text(tree[1])} of {_text(tree[2], 3)}"
        return f"({text})" if outer > 2 else text
    text = f"{_text(tree[1], rank)} {kind} {_text(tree[2], rank + 1)}"
    return f"({text})" if rank < outer else text


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent(share: Decimal) -> str:
    return f"{_plain(share * 100)}%"
