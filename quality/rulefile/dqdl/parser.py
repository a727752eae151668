"""Reads DQDL: sections, then each rule by itself, then what it means. Every mistake is reported, with its line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from lark import UnexpectedInput, UnexpectedToken

from quality.errors import Problem, RuleFileError, did_you_mean
from quality.rulefile.dqdl import scanner
from quality.rulefile.dqdl.check import check_analyzer, check_labels, check_rule, merged
from quality.rulefile.dqdl.grammar import Reader, TwiceError
from quality.rulefile.dqdl.resolve import resolved_rule
from quality.rulefile.dqdl.scanner import Section, Token
from quality.rulefile.dqdl.signatures import KEYWORDS, SECTIONS
from quality.rulefile.dqdl.tree import Binding, Composite, Document, Entry, Label, Position, Rule
from quality.rulefile.ruleforms import meant

MAX_BYTES = 5_000_000
T = TypeVar("T")

#: How a message names what the grammar expects, in the order of the message.
_EXPECTED = {
    "NAME": "a name", "TEXT": "a text in quotes", "VARIABLE": "$variable", "NUMBER": "a number",
    "CONSTANT": "NULL, EMPTY, WHITESPACES_ONLY", "WORD": "a word", "OPERATOR": "= != > >= < <=", "BETWEEN": "between",
    "IN": "in", "MATCHES": "matches", "NOT": "not", "AND": "and", "OR": "or", "PLUS": "+ - * /", "WHERE": "where",
    "LABELS": "labels", "WITH": "with", "LPAR": "'('", "RPAR": "')'", "LSQB": "'['", "RSQB": "']'", "LBRACE": "'{'",
    "RBRACE": "'}'", "COLON": "':'", "COMMA": "','", "$END": "the end",
}  # fmt: skip


def parse(text: str, file: str = "DQDL") -> Document:
    """The document. Raises RuleFileError with every mistake found; `file` is what the messages call it."""
    document, problems = parse_all(text, file)
    if problems:
        raise RuleFileError(problems)
    return document


def parse_all(text: str, file: str = "DQDL") -> tuple[Document, tuple[Problem, ...]]:
    """The document of what could be read, and every mistake."""
    reading = _Reading(text, file)
    document = reading.document()
    return document, RuleFileError(reading.problems).problems


class _Reading:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text.removeprefix("\ufeff"), file
        self.reader = Reader(self.text)
        self.problems: list[Problem] = []

    def tell(self, offset: int, message: str) -> None:
        """Note a mistake at a character."""
        self.tell_at(self.reader.lines.at(offset), message)

    def tell_at(self, at: Position, message: str) -> None:
        """Note a mistake at a place."""
        self.problems.append(Problem(self.file, at.line, message))

    def document(self) -> Document:
        """What the sections say."""
        found: dict[str, Section] = {}
        bindings: list[Binding] = []
        for section in scanner.sections(scanner.tokens(self.text), self.tell):
            name = section.name.text
            if name in found:
                first = self.reader.lines.at(found[name].name.begin).line
                self.tell(section.name.begin, f"'{name}' stands twice (first in line {first})")
                continue
            found[name] = section
            if name not in SECTIONS:
                bindings += self.binding(section)
        self.need_a_list(found)
        document = Document(
            metadata=self.whole("mapping", found.get("Metadata"), Entry),
            data_sources=self.whole("mapping", found.get("DataSources"), Entry),
            variables=tuple(bindings),
            default_labels=self.whole("label_list", found.get("DefaultLabels"), Label),
            rules=self.rules(found.get("Rules")),
            analyzers=self.rules(found.get("Analyzers")),  # type: ignore[arg-type]
        )
        return self.checked(document)

    def need_a_list(self, found: dict[str, Section]) -> None:
        """A document has rules or analyzers, or both."""
        near = any(meant(name, ("rules", "analyzers")) for name in found)
        if not near and not self.problems:
            self.tell(0, "there is neither 'Rules = [ ... ]' nor 'Analyzers = [ ... ]'")

    def binding(self, section: Section) -> list[Binding]:
        """The variable of a section that is none of DQDL's own."""
        name, at = section.name.text, self.reader.lines.at(section.name.begin)
        near = meant(name, [word.lower() for word in SECTIONS])
        if section.value[0].kind == "open" and near:
            self.tell_at(at, f"'{name}' is not a section; {did_you_mean(name, SECTIONS, 'sections')}")
            return []
        try:
            value = self.reader.read("value", section.value[0].begin, section.value[-1].end)
        except UnexpectedInput:
            allowed = "a text in quotes, NULL, EMPTY, WHITESPACES_ONLY, or a list of them"
            self.tell_at(at, f"variable '{name}' must be {allowed}")
            return []
        return [Binding(name, value, at)]

    def whole(self, start: str, section: Section | None, _kind: type[T]) -> tuple[T, ...]:
        """A section that is read in one piece."""
        if section is None:
            return ()
        found: Any = self.read(start, section.value, f"'{section.name.text}'")
        return found or ()

    def rules(self, section: Section | None) -> tuple[Rule | Composite, ...] | None:
        """The rules of a list, those that cannot be read left out."""
        if section is None:
            return None
        name = section.name.text
        if section.value[0].text != "[":
            self.tell(section.name.begin, f"'{name}' must be a list: {name} = [ ... ]")
            return ()
        read = [self.read("rule", entry, _shown(entry)) for entry in scanner.entries(section, self.tell)]
        return tuple(rule for rule in read if rule is not None)

    def read(self, start: str, entry: list[Token], what: str) -> Any:
        """The value of some tokens, None when it is wrong."""
        broken = [token for token in entry if token.kind == "broken"]
        if broken:
            self.tell(broken[0].begin, "a quote is opened and not closed")
            return None
        if _depth(entry) > scanner.MAX_DEPTH:
            self.tell(entry[0].begin, f"brackets are nested more than {scanner.MAX_DEPTH} levels deep")
            return None
        begin = entry[0].begin
        try:
            return self.reader.read(start, begin, entry[-1].end)
        except UnexpectedInput as error:
            at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
            offset = begin + int(getattr(error, "pos_in_stream", None) or 0)
            index = next((i for i, token in enumerate(entry) if token.end > offset), len(entry))
            accepted = self.reader.accepted(start, begin, entry[-1].end if at_end else offset)
            wrong = _wrong(accepted, entry, len(entry) if at_end else index)
            self.tell(entry[-1].begin if at_end else offset, f"{what}: {wrong}")
        except TwiceError as error:
            self.tell(begin, f"{what}: '{error.args[0]}' stands twice")
        except RecursionError:
            self.tell(begin, f"{what}: too many operands")
        return None

    def checked(self, document: Document) -> Document:
        """The same document, after what is wrong in it is told."""
        check_labels(document.default_labels, "DefaultLabels", self.tell_at)
        variables = {binding.name: binding for binding in document.variables}
        for rule in document.rules or ():
            whole = resolved_rule(rule, variables, self.tell_at)
            check_rule(whole, self.tell_at)
            check_labels(merged(document.default_labels, rule.labels), "", self.tell_at, own=rule)
        for analyzer in document.analyzers or ():
            check_analyzer(resolved_rule(analyzer, variables, self.tell_at), self.tell_at)
        return document


def _shown(entry: Iterable[Token]) -> str:
    """The beginning of a rule, for messages."""
    first = next((token.text for token in entry if token.kind == "word"), "rule")
    return f"'{first}'"


def _depth(entry: list[Token]) -> int:
    depth = deepest = 0
    for token in entry:
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        deepest = max(deepest, depth)
    return deepest


def _wrong(accepted: set[str], entry: list[Token], index: int) -> str:
    """What is wrong at a token, and what could stand there."""
    for token in entry[: index + 1]:
        if token.text in ("'", "\u2018", "\u2019", "\u201c", "\u201d"):
            return f"a text stands in double quotes, not in {'single' if token.text == chr(39) else 'curly'} ones"
        if token.kind == "word" and token.text not in KEYWORDS and token.text.lower() in KEYWORDS:
            return f"'{token.text}' is written '{token.text.lower()}'"
    before = f"behind '{entry[index - 1].text}'" if index else "at the beginning"
    allowed = ", ".join(text for name, text in _EXPECTED.items() if name in accepted)
    found = f"'{entry[index].text}' cannot stand {before}" if index < len(entry) else f"something is missing {before}"
    return f"{found}; allowed: {allowed}"
