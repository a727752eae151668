"""How a schema may change from one published batch to the next."""

from __future__ import annotations

import re
from dataclasses import dataclass

from quality.analyzers import base_type
from quality.model import Column
from quality.rule_types.args import arg, choice
from quality.rule_types.base import SchemaRule

_POLICY = choice("allow", "fail")
#: Digits before the point that a whole number may have.
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}


@dataclass(frozen=True)
class SchemaChange(SchemaRule):
    """The columns are those of the published batch before this one (by batch time), but for the changes that are allowed:
    as it stands, new columns. `not_applicable` for the first batch. In text formats a column that no type is declared for
    keeps the type of the batch before."""

    added: str = arg(_POLICY, "a column is new", "allow")
    removed: str = arg(_POLICY, "a column is gone", "fail")
    types: str = arg(
        choice("allow", "widen", "fail"),
        "a column has another type; `widen` allows one that holds every value of the former (int to bigint)",
        "fail",
    )
    order: str = arg(_POLICY, "the columns of both are in another order", "allow")

    type = "schema_change"
    from_past = True
    example = "schema_change: {added: allow, removed: fail, types: widen}"

    def requirement(self) -> str:
        """What fails."""
        policies = {"added": self.added, "removed": self.removed, "types": self.types, "order": self.order}
        words = {"added": "new columns", "removed": "columns gone", "types": "other types", "order": "another order"}
        refused = [
            words[name] + (" but wider ones" if policy == "widen" else "")
            for name, policy in policies.items()
            if policy != "allow"
        ]
        return f"no {', '.join(refused)} against the batch before" if refused else "any change is allowed"

    def differences(self, actual: tuple[Column, ...], declared: tuple[tuple[str, str], ...]) -> list[str]:
        """One sentence for each change that is not allowed. `declared` are the columns of the batch before; names compare
        without case."""
        before = {name.lower(): (name, kind) for name, kind in declared}
        now = {column.name.lower(): column for column in actual}
        found: list[str] = []
        if self.removed == "fail":
            found += [f"column '{name}' is gone" for key, (name, _) in before.items() if key not in now]
        if self.added == "fail":
            found += [f"column '{column.name}' is new" for key, column in now.items() if key not in before]
        for key, (_, kind) in before.items():
            if key in now and not self._allows(kind, now[key].type):
                found.append(f"column '{now[key].name}' is {now[key].type}, was {kind}")
        if self.order == "fail" and [k for k in now if k in before] != [k for k in before if k in now]:
            found.append("the columns are in another order")
        return found

    def _allows(self, old: str, new: str) -> bool:
        return old == new or self.types == "allow" or (self.types == "widen" and wider(old, new))


def wider(old: str, new: str) -> bool:
    """Whether a type holds every value of another exactly."""
    if old in _DIGITS and new in _DIGITS:
        return _DIGITS[old] <= _DIGITS[new]
    if old == "float" or old in ("tinyint", "smallint", "int"):
        # 2^24 and 2^53 are the last whole numbers without gaps
        if new == "double" or (new == "float" and old in ("tinyint", "smallint")):
            return True
        if old == "float":
            return False
    if new in _DIGITS and base_type(old) == "decimal":
        digits, scale = _decimal(old)
        return scale == 0 and digits < _DIGITS[new]
    if base_type(new) != "decimal":
        return False
    digits, scale = _decimal(new)
    if old in _DIGITS:
        return digits - scale >= _DIGITS[old]
    if base_type(old) != "decimal":
        return False
    old_digits, old_scale = _decimal(old)
    return scale >= old_scale and digits - scale >= old_digits - old_scale


def _decimal(kind: str) -> tuple[int, int]:
    digits, scale = re.findall(r"[0-9]+", kind)
    return int(digits), int(scale)
