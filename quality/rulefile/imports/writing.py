"""Writes a rule file from what another language demands, one demand after the other, with what is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from quality.rulefile.dqdl.entries import Entry, default_id, placed, references_of
from quality.rulefile.dqdl.losses import Converted, Loss, Lost
from quality.rulefile.dqdl.tree import Position
from quality.rulefile.dqdl.yaml_text import Template, flow
from quality.rulefile.lint import mistakes
from quality.rulefile.ruleforms import slug
from quality.rulefile.sections import guess_format
from quality.sql import RELATIONS

#: Bounds that no row at all may not satisfy.
_LEAST = ("at_least", "above", "equals")


@dataclass(frozen=True)
class _Demand:
    """A demand with the lines it became, and what is lost of it."""

    line: int
    what: str
    lines: tuple[str, ...]
    losses: tuple[Loss, ...] = ()
    kept: bool = True


class Writing:
    """A rule file that grows by demands. What has no equal, and what `lint` would refuse, stands there as a comment."""

    def __init__(self, file: str, dataset: str) -> None:
        self.file, self.dataset = file, dataset
        self.losses: list[Loss] = []
        self.demands: list[_Demand] = []
        self.ids: dict[str, int] = {}
        self.head: list[str] = []
        #: Other data sets that rules point at, with the line of the first that does, and which of their rows are meant.
        self.references: dict[str, tuple[int, str]] = {}
        #: Metrics that anomalies are looked for in.
        self.watched: list[str] = []

    def add(self, line: int, what: str, made: Callable[[], list[Entry]]) -> None:
        """One demand. `made` raises Lost where there is no equal; then a comment stands in its place."""
        try:
            entries = made()
        except Lost as error:
            self.demands.append(self._lost(line, what, str(error)))
            return
        place = Position(line, 1)
        entries = [self._referring(entry, line) for entry in entries]
        told = (differs for entry in entries for differs in (entry.differs, _idle(entry)) if differs)
        losses = tuple(Loss(self.file, place, f"'{what}'", differs, kept=True) for differs in told)
        lines = tuple(text for entry in entries for text in self._lines(entry))
        self.demands.append(_Demand(line, what, lines, losses))

    def lose(self, line: int, what: str, why: str) -> None:
        """Something that demands nothing of the data, and has no place in a rule file."""
        self.losses.append(Loss(self.file, Position(line, 1), f"'{what}'", why, demand=False))

    def whole(self, input_path: str = "", root: str = "", references: Mapping[str, str] | None = None) -> Converted:
        """The text; without an input, a path stands there that the reader has to change, as for a reference without a place."""
        path = input_path
        if not path:
            path = f"data/{self.dataset}/{{{{ batch }}}}.parquet"
            why = f"it is not named: '{path}' stands there until you write where your batches are"
            self.losses.append(Loss(self.file, Position(1, 1), "'input'", why, kept=True))
        kind = {} if guess_format(path) else {"format": "parquet"}
        head = [
            f"# converted from {PurePath(self.file).name}",
            "version: 1",
            f"dataset: {flow(self.dataset)}",
            *self.head,
        ]
        head += [f"input: {flow({'path': Template(path), **kind})}"]
        if self.references:
            head.append("references:")
        for name, (line, where) in self.references.items():
            place, why = placed(name, references or {})
            head.append(f"  {name}: {flow({**place, **({'where': where} if where else {})})}")
            if why:
                self.losses.append(Loss(self.file, Position(line, 1), f"reference '{name}'", why, kept=True))
        if self.watched:
            head.append(f"anomalies: {flow({'metrics': self.watched, 'severity': 'error'})}")
        outputs = [f"outputs: {flow({'root': root})}"] if root else []
        text = self._text(head, outputs)
        while self._refused(text, len(head) + 1):
            text = self._text(head, outputs)
        kept = sum(demand.kept for demand in self.demands)
        losses = [*self.losses, *(loss for demand in self.demands for loss in demand.losses)]
        return Converted(text, tuple(sorted(losses, key=lambda loss: loss.position)), kept, len(self.demands))

    def _referring(self, entry: Entry, line: int) -> Entry:
        """The entry, its references named: one of which other rows are meant is another."""
        body = entry.body
        for base in dict.fromkeys(references_of(entry.body)):
            name, number = base, 1
            while self.references.get(name, (0, entry.reference_where))[1] != entry.reference_where:
                number += 1
                name = f"{base}_{number}"
            self.references.setdefault(name, (line, entry.reference_where))
            body = _renamed(body, base, name) if name != base else body
        return replace(entry, body=body)

    def _text(self, head: list[str], outputs: list[str]) -> str:
        rules = "rules:" if any(demand.kept for demand in self.demands) else "rules: []"
        return "\n".join([*head, rules, *(line for d in self.demands for line in d.lines), *outputs]) + "\n"

    def _refused(self, text: str, start: int) -> bool:
        """Whether there are demands that a rule file cannot hold as they are; those are comments now."""
        places: dict[int, int] = {}
        for index, demand in enumerate(self.demands):
            places |= dict.fromkeys(range(start + 1, start + 1 + len(demand.lines)), index)
            start += len(demand.lines)
        wrong = {places[problem.line]: problem.message for problem in mistakes(text) if problem.line in places}
        found = {index: why for index, why in wrong.items() if self.demands[index].kept}
        for index, why in found.items():
            demand = self.demands[index]
            self.demands[index] = self._lost(demand.line, demand.what, f"a rule file refuses it: {why}")
        return bool(found)

    def _lost(self, line: int, what: str, why: str) -> _Demand:
        comment = f"  # not carried over: {' '.join(what.split())}", f"  # because {' '.join(why.split())}"
        return _Demand(line, what, comment, (Loss(self.file, Position(line, 1), f"'{what}'", why),), kept=False)

    def _lines(self, entry: Entry) -> Iterator[str]:
        yield f"  - {entry.type}: {flow(entry.body)}"
        yield from (f"    {word}: {flow(value)}" for word, value in {**entry.beside, **self._id(entry)}.items())

    def _id(self, entry: Entry) -> dict[str, str]:
        """An id, where the rule's own would be that of another."""
        own = str(entry.beside.get("id", ""))
        base = own or slug(str(entry.beside.get("name", ""))) or entry.about or default_id(_with_columns(entry))
        self.ids[base] = self.ids.get(base, 0) + 1
        if self.ids[base] == 1:
            return {"id": entry.about} if base == entry.about and not own else {}
        numbered = f"{base}.{self.ids[base]}"
        self.ids[numbered] = 1
        return {"id": numbered}


def _idle(entry: Entry) -> str:
    """Rows that a filter means are counted, and there must be some: without any the rule says nothing here."""
    bounds = {word: value for word, value in entry.body.items() if word in _LEAST} if entry.type == "row_count" else {}
    wants = any(
        value > 0 or (word == "above" and value == 0) for word, value in bounds.items() if not isinstance(value, str)
    )
    return (
        "where there is no such row at all it does not apply here, and does not fail"
        if wants and "where" in entry.beside
        else ""
    )


def _renamed(body: Any, base: str, name: str) -> Any:
    """A rule that points at another reference."""
    if isinstance(body, dict):
        return {
            word: name if word == "reference" and value == base else _renamed(value, base, name)
            for word, value in body.items()
        }
    return [_renamed(one, base, name) for one in body] if isinstance(body, list) else body


def reference_name(text: str) -> str:
    """A name of another system as one of a reference."""
    name = re.sub(r"\W+", "_", text.strip().strip("\"`'"), flags=re.ASCII).strip("_")
    return name if name and not name[0].isdigit() and name.lower() not in RELATIONS else f"of_{name}"


def exists_in(columns: list[str], reference: str, theirs: list[str]) -> dict[str, Any]:
    """The rule that every value is one of another data set."""
    other = {} if columns == theirs else {"reference_columns": theirs}
    return {"exists_in": {"columns": columns, "reference": reference_name(reference), **other}}


def _with_columns(entry: Entry) -> Entry:
    """A composition is called after the columns of its parts."""
    if not isinstance(entry.body, list):
        return entry
    return replace(entry, body={"columns": list(dict.fromkeys(_columns(entry.body)))})


def _columns(body: Any) -> Iterator[str]:
    if isinstance(body, list):
        for one in body:
            yield from _columns(one)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key == "column":
                yield value
            elif key == "columns" and isinstance(value, list):
                yield from value
            else:
                yield from _columns(value)
