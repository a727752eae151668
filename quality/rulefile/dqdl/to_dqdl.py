"""From a rule set to a DQDL document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from quality.model import Location, Severity
from quality.rule_types.rules import Rule as OurRule
from quality.rule_types.rules import RuleSet, default_on_fail
from quality.rule_types.schema import Malformed
from quality.rulefile.dqdl import printer
from quality.rulefile.dqdl.losses import Converted, Loss, Lost
from quality.rulefile.dqdl.rules_of_dqdl import Theirs, export, templates_of
from quality.rulefile.dqdl.signatures import MAX_LABEL_KEY, MAX_LABEL_VALUE, MAX_LABELS
from quality.rulefile.dqdl.tree import Composite, Document, Entry, Label, Position


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
        made = [converted for rule in written if (converted := self.rule(rule)) is not None]
        head = {"Description": self.rules.description, "Owner": self.rules.owner}
        metadata = tuple(Entry(key, text) for key, text in head.items() if text)
        for rule in self.rules.rules:
            if isinstance(rule.check, Malformed):
                self.lose(rule.location, f"rule '{rule.id}'", "DQDL sees a line only once it is read")
        text = printer.format(Document(metadata=metadata, rules=tuple(made)))
        return Converted(text, tuple(sorted(self.losses, key=lambda loss: loss.position)), len(made), len(written))

    def rule(self, rule: OurRule) -> Theirs | None:
        """The rule of DQDL; several that must all hold become one."""
        try:
            made = export(rule, self.rules)
            labels = self.labels(rule)
            whole: Theirs = Composite("and", tuple(made), labels) if len(made) > 1 else replace(made[0], labels=labels)
            printer.format_rule(whole)
        except (Lost, ValueError) as error:
            self.lose(rule.location, f"rule '{rule.id}'", str(error))
            return None
        unsaid = ", ".join(_unsaid(rule))
        if unsaid:
            self.lose(rule.location, f"rule '{rule.id}'", f"DQDL has no place for: {unsaid}", kept=True)
        return whole

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
