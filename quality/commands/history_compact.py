"""`quality history compact`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quality.commands.collect import duration, size
from quality.commands.common import command

if TYPE_CHECKING:
    from quality.compaction import Compacted

SCHEMA = "quality.compact/1"


def add_history_compact(commands: Any) -> None:
    """Add `quality history compact`."""
    about = "put the history of many runs into few files; readers see the same before, meanwhile and after"
    parser = command(commands, "compact", _compact, about, "quality history compact flights --root quality-data")
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help="the id of a data set; default: all")
    parser.add_argument(
        "--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), metavar="PATH", help="where results are kept"
    )
    parser.add_argument(
        "--keep",
        default="24h",
        help="how long a file stays beside the pack that has its rows, for those who listed it: 24h, 7d; "
        "0h removes it at the next call",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true")


def _compact(options: argparse.Namespace) -> int:
    from quality.compaction import compact
    from quality.storage.layout import check_dataset
    from quality.storage.store import open_store

    store = open_store(options.root)
    dataset = check_dataset(options.dataset) if options.dataset is not None else None
    found = compact(store, dataset, keep=duration(options.keep), dry_run=options.dry_run)
    if options.json:
        words = {"schema": SCHEMA, "root": store.root, "dry_run": options.dry_run}
        print(json.dumps({**words, "datasets": [_to_dict(one) for one in found]}, indent=1))
    else:
        print("\n".join(_lines(found, options.dry_run)) or f"{store.root} has no data sets")
    return 0


def _to_dict(one: Compacted) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "packs": [{"key": pack.key, "files": len(pack.files), "bytes": pack.size or None} for pack in one.made],
        "removed": {"files": len(one.removed), "bytes": sum(entry.size for entry in one.removed)},
        "waiting": one.waiting,
    }


def _lines(found: Sequence[Compacted], dry_run: bool) -> list[str]:
    lines = []
    for one in found:
        into = f"{sum(len(pack.files) for pack in one.made):,} files put into {len(one.made):,}"
        gone = f"{len(one.removed):,} removed that lie in a larger one, {size(sum(e.size for e in one.removed))}"
        lines.append(f"{one.dataset}: {into}; {gone}; {one.waiting:,} stay beside it for now")
    return [*lines, "would be done; nothing was"] if dry_run and lines else lines
