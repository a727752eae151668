"""Writes a rule file from what another language demands, one demand after the other, with what is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from quality.rulefile.dqdl.entries import Entry, default_id
from quality.rulefile.dqdl.losses import Converted, Loss, Lost
from quality.rulefile.dqdl.tree import Position
from quality.rulefile.dqdl.yaml_text import Template, flow
from quality.rulefile.sections import guess_format


class Writing:
    """A rule file that grows by demands."""

    def __init__(self, file: str, dataset: str) -> None:
        self.file, self.dataset = file, dataset
        self.losses: list[Loss] = []
        self.lines: list[str] = []
        self.ids: dict[str, int] = {}
        self.kept = self.total = 0

    def add(self, line: int, what: str, made: Callable[[], list[Entry]]) -> None:
        """One demand. `made` raises Lost where there is no equal; then a comment stands in its place."""
        self.total += 1
        try:
            entries = made()
        except Lost as error:
            self.losses.append(Loss(self.file, Position(line, 1), f"'{what}'", str(error)))
            self.lines += [
                f"  # not carried over: {' '.join(what.split())}",
                f"  # because {' '.join(str(error).split())}",
            ]
            return
        self.kept += 1
        for entry in entries:
            if entry.differs:
                self.losses.append(Loss(self.file, Position(line, 1), f"'{what}'", entry.differs, kept=True))
            self.lines.append(f"  - {entry.type}: {flow(entry.body)}")
            named = self._id(entry)
            self.lines += [f"    {word}: {flow(value)}" for word, value in {**named, **entry.beside}.items()]

    def _id(self, entry: Entry) -> dict[str, str]:
        base = entry.about or default_id(entry)
        self.ids[base] = self.ids.get(base, 0) + 1
        if self.ids[base] == 1:
            return {"id": entry.about} if entry.about else {}
        return {"id": f"{base}.{self.ids[base]}"}

    def whole(self, input_path: str = "", root: str = "") -> Converted:
        """The text; without an input, a path stands there that the reader has to change."""
        path = input_path
        if not path:
            path = f"data/{self.dataset}/{{{{ batch }}}}.parquet"
            why = f"it is not named: '{path}' stands there until you write where your batches are"
            self.losses.insert(0, Loss(self.file, Position(1, 1), "'input'", why, kept=True))
        kind = {} if guess_format(path) else {"format": "parquet"}
        head = [f"# converted from {PurePath(self.file).name}", "version: 1", f"dataset: {flow(self.dataset)}"]
        rules = ["rules:" if self.kept else "rules: []", *self.lines]
        outputs = [f"outputs: {flow({'root': root})}"] if root else []
        text = "\n".join([*head, f"input: {flow({'path': Template(path), **kind})}", *rules, *outputs]) + "\n"
        return Converted(text, tuple(self.losses), self.kept, self.total)
