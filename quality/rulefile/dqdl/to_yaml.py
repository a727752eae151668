"""From a DQDL document to the text of a rule file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from quality.rulefile.dqdl import options
from quality.rulefile.dqdl.analyzers import FINER, recorded, watched
from quality.rulefile.dqdl.check import merged
from quality.rulefile.dqdl.composites import converted
from quality.rulefile.dqdl.entries import Entry, Joined, Made, default_id, placed, references_of
from quality.rulefile.dqdl.losses import Converted, Loss, Lost
from quality.rulefile.dqdl.past import DIFFERS
from quality.rulefile.dqdl.printer import format_rule
from quality.rulefile.dqdl.resolve import resolved
from quality.rulefile.dqdl.rules_of_ours import slug
from quality.rulefile.dqdl.tree import Composite, Document, Label, Position, Rule
from quality.rulefile.dqdl.tree import Entry as MetadataEntry
from quality.rulefile.dqdl.yaml_text import Template, flow
from quality.rulefile.sections import guess_format

#: Metadata that a rule file has a place for.
_HEAD = ("description", "owner")
#: Metadata that says how many earlier batches a bound needs that looks at them; with 0 what is not there is 0, as on AWS.
_MIN_HISTORY = "min_history"
#: Metadata that says how composites are judged: `ROW` is row by row, else each rule by itself, as AWS's option of that name.
BY_ROW = ("compositeruleevaluation.method", "compositeruleevaluation")


def to_yaml(
    document: Document,
    file: str = "DQDL",
    *,
    dataset: str = "",
    input_path: str = "",
    root: str = "",
    references: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Converted:
    """The rule file and what is not in it. DQDL names neither data set nor input: without `dataset` the file's name is
    the data set's, and without `input_path` a path stands there that the reader has to change. So do the places of references that
    `references` does not tell, in a file that is to be `whole`; else whoever takes its rules declares them."""
    writing = _Writing(document, file, dataset or slug(PurePath(file).stem), references or {}, whole=whole)
    return writing.text(input_path, root)


class _Writing:
    def __init__(self, document: Document, file: str, dataset: str, given: Mapping[str, str], *, whole: bool) -> None:
        self.document, self.file, self.dataset, self.given, self.whole = document, file, dataset, given, whole
        self.losses: list[Loss] = []
        self.ids: set[str] = set()
        self.measured: set[str] = set()
        self.kept = 0
        self.profiled = False
        self.watched: list[str] = []
        #: Whether all metrics are looked at for anomalies, which then are told and decide nothing.
        self.observed = False
        #: Whether what the history does not have is 0.
        self.from_nothing = False
        self.by_row = any(
            entry.key.lower() in BY_ROW and isinstance(entry.value, str) and entry.value.upper() == "ROW"
            for entry in document.metadata
        )
        self.places: list[Position] = []
        #: Other data sets that rules name, with the place of the first that does.
        self.references: dict[str, Position] = {}

    def lose(self, position: Position, what: str, why: str, *, kept: bool = False, demand: bool = True) -> None:
        loss = Loss(self.file, position, what, why, kept, demand)
        self.losses += [] if loss in self.losses else [loss]

    def text(self, input_path: str, root: str) -> Converted:
        head = [
            f"# converted from {PurePath(self.file).name}",
            "version: 1",
            f"dataset: {flow(self.dataset)}",
            *self.metadata(),
            *self.input(input_path),
        ]
        document = resolved(self.document)
        asked = [part for rule in document.rules or () for part in _parts(rule, document.default_labels)]
        lines = [line for rule in asked for line in self.rule(rule)]
        for analyzer in document.analyzers or ():
            lines += self.analyzer(analyzer)
        rules = ["rules:", *lines] if self.places else ["rules: []", *lines]
        head += self.declared() if self.whole else ()
        head += ["profile: true"] if self.profiled else []
        if self.watched:
            # as on AWS, an anomaly fails
            watch = {"metrics": list(dict.fromkeys(self.watched)), "severity": "error"}
            head.append(f"anomalies: {flow(watch)}")
            if self.observed:
                why = "the anomalies of the metrics of DetectAnomalies are looked for, and there is one section of them"
                self.lose(Position(1, 1), "Metadata observations.scope", why, kept=True)
        elif self.observed:
            head.append(f"anomalies: {flow({'metrics': 'all', 'severity': 'info'})}")
        outputs = [f"outputs: {flow({'root': root})}"] if root else []
        total = len(asked) + len(document.analyzers or ())
        return Converted(
            "\n".join([*head, *rules, *outputs]) + "\n",
            tuple(sorted(self.losses, key=lambda loss: loss.position)),
            self.kept,
            total,
            tuple(self.places),
        )

    def metadata(self) -> Iterator[str]:
        for entry in self.document.metadata:
            if entry.key.lower() in _HEAD and isinstance(entry.value, str) and entry.value:
                yield f"{entry.key.lower()}: {flow(entry.value)}"
            elif entry.key.lower() == _MIN_HISTORY and str(entry.value).isdigit():
                self.from_nothing = int(str(entry.value)) == 0
                yield f"defaults: {flow({_MIN_HISTORY: int(str(entry.value))})}"
            elif wrong := self.misread(entry):
                self.lose(entry.at, f"Metadata {flow(entry.key)}", f"{wrong}, got {flow(entry.value)}")
            elif (option := options.option(entry)) is not None:
                self.option(entry, option)
            elif entry.key.lower() not in BY_ROW:
                why = "a rule file has 'description' and 'owner' only"
                self.lose(entry.at, f"Metadata {flow(entry.key)}", why, demand=False)
        for entry in self.document.data_sources:
            why = (
                "'input' says where batches come from"
                if entry.key == "Primary"
                else "'references' (or --reference NAME=PATH) says where those lie that rules name"
            )
            self.lose(entry.at, f"DataSources {flow(entry.key)}", why, demand=False)

    @staticmethod
    def misread(entry: MetadataEntry) -> str:
        """What the value of an entry that decides how rules are judged must be; empty where it is that."""
        if entry.key.lower() == _MIN_HISTORY:
            return "must be a whole number of batches"
        if entry.key.lower() in BY_ROW and str(entry.value).upper() not in ("ROW", "COLUMN"):
            return "must be ROW or COLUMN"
        return ""

    def option(self, entry: MetadataEntry, found: options.Option) -> None:
        """An option of AWS's runs: that holds here anyway, that the file says, or that has no place in it."""
        self.observed |= found.observed
        if found.why:
            self.lose(entry.at, f"Metadata {flow(entry.key)}", found.why, demand=found.wrong)

    def input(self, path: str) -> Iterator[str]:
        if not path:
            path = f"data/{self.dataset}/{{{{ batch }}}}.parquet"
            why = f"DQDL does not name one: '{path}' stands there until you write where your batches are"
            self.lose(Position(1, 1), "'input'", why, kept=True)
        kind = {} if guess_format(path) else {"format": "parquet"}
        yield f"input: {flow({'path': Template(path), **kind})}"

    def declared(self) -> Iterator[str]:
        """The section of references."""
        if self.references:
            yield "references:"
        for name, position in self.references.items():
            place, why = placed(name, self.given)
            yield f"  {name}: {flow(place)}"
            if why:
                self.lose(position, f"reference '{name}'", why, kept=True)

    def rule(self, rule: Rule | Composite) -> Iterator[str]:
        """The lines of one rule; a comment stands in the place of one that is lost."""
        if isinstance(rule, Rule) and rule.type == "DetectAnomalies":
            yield from self.recording(rule, format_rule(replace(rule, labels=())), watched)
            return
        shown = format_rule(replace(rule, labels=()))
        try:
            found = converted(rule, by_row=self.by_row)
        except Lost as error:
            self.lose(rule.at, f"'{shown}'", str(error))
            yield from _comment(shown, str(error))
            return
        self.kept += 1
        labels = {label.key: label.value for label in rule.labels}
        for made in found:
            yield from self.made(made, rule, {"labels": labels} if labels else {})

    def analyzer(self, analyzer: Rule) -> Iterator[str]:
        """The lines of what an analyzer records."""
        yield from self.recording(analyzer, f"analyzer {format_rule(analyzer, analyzer=True)}", recorded)

    def recording(
        self, analyzer: Rule, shown: str, read: Callable[[Rule], tuple[list[Entry], bool | list[str]]]
    ) -> Iterator[str]:
        """The lines of what is only recorded; `read` tells what else stands in the file: a profile, or what is watched."""
        try:
            entries, beside = read(analyzer)
        except Lost as error:
            self.lose(analyzer.at, shown if read is recorded else f"'{shown}'", str(error))
            yield from _comment(shown, str(error))
            return
        self.kept += 1
        if analyzer.type == "Distribution" and analyzer.tags:
            self.lose(analyzer.at, shown, FINER, kept=True)
        if isinstance(beside, list):
            self.watched += beside
        else:
            self.profiled |= beside
        for entry in entries:
            said = f"{entry.type}: {flow(entry.body)}"
            if said not in self.measured:
                self.measured.add(said)
                yield from self.made(entry, analyzer, {})

    def made(self, made: Made, rule: Rule | Composite, beside: Mapping[str, Any], id: str = "") -> Iterator[str]:
        """The lines of an entry; of joined ones the parts, which decide nothing by themselves, and the verdict on them."""
        if isinstance(made, Joined):
            id = id or self.unique(made.about or "composite")
            term, lines = self.joined(made, rule, id)
            yield from lines
            made = Entry("verdict", {made.word: term})
        elif made.differs and not (made.differs == DIFFERS and self.from_nothing):
            self.lose(rule.at, f"'{format_rule(replace(rule, labels=()))}'", made.differs, kept=True)
        self.places.append(rule.at)
        for name in references_of({made.type: made.body}):
            self.references.setdefault(name, rule.at)
        yield f"  - {made.type}: {flow(made.body)}"
        named = {"id": id} if id else self.id(made)
        yield from (f"    {word}: {flow(value)}" for word, value in {**named, **made.beside, **beside}.items())

    def joined(self, made: Joined, rule: Rule | Composite, id: str) -> tuple[list[Any], list[str]]:
        """The terms of a verdict, and the lines of the rules they name."""
        terms: list[Any] = []
        lines: list[str] = []
        for number, part in enumerate(made.parts, 1):
            own = f"{id}.{number}"
            if isinstance(part, Joined):
                inner, more = self.joined(part, rule, own)
                terms.append({part.word: inner})
                lines += more
            else:
                # the history of a query or an expression is that of its id, which its text gives where it looks back
                own = self.unique(part.about if part.type in ("sql", "compliance") and part.about else own)
                terms.append(own)
                lines += self.made(part, rule, {"severity": "info"}, own)
        return terms, lines

    def id(self, entry: Entry) -> dict[str, str]:
        """An id, where the rule's own would be that of another."""
        base = entry.about or default_id(entry)
        found = self.unique(base)
        return {"id": found} if entry.about or found != base else {}

    def unique(self, base: str) -> str:
        """The id, with a number where it is taken."""
        number, found = 1, base
        while found in self.ids:
            number += 1
            found = f"{base}.{number}"
        self.ids.add(found)
        return found


def _parts(rule: Rule | Composite, inherited: tuple[Label, ...]) -> Iterator[Rule | Composite]:
    """The rules of a conjunction, which fails when one of them does, each by itself."""
    labels = merged(inherited, rule.labels)
    if isinstance(rule, Composite) and rule.operator == "and":
        for part in rule.rules:
            yield from _parts(part, labels)
    else:
        yield replace(rule, labels=labels)


def _comment(shown: str, why: str) -> Iterator[str]:
    yield f"  # not carried over: {' '.join(shown.split())}"
    yield f"  # because {why}"
