"""What a rule may say: whether type, parameters, condition and tags go together. Variables have their values here."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable, Sequence

from quality.errors import did_you_mean
from quality.rule_types.args import parse_regex
from quality.rulefile.dqdl.kinds import KindError, kind, unreduced, uses_history
from quality.rulefile.dqdl.signatures import (
    ANALYZERS,
    ANOMALY_METRICS,
    DATA_TYPES,
    FILTERS,
    HASHES,
    JOBS,
    KEYWORDS,
    MAX_LABEL_KEY,
    MAX_LABEL_VALUE,
    MAX_LABELS,
    TAGS,
    TYPES,
    Signature,
)
from quality.rulefile.dqdl.tree import (
    Between,
    Comparison,
    Composite,
    Condition,
    Constant,
    Expression,
    Label,
    Matches,
    Membership,
    Number,
    Parameter,
    Position,
    Rule,
    Tag,
    Text,
    Variable,
    Word,
)

Tell = Callable[[Position, str], None]

SIGNS = ("=", "!=", ">", ">=", "<", "<=")
_MISTAKEN_SIGNS = {"==": "=", "<>": "!=", "=<": "<=", "=>": ">=", "!": "!=", "=!": "!="}
_DECIMAL = re.compile(r"DECIMAL\(\s*([0-9]+)\s*(?:,\s*([0-9]+)\s*)?\)", re.IGNORECASE)
#: Which kinds of operands an operand of a signature can be.
_KINDS = {
    "number": ("number", "constant"),
    "value": ("number", "text", "date", "time", "constant"),
    "type": ("text",),
    "hash": ("text",),
    "duration": ("duration",),
    "moment": ("date", "time", "constant"),
    "size": ("size",),
}
_EXAMPLES = {
    "number": "'>= 1'", "value": "'in [\"a\", \"b\"]'", "type": "'= \"Integer\"'", "hash": "'in [\"...\"]'",
    "duration": "'<= 24 hours'", "moment": "'> (now() - 24 hours)'", "size": "'< 10 MB'",
}  # fmt: skip


def check_rule(rule: Rule | Composite, tell: Tell) -> None:
    """Tell what is wrong with a rule, or with the parts of a composite."""
    if isinstance(rule, Composite):
        for part in rule.rules:
            check_rule(part, tell)
        return
    signature = TYPES.get(rule.type)
    if signature is None:
        hint = "it is an analyzer" if rule.type in ANALYZERS else did_you_mean(rule.type, TYPES, "rule types")
        hint = "it is about a job of AWS, and rules are about its data" if rule.type in JOBS else hint
        tell(rule.at, f"'{rule.type}' is not a rule type; {hint}")
        return
    _Check(rule, signature, tell).whole()


def check_analyzer(rule: Rule | Composite, tell: Tell) -> None:
    """Tell what is wrong with an analyzer: it measures, so there is nothing to compare with."""
    if isinstance(rule, Composite):
        tell(rule.at, "analyzers cannot be joined; write one after the other")
        return
    signature = ANALYZERS.get(rule.type)
    if signature is None:
        hint = "it is a rule type" if rule.type in TYPES else did_you_mean(rule.type, ANALYZERS, "analyzers")
        tell(rule.at, f"'{rule.type}' is not an analyzer; {hint}")
        return
    clauses = {"condition": rule.condition, "'where'": rule.where, "labels": rule.labels}
    for what, found in clauses.items():
        if found:
            tell(rule.at, f"'{rule.type}' is an analyzer here, and an analyzer has no {what.strip()}")
    check = _Check(rule, signature, tell)
    check.parameters()
    check.tags()


def merged(defaults: Sequence[Label], own: Sequence[Label]) -> tuple[Label, ...]:
    """The labels of a rule: its own take the place of default ones of the same key."""
    keys = {label.key for label in own}
    return (*(label for label in defaults if label.key not in keys), *own)


def check_labels(labels: Sequence[Label], where: str, tell: Tell, own: Rule | Composite | None = None) -> None:
    """Tell what is wrong with labels: with the default ones, or with all that reach a rule."""
    place = where or "labels"
    judged = labels if own is None else own.labels
    for label in judged:
        if not 1 <= len(label.key) <= MAX_LABEL_KEY:
            tell(
                label.at, f"{place}: a key has 1 to {MAX_LABEL_KEY} characters, '{label.key[:20]}' has {len(label.key)}"
            )
        if len(label.value) > MAX_LABEL_VALUE:
            tell(label.at, f"{place}: a value has at most {MAX_LABEL_VALUE} characters, that of '{label.key}' has more")
        if [other.key for other in judged].index(label.key) < judged.index(label):
            tell(label.at, f"{place}: the key '{label.key}' stands twice")
    if judged and len(labels) > MAX_LABELS:
        tell(judged[0].at, f"{place}: a rule has at most {MAX_LABELS} labels, default ones included; got {len(labels)}")
    for part in own.rules if isinstance(own, Composite) else ():
        check_labels(part.labels, where, tell, part)


class _Check:
    def __init__(self, rule: Rule, signature: Signature, tell: Tell) -> None:
        self.rule, self.signature, self._tell = rule, signature, tell

    def tell(self, at: Position, message: str) -> None:
        self._tell(at, f"'{self.rule.type}' {message}")

    def whole(self) -> None:
        self.parameters()
        if not self.misspelt():
            self.condition()
        if self.rule.where is not None and not self.signature.where:
            self.tell(self.rule.at, "takes no 'where'")
        self.tags()

    def misspelt(self) -> bool:
        """Whether a keyword stands among the parameters, written wrongly: the rest of the rule is then told by it."""
        return any(map(self.meant, self.rule.parameters))

    def meant(self, parameter: Parameter) -> str:
        """What a parameter without quotes is that was meant for a keyword; empty for a name."""
        word = parameter.value.lower() if parameter.form == "bare" else ""
        is_rule = parameter.value in TYPES and self.rule.type != "DetectAnomalies"
        if word == "or" or (word and is_rule):
            return f"has '{parameter.value}' in it: rules that are joined stand in brackets, '({self.rule.type} ...) or (...)'"
        if word in KEYWORDS:
            return f"has '{parameter.value}' in it, which is written '{word}'"
        most, names = self.signature.most, self.rule.parameters
        near = (
            difflib.get_close_matches(word, KEYWORDS, n=1, cutoff=0.8) if most is not None and len(names) > most else []
        )
        return f"has '{parameter.value}' in it; did you mean '{near[0]}'?" if near else ""

    def parameters(self) -> None:
        found, least, most = self.rule.parameters, self.signature.least, self.signature.most
        for parameter in found:
            if not parameter.value:
                self.tell(parameter.at, "has an empty parameter")
            if meant := self.meant(parameter):
                self.tell(parameter.at, meant)
                return
        if self.rule.type == "DetectAnomalies" and found:
            self.anomaly()
        elif len(found) < least or (most is not None and len(found) > most):
            count = str(least) if least == most else f"{least} to {most}" if most is not None else f"at least {least}"
            what = f": {self.signature.what}" if self.signature.what else ""
            self.tell(
                self.rule.at,
                f"takes {count} {'parameter' if count.endswith('1') else 'parameters'}{what}; got {len(found)}",
            )

    def anomaly(self) -> None:
        metric, columns = self.rule.parameters[0].value, self.rule.parameters[1:]
        if metric not in ANOMALY_METRICS:
            self.tell(
                self.rule.at, f"does not know the metric '{metric}'; {did_you_mean(metric, ANOMALY_METRICS, 'metrics')}"
            )
            return
        least, most = ANOMALY_METRICS[metric]
        if len(columns) < least or (most is not None and len(columns) > most):
            wanted = {0: "no column", 1: "one column", 2: "two columns"}[least]
            self.tell(self.rule.at, f"of '{metric}' takes {wanted}, got {len(columns)}")

    def condition(self) -> None:
        condition, operand = self.rule.condition, self.signature.operand
        if condition is None:
            if operand and not self.signature.optional:
                self.tell(self.rule.at, f"needs a condition, such as {_EXAMPLES[operand]}")
        elif not operand:
            self.tell(condition.at, "takes no condition")
        else:
            self.judge(condition, operand, "")

    def judge(self, condition: Condition, operand: str, tag: str) -> None:
        """A condition, of the rule or of one of its tags."""
        if isinstance(condition, Matches):
            self.pattern(condition, operand)
            return
        try:
            kinds = [self.operand(value, operand, tag) for value in _operands(condition)]
        except KindError as error:
            self.tell(condition.at, f"with {tag} {error}" if tag else str(error))
            return
        if isinstance(condition, Comparison):
            self.sign(condition, kinds[0], operand)
        if isinstance(condition, Between) and {"text", "constant"} & {*kinds}:
            self.tell(
                condition.at,
                f"compares with 'between' numbers, dates, times, durations and sizes, not {_shown(condition.low)}",
            )
        if isinstance(condition, Membership) and isinstance(condition.values, tuple) and not kinds:
            self.tell(condition.at, "has an empty list behind 'in'")
        mixed = sorted({"text" if found in ("date", "time") else found for found in kinds} - {"constant", ""})
        if len(mixed) > 1:
            self.tell(condition.at, f"compares with {' and '.join(mixed)} at once; operands are of one kind")

    def operand(self, value: Expression, operand: str, tag: str) -> str:
        found = kind(value)
        if found and found not in _KINDS[operand]:
            wanted = {
                "value": "value",
                "moment": "date, a time or now()",
                "hash": "hash in quotes",
                "type": "type in quotes",
            }
            raise KindError(
                f"compares with a {wanted.get(operand, operand)}, such as {_EXAMPLES[operand]}, not with {_shown(value)}"
            )
        if uses_history(value) and (not self.signature.history) and tag != "threshold":
            raise KindError("takes no functions of the history")
        several = unreduced(value)
        if several:
            asked = several.arguments[0]
            raise KindError(
                f"has several values in last({asked.text if isinstance(asked, Number) else ''}); reduce them, such as avg(last(7))"
            )
        if operand == "type" and isinstance(value, Text):
            _need_type(value.value)
        return found

    def sign(self, condition: Comparison, found: str, operand: str) -> None:
        sign = condition.sign
        if sign not in SIGNS:
            hint = f"did you mean '{_MISTAKEN_SIGNS[sign]}'? " if sign in _MISTAKEN_SIGNS else ""
            self.tell(condition.at, f"has '{sign}', which is not an operator; {hint}operators: {', '.join(SIGNS)}")
        elif sign not in ("=", "!=") and found in ("text", "constant"):
            patterns = operand == "value" and found == "text"
            allowed = f"=, !=, in, not in{', matches, not matches' if patterns else ''}"
            self.tell(condition.at, f"has '{sign}' before {_shown(condition.operand)}; allowed there: {allowed}")

    def pattern(self, condition: Matches, operand: str) -> None:
        if operand != "value":
            self.tell(condition.at, "takes no 'matches'; it goes with ColumnValues")
        elif isinstance(condition.pattern, Text):
            try:
                with warnings.catch_warnings():
                    # of what only Python finds doubtful, such as [[a]
                    warnings.simplefilter("ignore")
                    parse_regex(condition.pattern.value)
            except ValueError as error:
                self.tell(condition.at, f"has a pattern that {error}")

    def tags(self) -> None:
        names = [tag.name for tag in self.rule.tags]
        for index, tag in enumerate(self.rule.tags):
            if tag.name not in self.signature.tags:
                known = self.signature.tags
                hint = did_you_mean(tag.name, known, "its tags") if known else "it takes none"
                self.tell(tag.at, f"does not take the tag '{tag.name}'; {hint}")
            elif tag.name in names[:index]:
                self.tell(tag.at, f"has the tag '{tag.name}' twice")
            else:
                self.tag(tag)

    def tag(self, tag: Tag) -> None:
        takes = TAGS[tag.name]
        if takes == "ratio":
            self.judge(tag.condition, "number", tag.name)
            return
        wanted = _misfit(tag.condition, takes)
        if wanted:
            self.tell(tag.at, f"has a tag '{tag.name}' that must be {wanted}")


def _operands(condition: Condition) -> tuple[Expression, ...]:
    if isinstance(condition, Comparison):
        return (condition.operand,)
    if isinstance(condition, Between):
        return condition.low, condition.high
    if isinstance(condition, Membership) and isinstance(condition.values, tuple):
        return condition.values
    return ()


def _misfit(condition: Condition, takes: str) -> str:
    """What a tag must be, empty when it is."""
    if takes == "order":
        values = _operands(condition)
        names = [value.value if isinstance(value, Text) else "" for value in values]
        return "" if isinstance(condition, Membership) and sorted(names) == sorted({*names} & {*FILTERS}) and names else (
            'a list of "uriRegex" and "recentFiles"'
        )  # fmt: skip
    value = condition.operand if isinstance(condition, Comparison) and condition.sign == "=" else None
    if isinstance(value, Variable):
        return ""
    text = value.value if isinstance(value, Text) else value.text if isinstance(value, (Word, Number)) else None
    if takes == "flag":
        return "" if text in ("true", "false") else '"true" or "false"'
    if takes == "count":
        return (
            "" if isinstance(value, Number) and re.fullmatch(r"[1-9][0-9]*", value.text) else "a whole number from 1 on"
        )
    if takes == "hash":
        return (
            "" if text in HASHES and isinstance(value, Text) else "one of " + ", ".join(f'"{name}"' for name in HASHES)
        )
    return "" if isinstance(value, Text) else "a text in quotes"


def _need_type(text: str) -> None:
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2] or 0)
        if 1 <= precision <= 38 and scale <= precision:
            return
        raise KindError(f"has the type '{text}'; it must be DECIMAL(p,s) with 1 <= p <= 38 and s <= p")
    if text.lower() not in [name.lower() for name in DATA_TYPES]:
        raise KindError(f"does not know the type '{text}'; {did_you_mean(text, DATA_TYPES, 'types')}")


def _shown(value: Expression) -> str:
    if isinstance(value, Text):
        return f"the text '{value.value}'"
    return value.name if isinstance(value, Constant) else f"a {kind(value)}"
