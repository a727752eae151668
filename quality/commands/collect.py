"""`quality gc`."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quality.commands.common import command
from quality.errors import UsageError

if TYPE_CHECKING:
    from quality.storage.collect import Garbage

SCHEMA = "quality.gc/1"
_UNITS = {"d": "days", "h": "hours", "w": "weeks"}


def add_gc(commands: Any) -> None:
    """Add `quality gc`."""
    example = "quality gc --root quality-data --keep 30d --dry-run"
    parser = command(commands, "gc", _gc, "remove superseded and dead runs that are old enough", example)
    parser.add_argument("--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), help="where results are kept")
    parser.add_argument("--dataset", help="of this data set only")
    parser.add_argument("--keep", default="30d", help="how long they are kept, such as 30d, 48h, 8w; never under 24h")
    parser.add_argument(
        "--keep-versions",
        type=int,
        default=1,
        metavar="N",
        help="older published versions of a batch kept whatever their age",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")
    parser.add_argument("--json", action="store_true")


def _gc(options: argparse.Namespace) -> int:
    from quality.storage.collect import collect, find
    from quality.storage.layout import check_dataset
    from quality.storage.store import open_store

    store = open_store(options.root)
    dataset = check_dataset(options.dataset) if options.dataset is not None else None
    found = find(store, dataset, keep=duration(options.keep), keep_versions=options.keep_versions)
    gone = found if options.dry_run else collect(store, found)
    if options.json:
        print(
            json.dumps({"schema": SCHEMA, "root": store.root, "dry_run": options.dry_run, **_to_dict(gone)}, indent=1)
        )
    else:
        print("\n".join(_lines(gone, options.dry_run)))
    return 0


def duration(text: str, option: str = "--keep") -> timedelta:
    """The time span of a text such as `30d`. Raises UsageError."""
    match = re.fullmatch(r"([0-9]{1,5})([dhw])", text.strip())
    if match is None:
        raise UsageError(f"{option} takes a number and d, h or w, such as 30d, got '{text}'")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _to_dict(found: Sequence[Garbage]) -> dict[str, Any]:
    from quality.storage.collect import KINDS

    kinds = {kind: [item for item in found if item.kind == kind] for kind in KINDS}
    return {
        "kinds": {
            kind: {"count": len(items), "files": sum(i.files for i in items), "bytes": sum(i.bytes for i in items)}
            for kind, items in kinds.items()
        },
        "items": [
            {
                "kind": item.kind,
                "dataset": item.dataset or None,
                "batch": item.batch or None,
                "run": item.run or None,
                "files": item.files,
                "bytes": item.bytes,
                "places": [*item.folders, *item.keys],
            }
            for item in found
        ],
    }


def _lines(found: Sequence[Garbage], dry_run: bool) -> list[str]:
    if not found:
        return ["nothing to remove"]
    shown = _to_dict(found)
    lines = [
        f"{item['kind']:<16}  {item['dataset']} {item['batch'] or '-'}  {item['run']}  {item['files']:,} files  {size(item['bytes'])}"
        for item in shown["items"]
        if item["run"]
    ]
    lines += [
        f"{counts['count']:,} {kind}{'' if counts['count'] == 1 else 's'}: {counts['files']:,} files, {size(counts['bytes'])}"
        for kind, counts in shown["kinds"].items()
    ]
    return [*lines, "would be removed; nothing was" if dry_run else "removed"]


def size(count: int) -> str:
    """Bytes for a person, in steps of 1,000."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:,.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"
