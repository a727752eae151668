"""From a rule set to a DQDL document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from quality.model import Bounds, Location, Severity
from quality.rule_types.rules import Rule as OurRule
from quality.rule_types.rules import RuleSet, batches_asked, default_on_fail
from quality.rule_types.schema import Malformed
from quality.rule_types.verdicts import Term, Verdict
from quality.rulefile.dqdl import printer, sections
from quality.rulefile.dqdl.denied import joined, turned
from quality.rulefile.dqdl.losses import Converted, Loss, Lost
from quality.rulefile.dqdl.rules_of_dqdl import Theirs, export, templates_of
from quality.rulefile.dqdl.signatures import ANALYZERS, MAX_LABEL_KEY, MAX_LABEL_VALUE, MAX_LABELS
from quality.rulefile.dqdl.tree import Composite, Document, Entry, Label, Position, Rule


def to_dqdl(rules: RuleSet) -> Converted:
    """The document and what is not in it: everything that is no demand on the data, and what DQDL cannot demand."""
    return _Writing(rules).whole()


class _Writing:
    def __init__(self, rules: RuleSet) -> None:
        self.rules, self.losses = rules, list[Loss]()

    def lose(self, at: Location, what: str, why: str, *, kept: bool = False) -> None:
        self.losses.append(Loss(at.file, Position(at.line, 1), what, why, kept))

    def whole(self) -> Converted:
        self.lose(Location(self.rules.file, 1), "'input'", "DQDL is told by its job where the data is")
        written = [rule for rule in self.rules.rules if not isinstance(rule.check, Malformed)]
        named = {id for rule in written if isinstance(rule.check, Verdict) for id in rule.check.named()}
        # what only a verdict asks for stands in its composite
        silent = {rule.id for rule in written if rule.id in named and rule.severity == Severity.INFO}
        asked = [rule for rule in written if rule.id not in silent and not _recorded(rule)]
        made = [converted for rule in asked if (converted := self.rule(rule)) is not None]
        measured = [found for rule in written if _recorded(rule) and (found := self.analyzer(rule)) is not None]
        lost = len(asked) - len(made) + sum(map(_recorded, written)) - len(measured)
        head = {"Description": self.rules.description, "Owner": self.rules.owner}
        head["observations.scope"] = self.anomalies(made)
        metadata = tuple(Entry(key, text) for key, text in head.items() if text)
        measured += [sections.PROFILE] if self.rules.profile and self.rules.anomalies is None else []
        for word in sections.placeless(self.rules):
            self.lose(Location(self.rules.file, 1), f"'{word}'", "DQDL has no place for it")
        for rule in self.rules.rules:
            if isinstance(rule.check, Malformed):
                self.lose(rule.location, f"rule '{rule.id}'", "DQDL sees a line only once it is read")
        text = printer.format(Document(metadata=metadata, rules=tuple(made), analyzers=tuple(measured) or None))
        carried = sum(rule.id not in silent for rule in written) - lost
        total = len(written) - len(silent)
        return Converted(text, tuple(sorted(self.losses, key=lambda loss: loss.position)), carried, total)

    def anomalies(self, made: list[Theirs]) -> str:
        """Adds the rules that look for anomalies; 'ALL' where those of all metrics are told, and fail nothing."""
        settings = self.rules.anomalies
        if settings is None:
            return ""
        for name in settings.metrics:
            try:
                found = sections.detected(name, self.rules)
                made += [] if found in made else [found]
            except Lost as error:
                self.lose(settings.location, f"anomalies of {name}", str(error))
        if unsaid := ", ".join(sections.unsaid(settings)):
            self.lose(settings.location, "'anomalies'", f"DQDL has no place for: {unsaid}", kept=True)
        if not settings.metrics and settings.severity == Severity.ERROR:
            self.lose(settings.location, "'anomalies'", "DQDL names each metric of which an anomaly fails the batch")
        return "ALL" if not settings.metrics and settings.severity != Severity.ERROR else ""

    def analyzer(self, rule: OurRule) -> Rule | None:
        """The analyzer that measures what a rule records."""
        try:
            return _analyzer(rule, self.rules)
        except (Lost, ValueError) as error:
            self.lose(rule.location, f"rule '{rule.id}'", str(error))
            return None

    def rule(self, rule: OurRule) -> Theirs | None:
        """The rule of DQDL; several that must all hold become one."""
        try:
            made = self.exported(rule)
            labels = self.labels(rule)
            whole: Theirs = Composite("and", tuple(made), labels) if len(made) > 1 else replace(made[0], labels=labels)
            printer.format_rule(whole)
        except (Lost, ValueError) as error:
            self.lose(rule.location, f"rule '{rule.id}'", str(error))
            return None
        if batches_asked(rule.check) and rule.min_history != 0:
            why = "it waits for its history here, and Glue takes 0 for what is not there"
            self.lose(rule.location, f"rule '{rule.id}'", why, kept=True)
        unsaid = ", ".join(_unsaid(rule))
        if unsaid:
            self.lose(rule.location, f"rule '{rule.id}'", f"DQDL has no place for: {unsaid}", kept=True)
        return whole

    def exported(self, rule: OurRule) -> list[Theirs]:
        """The rules of DQDL; of a verdict one composite. Raises Lost."""
        if not isinstance(rule.check, Verdict):
            return export(rule, self.rules)
        return [self.composite(rule.check.term, {one.id: one for one in self.rules.rules})]

    def composite(self, term: Term, rules: Mapping[str, OurRule]) -> Theirs:
        """A term of a verdict. Raises Lost."""
        if isinstance(term, str):
            if term not in rules:
                raise Lost(f"'{term}' is a rule that only the batch tells")
            made = self.exported(rules[term])
            return made[0] if len(made) == 1 else Composite("and", tuple(made))
        word, terms = term
        if word == "not":
            return joined("and", [self.denied(part, rules) for part in terms])
        return joined({"all": "and", "any": "or"}[word], [self.composite(part, rules) for part in terms])

    def denied(self, term: Term, rules: Mapping[str, OurRule]) -> Theirs:
        """What holds when a term of a verdict does not: DQDL has no word for it, and shares of rows have other bounds. Raises Lost."""
        if isinstance(term, str):
            return turned(self.composite(term, rules))
        word, terms = term
        if word == "not":
            return joined("or", [self.composite(part, rules) for part in terms])
        return joined("or" if word == "all" else "and", [self.denied(part, rules) for part in terms])

    def labels(self, rule: OurRule) -> tuple[Label, ...]:
        """The labels that DQDL takes."""
        found: Mapping[str, str] = rule.metadata.get("labels", {})
        fit = {k: v for k, v in found.items() if 1 <= len(k) <= MAX_LABEL_KEY and len(v) <= MAX_LABEL_VALUE}
        kept = dict(list(fit.items())[:MAX_LABELS])
        for key in found:
            if key not in kept:
                limits = f"{MAX_LABELS} labels, keys of 1 to {MAX_LABEL_KEY} and values of up to {MAX_LABEL_VALUE} characters"
                self.lose(rule.location, f"label '{key[:40]}' of rule '{rule.id}'", f"DQDL takes {limits}")
        return tuple(Label(key, value) for key, value in kept.items())


def _recorded(rule: OurRule) -> bool:
    bounds = getattr(rule.check, "bounds", None)
    return isinstance(bounds, Bounds) and bounds.recorded


def _analyzer(rule: OurRule, rules: RuleSet) -> Rule:
    """The rule with some bound, less the bound. Raises Lost."""
    if rule.where:
        raise Lost("an analyzer of DQDL has no filter")
    bounded = replace(rule.check, bounds=Bounds((("at_least", 0),)))  # type: ignore[type-var]
    (made,) = export(replace(rule, check=bounded), rules)
    if not isinstance(made, Rule) or made.type not in ANALYZERS:
        raise Lost(f"DQDL has no analyzer like '{rule.check.type}'")
    return replace(made, condition=None)


def _unsaid(rule: OurRule) -> Iterator[str]:
    """What of a rule that carries over DQDL cannot say."""
    if rule.name:
        yield "name"
    if rule.severity != Severity.ERROR:
        yield f"severity {rule.severity}"
    if rule.on_fail != default_on_fail(rule.check, rule.severity):
        yield f"on_fail {rule.on_fail}"
    if rule.nan_passes:
        yield "nan pass"
    if next(templates_of(rule.canonical), ""):
        yield "templates, which stand there as they rendered now"
    yield from (word for word in rule.metadata if word != "labels")
