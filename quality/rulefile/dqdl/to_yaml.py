"""From a DQDL document to the text of a rule file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from quality.rulefile.dqdl.check import merged
from quality.rulefile.dqdl.losses import Converted, Loss, Lost
from quality.rulefile.dqdl.printer import format_rule
from quality.rulefile.dqdl.resolve import resolved
from quality.rulefile.dqdl.rules_of_ours import Entry, convert, slug
from quality.rulefile.dqdl.tree import Composite, Document, Label, Position, Rule
from quality.rulefile.dqdl.yaml_text import Template, flow
from quality.rulefile.sections import guess_format

#: Metadata that a rule file has a place for.
_HEAD = ("description", "owner")


def to_yaml(
    document: Document, file: str = "DQDL", *, dataset: str = "", input_path: str = "", root: str = ""
) -> Converted:
    """The rule file and what is not in it. DQDL names neither data set nor input: without `dataset` the file's name is
    the data set's, and without `input_path` a path stands there that the reader has to change."""
    return _Writing(document, file, dataset or slug(PurePath(file).stem)).whole(input_path, root)


class _Writing:
    def __init__(self, document: Document, file: str, dataset: str) -> None:
        self.document, self.file, self.dataset = document, file, dataset
        self.losses: list[Loss] = []
        self.ids: dict[str, int] = {}
        self.kept = 0
        self.places: list[Position] = []

    def lose(self, position: Position, what: str, why: str, *, kept: bool = False, demand: bool = True) -> None:
        self.losses.append(Loss(self.file, position, what, why, kept, demand))

    def whole(self, input_path: str, root: str) -> Converted:
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
            shown = format_rule(analyzer, analyzer=True)
            self.lose(analyzer.at, f"analyzer {shown}", "a metric without bounds has no form yet")
            lines += _comment(f"analyzer {shown}", "a metric without bounds has no form yet")
        rules = ["rules:", *lines] if self.kept else ["rules: []", *lines]
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
            else:
                why = "a rule file has 'description' and 'owner' only"
                self.lose(entry.at, f"Metadata {flow(entry.key)}", why, demand=False)
        for entry in self.document.data_sources:
            why = (
                "'input' says where batches come from" if entry.key == "Primary" else "other data sets have no form yet"
            )
            self.lose(entry.at, f"DataSources {flow(entry.key)}", why, demand=False)

    def input(self, path: str) -> Iterator[str]:
        if not path:
            path = f"data/{self.dataset}/{{{{ batch }}}}.parquet"
            why = f"DQDL does not name one: '{path}' stands there until you write where your batches are"
            self.lose(Position(1, 1), "'input'", why, kept=True)
        kind = {} if guess_format(path) else {"format": "parquet"}
        yield f"input: {flow({'path': Template(path), **kind})}"

    def rule(self, rule: Rule | Composite) -> Iterator[str]:
        """The lines of one rule; a comment stands in the place of one that is lost."""
        shown = format_rule(replace(rule, labels=()))
        try:
            entries = _entries(rule)
        except Lost as error:
            self.lose(rule.at, f"'{shown}'", str(error))
            yield from _comment(shown, str(error))
            return
        self.kept += 1
        for entry in entries:
            if entry.differs:
                self.lose(rule.at, f"'{shown}'", entry.differs, kept=True)
            self.places.append(rule.at)
            labels = {label.key: label.value for label in rule.labels}
            beside = {**entry.beside, **({"labels": labels} if labels else {})}
            yield f"  - {entry.type}: {flow(entry.body)}"
            yield from (f"    {word}: {flow(value)}" for word, value in {**self.id(entry), **beside}.items())

    def id(self, entry: Entry) -> dict[str, str]:
        """An id, where the rule's own would be that of another."""
        base = entry.about or default_id(entry)
        self.ids[base] = self.ids.get(base, 0) + 1
        if self.ids[base] == 1:
            return {"id": entry.about} if entry.about else {}
        numbered = f"{base}.{self.ids[base]}"
        self.ids[numbered] = 1
        return {"id": numbered}


def _entries(rule: Rule | Composite) -> list[Entry]:
    if isinstance(rule, Composite):
        raise Lost("rules of which one is enough are about the batch, 'any' is about rows")
    return convert(rule)


def _parts(rule: Rule | Composite, inherited: tuple[Label, ...]) -> Iterator[Rule | Composite]:
    """The rules of a conjunction, which fails when one of them does, each by itself."""
    labels = merged(inherited, rule.labels)
    if isinstance(rule, Composite) and rule.operator == "and":
        for part in rule.rules:
            yield from _parts(part, labels)
    else:
        yield replace(rule, labels=labels)


def default_id(entry: Entry) -> str:
    """As the loader names a rule."""
    named: Any = entry.body if isinstance(entry.body, dict) else {}
    columns = named.get("columns") or [named["column"]] if "column" in named or "columns" in named else []
    if len(columns) == 1:
        return f"{columns[0]}.{entry.type}"
    return f"{entry.type}({','.join(columns)})" if columns else entry.type


def _comment(shown: str, why: str) -> Iterator[str]:
    yield f"  # not carried over: {' '.join(shown.split())}"
    yield f"  # because {why}"
