"""What a run left behind, read as a stranger would: the commit records as JSON, the files they list with pyarrow."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq

from quality import RunResult, run


@dataclass
class Place:
    """A directory with the files of batches in `in/`, a rule file, and what runs write in `out/`."""

    directory: Path
    spark: Any

    @property
    def root(self) -> Path:
        return self.directory / "out"

    def put(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.directory / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def rules(self, text: str = "", *, input: str = "", path: str = "*", format: str = "csv", top: str = "") -> Path:
        """A rule file over `in/<path>`; `input` and `rules` are YAML lines, `top` what else stands at the top."""
        lines = [
            "version: 1",
            "dataset: d",
            "input:",
            *(
                []
                if "path:" in input or "table:" in input
                else [f"  path: {json.dumps(str(self.directory / 'in' / path))}"]
            ),
            *([] if "table:" in input else [f"  format: {format}"]),
            *(f"  {line}" for line in input.splitlines()),
            *top.splitlines(),
            *([] if "hold:" in top else ["hold: {quarantined_above: 100%}"]),
            *([] if "outputs:" in top else [f"outputs: {{root: {json.dumps(str(self.root))}}}"]),
            "rules:",
            *(f"  {line}" for line in (text or "- row_count: {at_least: 0}").splitlines()),
        ]
        file = self.directory / "rules.yml"
        # another thread may read it meanwhile
        made = file.with_name(f"rules-{threading.get_ident()}.tmp")
        made.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return made.replace(file)

    def run(
        self, text: str = "", *, batch: str = "b", force: bool = False, progress: Any = None, **more: str
    ) -> RunResult:
        return run(self.rules(text, **more), batch, spark=self.spark, force=force, progress=progress)

    def record(self, batch: str = "b") -> dict[str, Any]:
        return records(self.root, "d", batch)[-1]

    def rows(self, side: str, batch: str = "b") -> list[dict[str, Any]]:
        return rows(self.root, self.record(batch), side)

    def passed(self, *columns: str, batch: str = "b") -> list[Any]:
        """The passed rows as sorted tuples of these columns; a bare value for one column."""
        found = [tuple(row[name] for name in columns) for row in self.rows("passed", batch)]
        ordered = sorted(found, key=str)
        return [row[0] for row in ordered] if len(columns) == 1 else ordered

    def malformed(self, batch: str = "b") -> list[str]:
        """The lines of the quarantine, each proven to be there as nothing but a line."""
        lines = []
        for row in self.rows("quarantine", batch):
            (failure,) = row["_quality"]["failures"]
            assert failure["rule"] == "malformed"
            assert [value for name, value in row.items() if name != "_quality" and value is not None] == []
            lines.append(failure["value"])
        return sorted(lines)

    def reasons(self, *columns: str, batch: str = "b", side: str = "quarantine") -> dict[Any, list[str]]:
        """The rules that each row of the quarantine failed, by these columns (one: its bare value)."""
        found = {}
        for row in self.rows(side, batch):
            key = tuple(row[name] for name in columns) if len(columns) > 1 else row[columns[0]]
            assert key not in found
            found[key] = [failure["rule"] for failure in row["_quality"]["failures"]]
        return found

    def conserves(self, lines: int, batch: str = "b") -> None:
        """So many rows were read, written and told, and no file of the commit says otherwise."""
        record = self.record(batch)
        counts = {side: len(rows(self.root, record, side)) for side in ("passed", "quarantine")}
        assert sum(counts.values()) == lines
        told = record["rows"]
        assert (told["input"], told["passed"], told["quarantined"]) == (lines, counts["passed"], counts["quarantine"])


def records(root: Path, dataset: str, batch: str) -> list[dict[str, Any]]:
    """The commit records of a batch, oldest first."""
    folder = root / "commits" / dataset / quote(batch, safe="")
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem))]


def rows(root: Path, record: Mapping[str, Any], side: str) -> list[dict[str, Any]]:
    """The rows of the files that a record lists, each file as long and as large as the record says."""
    found: list[dict[str, Any]] = []
    for file in record[side]:
        path = root / file["path"]
        table = pq.read_table(path, partitioning=None)
        assert (table.num_rows, path.stat().st_size) == (file["rows"], file["size"])
        found += table.to_pylist()
    return found
