"""Rules about rows that DQDL has no type for, as what is true for a row that complies: a query can ask for that.

A predicate may depend on the types of its columns, which a rule file need not say. Then it carries over where they are declared, and
else only where it is the same for all types it can have.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from quality import sql
from quality.errors import RuleDataError
from quality.model import Column, Nulls
from quality.rule_types.base import KeyRule, Row, RowRule, RuleType
from quality.rule_types.rules import Rule, RuleSet
from quality.rulefile.dqdl.losses import Lost

#: One type of each kind that predicates tell apart.
_KINDS = ("string", "double", "bigint", "decimal(20,4)", "boolean", "date", "timestamp", "array<string>")
#: Columns whose types are tried together.
_MOST = 3
_DEPENDS = "what '{}' asks depends on the types of its columns, which 'columns:' does not say"


def test_of(rule: Rule, rules: RuleSet) -> str:
    """SQL, never NULL, that is true for a row that complies, rows out of scope aside. Raises Lost."""
    check = rule.check
    assert isinstance(check, RowRule)
    if isinstance(check, KeyRule) or not check.by_row or check.questions():
        raise Lost(f"DQDL has nothing like '{check.type}'")
    if rule.nan_passes and check.nan_columns():
        raise Lost("DQDL has no NaN that passes")
    # a time that is written stays what it is
    if "as_of" not in rule.canonical and any(hasattr(one, "as_of") for one in _leaves(check)):
        raise Lost("it depends on the time of the run")
    names = tuple(dict.fromkeys(check.columns()))
    declared = rules.declared_types
    known = [declared.get(name.lower(), "") for name in names]
    if known.count("") > _MOST:
        raise Lost(_DEPENDS.format(check.type))
    kinds = itertools.product(*([kind] if kind else _KINDS for kind in known))
    tests = [test for types in kinds if (test := _test(rule, check, names, types)) is not None]
    # of a text the text is the value
    casts = {f"cast({sql.quote(name)} as string)": sql.quote(name) for name in names}
    found = {_replaced(test, casts): test for test in sorted(tests, key=len)}
    if not found:
        raise Lost(f"'{check.type}' fits no type that its columns are declared with")
    if len(found) > 1:
        raise Lost(_DEPENDS.format(check.type))
    return found.popitem()[1]


def _leaves(check: RuleType) -> list[RuleType]:
    parts = getattr(check, "parts", ())
    return [leaf for part in parts for leaf in _leaves(part)] if parts else [check]


def _replaced(test: str, casts: Mapping[str, str]) -> str:
    for cast, plain in casts.items():
        test = test.replace(cast, plain)
    return test


def _test(rule: Rule, check: RowRule, names: tuple[str, ...], types: tuple[str, ...]) -> str | None:
    """The test for columns of these types; None where it does not fit them."""
    row = Row(tuple(Column(name, kind) for name, kind in zip(names, types, strict=True)), scope=rule.where)
    try:
        predicate, nulls = check.held(row, rule.where), check.null_references(row)
    except RuleDataError:
        return None
    if check.is_free:
        return f"coalesce(({predicate}), {'true' if rule.nulls == Nulls.PASS else 'false'})"
    missing, sure = " or ".join(f"{ref} is null" for ref in nulls), f"coalesce(({predicate}), false)"
    if not missing:
        return sure
    return f"not ({missing}) and {sure}" if rule.nulls == Nulls.FAIL else f"({missing}) or {sure}"
