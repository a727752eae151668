"""A small installed distribution that brings rule types: what a package of someone else's looks like."""

from __future__ import annotations

from pathlib import Path

MODULE = '''
from dataclasses import dataclass

from quality.rule_types.args import COLUMN, NUMBER, arg
from quality.rule_types.base import Row, RowRule


@dataclass(frozen=True)
class MultipleOf(RowRule):
    """Every number is a multiple of another."""

    column: str = arg(COLUMN, "the column")
    of: float = arg(NUMBER, "what it is a multiple of")

    type = "multiple_of"
    main = "of"
    example = "multiple_of: {column: cents, of: 5}"

    def predicate(self, row: Row) -> str:
        """No remainder."""
        return f"{row.ref(self.column)} % {self.of} = 0"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be a multiple of {self.of}"
'''


def install(folder: Path, module: str = MODULE, name: str = "acme_rules") -> Path:
    """Installs it in a folder, which has to be on the path."""
    (folder / f"{name}.py").write_text(module, encoding="utf-8")
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[quality.rule_types]\nacme = {name}\n", encoding="utf-8")
    return folder
