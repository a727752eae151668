"""A rule file as a contract of the Open Data Contract Standard, version 3.1 (Bitol).

What the standard has words for is said in them: types, what is required or unique, the primary key, the options of a logical
type, library metrics, and counts of rows in SQL. Any other rule stands there as it is, as a custom rule of the engine `quality`.
The bounds of a value come back as one rule `values`, whichever rules they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from quality.model import Location, Nulls, Severity
from quality.query_text import renamed
from quality.rule_types.completeness import Required
from quality.rule_types.custom import ComplianceBounds, CustomSql, That
from quality.rule_types.formats import FormatRule
from quality.rule_types.relations import ExistsIn
from quality.rule_types.rules import Rule, RuleSet, default_id, default_on_fail
from quality.rule_types.schema import Malformed
from quality.rule_types.statistics import RowCount
from quality.rule_types.uniqueness import Key, Unique
from quality.rule_types.values import (
    Above,
    AtLeast,
    AtMost,
    Below,
    Between,
    ContainsMatch,
    In,
    Length,
    Matches,
    NotIn,
    Type,
    Values,
)
from quality.rulefile.dqdl.entries import references_of
from quality.rulefile.dqdl.losses import Converted, Loss
from quality.rulefile.dqdl.tree import Position
from quality.rulefile.imports.odcs import BOUNDS, COUNTED, ENGINE, FLOATS, FORMATS, INTEGERS, OPERATORS, SHARE
from quality.rulefile.lint import dumped, entry
from quality.rulefile.loader import parsed
from quality.rulefile.ruleforms import slug
from quality.rulefile.templates import is_template

VERSION = "v3.1.0"
_DIMENSIONS = ("accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness")
_STABLE = re.compile(r"[A-Za-z0-9_-]+")
#: Sections of a rule file that are in the rules by now, or in the contract.
_SAID = ("version", "dataset", "description", "columns", "rules", "key", "defaults", "vars")
_LOGICAL = {
    "string": "string", "boolean": "boolean", "date": "date", "timestamp": "timestamp",
    **dict.fromkeys(INTEGERS.values(), "integer"), **dict.fromkeys(FLOATS.values(), "number"),
}  # fmt: skip
_WIDTHS = {kind: word for word, kind in (*INTEGERS.items(), *FLOATS.items())}
_BOUND_OPTIONS = {word: option for option, word in BOUNDS.items()}
_OPERATOR_OF = {word: operator for operator, word in OPERATORS.items()}
_SEARCHED = "a pattern of theirs is searched for; it is anchored to match the whole value, and is of Java's dialect"


def to_odcs(rules: RuleSet) -> Converted:
    """The contract, and what is not in it or only as a custom rule."""
    return _Writing(rules).whole()


class _Writing:
    def __init__(self, rules: RuleSet) -> None:
        self.rules, self.losses = rules, list[Loss]()
        self.properties: dict[str, dict[str, Any]] = {}
        self.quality: list[dict[str, Any]] = []
        self.relationships: list[dict[str, Any]] = []
        self.has_key = False
        for name, _ in rules.columns:
            self.property(name)

    def lose(self, at: Location, what: str, why: str, *, kept: bool = False) -> None:
        self.losses.append(Loss(at.file, Position(at.line, 1), what, why, kept))

    def property(self, name: str) -> dict[str, Any]:
        return self.properties.setdefault(name.lower(), {"name": name})

    def whole(self) -> Converted:
        demands = [rule for rule in self.rules.rules if not isinstance(rule.check, Malformed)]
        self.sections()
        # options go by the type, wherever that stands
        kept = 0
        for rule in sorted(demands, key=lambda rule: not isinstance(rule.check, Type)):
            if isinstance(rule.check, ExistsIn) and _is_plain(rule) and self.as_relationship(rule, rule.check):
                kept += 1
                continue
            if any(references_of(entry(rule))):
                self.lose(
                    rule.location,
                    f"rule '{rule.id}'",
                    "it asks another data set, and a contract does not say where that lies",
                )
                continue
            kept += 1
            if _waits(entry(rule)) or not (_is_plain(rule) and self.as_property(rule)):
                self.as_quality(rule)
            if rule.examples:
                self.lose(rule.location, f"rule '{rule.id}'", "a contract has no place for its examples", kept=True)
        described = {"description": self.rules.description} if self.rules.description else {}
        table: dict[str, Any] = {"name": self.rules.dataset, **described}
        table |= {"properties": list(self.properties.values())} if self.properties else {}
        table |= {"relationships": self.relationships} if self.relationships else {}
        table |= {"quality": self.quality} if self.quality else {}
        contract = {
            "apiVersion": VERSION, "kind": "DataContract", "id": self.rules.dataset, "version": "1.0.0", "status": "draft",
            "schema": [table],
        }  # fmt: skip
        losses = tuple(sorted(self.losses, key=lambda loss: loss.position))
        return Converted(dumped(contract), losses, kept, len(demands))

    def as_relationship(self, rule: Rule, check: ExistsIn) -> bool:
        """A foreign key; False where a name is none that it can point at."""
        theirs = [f"{check.reference}.{name}" for name in check.reference_columns or check.columns_]
        if not all(re.fullmatch(r"[\w-]+\.[\w-]+", name) for name in theirs) or not all(
            re.fullmatch(r"[\w-]+", name) for name in check.columns_
        ):
            return False
        if len(theirs) == 1:
            self.property(check.columns_[0]).setdefault("relationships", []).append({"to": theirs[0]})
        else:
            ours = [f"{self.rules.dataset}.{name}" for name in check.columns_]
            self.relationships.append({"type": "foreignKey", "from": ours, "to": theirs})
        why = "a contract does not say where the other data set lies, nor which of its rows are meant"
        self.lose(rule.location, f"rule '{rule.id}'", why, kept=True)
        return True

    def sections(self) -> None:
        """What a rule file says besides its rules."""
        top = Location(self.rules.file, 1)
        self.lose(
            top,
            "'id', 'version' and 'status'",
            "no rule file says them: the data set, 1.0.0 and draft stand there",
            kept=True,
        )
        tree = parsed(self.rules.file)
        for word, node in tree.mapping.items():
            if word not in _SAID:
                place = Location(self.rules.file, tree.key_lines.get(word, node.line))
                self.lose(place, f"'{word}'", "a contract has no place for it")
        for name in self.rules.sensitive.to_dict():
            self.lose(top, f"'sensitive' of column '{name}'", "a contract has no place for it")

    # what a property says

    def as_property(self, rule: Rule) -> bool:
        """Say a rule without modifiers by a property. False when it has no word for it."""
        check = rule.check
        if isinstance(check, Type):
            return self.type(check)
        if isinstance(check, Required):
            return _set(self.property(check.column), {"required": True})
        if isinstance(check, Unique) and len(check.columns()) == 1:
            return _set(self.property(check.columns()[0]), {"unique": True})
        if isinstance(check, Key) and not self.has_key:
            self.has_key = True
            for place, name in enumerate(check.columns(), 1):
                _set(self.property(name), {"primaryKey": True, "primaryKeyPosition": place})
            return True
        options = _options(check)
        if not options:
            return False
        own = self.property(check.columns()[0])
        fits = _FITTING[next(iter(options))]
        if own.get("logicalType") not in fits or not all(_comparable(own["logicalType"], v) for v in options.values()):
            return False
        return _set(own.setdefault("logicalTypeOptions", {}), options) or _tidy(own)

    def type(self, check: Type) -> bool:
        own, kind = self.property(check.column), check.is_
        if kind.startswith("decimal"):
            return _set(own, {"logicalType": "number", "physicalType": kind})
        if kind not in _LOGICAL:
            return False
        # without a width a number is a double or a bigint
        width = (
            {}
            if kind in ("double", "bigint") or kind not in _WIDTHS
            else {"logicalTypeOptions": {"format": _WIDTHS[kind]}}
        )
        return _set(own, {"logicalType": _LOGICAL[kind], **width})

    # what an entry of `quality` says

    def as_quality(self, rule: Rule) -> None:
        own = _library(rule) if _sayable(rule) else None
        if own is None:
            words = _words(rule)
            named: dict[str, Any] = {word: words.pop(word) for word in ("name", "description") if word in words}
            if words["id"] in (default_id(rule.check), slug(rule.name)):
                del words["id"]
            severity = words.pop("severity", None)
            named |= {"severity": severity} if severity else {}
            self.quality.append({**named, "type": "custom", "engine": ENGINE, "implementation": words})
            self.lose(rule.location, f"rule '{rule.id}'", "as a custom rule, which no other engine runs", kept=True)
            return
        if isinstance(rule.check, Matches):
            self.lose(rule.location, f"rule '{rule.id}'", _SEARCHED, kept=True)
        column = rule.check.columns()[0] if len(rule.check.columns()) == 1 else ""
        place = self.property(column).setdefault("quality", []) if column else self.quality
        place.append({**_about(rule), **own})


def _tidy(own: dict[str, Any]) -> bool:
    """Take away options that were not set. False: it could not be said."""
    if not own["logicalTypeOptions"]:
        del own["logicalTypeOptions"]
    return False


def _set(own: dict[str, Any], words: Mapping[str, Any]) -> bool:
    """Say what is not said yet; False when something of it is."""
    if own.keys() & words.keys():
        return False
    own.update(words)
    return True


def _words(rule: Rule) -> dict[str, Any]:
    """The rule as it stands in a rule file, without what goes without saying."""
    words = entry(rule)
    if rule.on_fail == default_on_fail(rule.check, rule.severity):
        words.pop("on_fail", None)
    if rule.severity == Severity.ERROR:
        words.pop("severity", None)
    return words


def _is_plain(rule: Rule) -> bool:
    """Whether it has no modifier, and the id that it has by itself."""
    words, own = _words(rule), {"id", rule.check.type}
    return words.keys() <= own and words["id"] == default_id(rule.check) and not rule.over


def _options(check: Any) -> dict[str, Any]:
    """The options of a logical type that say what a rule does."""
    if isinstance(check, Length) and set(dict(check.bounds.terms)) <= {"at_least", "at_most"}:
        return {{"at_least": "minLength", "at_most": "maxLength"}[word]: value for word, value in check.bounds.terms}
    if isinstance(check, Values) and not check.bounds.past and set(dict(check.bounds.terms)) <= set(_BOUND_OPTIONS):
        return {_BOUND_OPTIONS[word]: value for word, value in check.bounds.terms}
    if isinstance(check, Between):
        return {"minimum": check.range[0], "maximum": check.range[1]}
    if isinstance(check, (Above, AtLeast, AtMost, Below)):
        return {_BOUND_OPTIONS[check.type]: check.value}
    if isinstance(check, ContainsMatch):
        return {"pattern": check.pattern}
    names = {ours: theirs for theirs, ours in FORMATS.items()}
    return {"format": names[check.is_]} if isinstance(check, FormatRule) and check.is_ in names else {}


_FITTING = {
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format"), ("string",)),
    **dict.fromkeys(BOUNDS, ("number", "integer", "date", "timestamp")),
}


def _comparable(kind: str, value: Any) -> bool:
    if kind == "string":
        return True
    is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return is_number if kind in ("number", "integer") else isinstance(value, str) and not is_template(value)


def _sayable(rule: Rule) -> bool:
    """Whether the words that stand beside a metric say all that stands beside a rule."""
    own = rule.id == default_id(rule.check) or rule.id == slug(rule.name) or _STABLE.fullmatch(rule.id) is not None
    metadata = set(rule.metadata) <= {"description", "tags", "dimension"}
    dimension = rule.metadata.get("dimension", _DIMENSIONS[0]) in _DIMENSIONS
    usual = (
        rule.on_fail == default_on_fail(rule.check, rule.severity) and not rule.nan_passes and rule.min_history is None
    )
    both = bool(rule.tolerance.ratio) and bool(rule.tolerance.rows)
    return (
        own
        and metadata
        and dimension
        and usual
        and not (both or rule.where or rule.group_by or rule.over or _waits(entry(rule)))
    )


def _waits(value: Any) -> bool:
    """Whether there is a template in it that depends on the batch."""
    if isinstance(value, dict):
        return any(map(_waits, value.values()))
    return any(map(_waits, value)) if isinstance(value, list) else isinstance(value, str) and is_template(value)


def _about(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rule.id not in (default_id(rule.check), slug(rule.name)):
        found["id"] = rule.id
    found |= {"name": rule.name} if rule.name else {}
    found |= {word: rule.metadata[word] for word in ("description", "tags", "dimension") if word in rule.metadata}
    found |= {"severity": str(rule.severity.value)} if rule.severity != Severity.ERROR else {}
    return found


def _most(rule: Rule) -> dict[str, Any]:
    """How many rows may fail."""
    if rule.tolerance.ratio:
        share = Decimal(repr(rule.tolerance.ratio)) * 100
        return {"mustBeLessOrEqualTo": int(share) if share == int(share) else share.normalize(), "unit": "percent"}
    return {"mustBeLessOrEqualTo": rule.tolerance.rows} if rule.tolerance.rows else {"mustBe": 0}


def _query(check: CustomSql | ComplianceBounds) -> dict[str, Any] | None:
    """A query that gives a number within bounds that the standard has a word for. One that counts rows with a condition would come
    back as a rule about these."""
    terms = dict(check.bounds.terms)
    if check.bounds.past or not all(_comparable("number", v) for v in terms.values()):
        return None
    if isinstance(check, ComplianceBounds):
        query = {"type": "sql", "query": SHARE.format(check.that, "{object}")}
    elif COUNTED.fullmatch(check.query):
        return None
    else:
        query = {"type": "sql", "query": renamed(check.query, lambda _: "{object}")}
    if terms.keys() == {"above", "below"}:
        return {**query, "mustBeBetween": [terms["above"], terms["below"]]}
    return {**query, **{_OPERATOR_OF[word]: value for word, value in terms.items()}} if len(terms) == 1 else None


def _library(rule: Rule) -> dict[str, Any] | None:
    """The metric, or the query, that says what a rule does."""
    check, passes = rule.check, rule.nulls == Nulls.PASS
    if isinstance(check, Required):
        return {"metric": "nullValues", **_most(rule)}
    if isinstance(check, Unique) and not rule.tolerance:
        several = {"arguments": {"properties": list(check.columns())}} if len(check.columns()) > 1 else {}
        return {"metric": "duplicateValues", **several, "mustBe": 0}
    if isinstance(check, In) and passes:
        return {"metric": "invalidValues", "arguments": {"validValues": list(check.values)}, **_most(rule)}
    if isinstance(check, NotIn) and rule.nulls == Nulls.FAIL:
        return {"metric": "missingValues", "arguments": {"missingValues": [None, *check.values]}, **_most(rule)}
    if isinstance(check, (ContainsMatch, Matches)) and passes:
        pattern = check.pattern if isinstance(check, ContainsMatch) else f"^(?:{check.pattern})$"
        return {"metric": "invalidValues", "arguments": {"pattern": pattern}, **_most(rule)}
    if isinstance(check, RowCount) and not check.bounds.past and len(check.bounds.terms) == 1:
        ((word, value),) = check.bounds.terms
        return {"metric": "rowCount", _OPERATOR_OF[word]: value} if _comparable("number", value) else None
    if isinstance(check, ComplianceBounds) and not is_template(check.that):
        return _query(check)
    if isinstance(check, CustomSql) and not is_template(check.query):
        return _query(check)
    if isinstance(check, RowCount) and not check.bounds.past and {*dict(check.bounds.terms)} == {"above", "below"}:
        ends = [dict(check.bounds.terms)[word] for word in ("above", "below")]
        return (
            {"metric": "rowCount", "mustBeBetween": ends} if all(_comparable("number", end) for end in ends) else None
        )
    if isinstance(check, That) and passes and not rule.tolerance.ratio and not is_template(check.expression):
        return {
            "type": "sql",
            "query": f"SELECT COUNT(*) FROM {{object}} WHERE NOT ({check.expression})",
            **_most(rule),
        }
    return None
