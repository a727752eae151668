"""The commands about the history."""

from __future__ import annotations

import argparse
import os
from typing import Any

from quality.commands.common import command, group
from quality.commands.history_backfill import add_history_backfill
from quality.commands.history_compact import add_history_compact
from quality.commands.history_tables import add_history_export, add_history_list, add_history_show
from quality.errors import InputError, UsageError, did_you_mean


def add_history(commands: Any) -> None:
    """Add `quality history` and what belongs to it."""
    example = "quality history athena-ddl --root s3://bucket/quality"
    parser = group(commands, "history", "what is known of the history of metrics and results", example)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(parser))
    add_history_list(inner)
    add_history_show(inner)
    add_history_export(inner)
    add_history_backfill(inner)
    add_history_compact(inner)
    add_athena_ddl(inner)


def add_athena_ddl(commands: Any) -> None:
    """Add `quality history athena-ddl`."""
    parser = command(
        commands,
        "athena-ddl",
        _athena_ddl,
        "print the statements that make the history, the quarantine and what is live of them tables of Athena",
        "quality history athena-ddl --root s3://bucket/quality --database quality > history.sql",
    )
    parser.add_argument(
        "--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), metavar="PATH", help="where results are kept"
    )
    parser.add_argument("--database", default="quality", help="the database the tables are made in")
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="DATASET",
        help="these data sets alone, as a fixed list of partitions; default: all there are, found by MSCK REPAIR TABLE",
    )


def _athena_ddl(options: argparse.Namespace) -> int:
    from quality.report.athena import statements
    from quality.storage import commit, readers
    from quality.storage.store import open_store

    if not options.database.replace("_", "a").isalnum() or options.database != options.database.lower():
        raise UsageError(f"--database must be lower-case letters, digits and '_', got '{options.database}'")
    store = open_store(options.root)
    known = commit.datasets(store)
    for dataset in options.dataset:
        if dataset not in known:
            raise UsageError(f"{store.root} has no data set '{dataset}'; {did_you_mean(dataset, known, 'data sets')}")
    if not known:
        raise InputError(f"{store.root} has no data sets yet: there is nothing to make tables of")
    quarantines = {
        dataset: readers.common_columns(
            [readers.columns_of_side(record, "quarantine") for record in reversed(records)], dataset
        )
        for dataset in options.dataset or known
        if (records := commit.live_records(store, dataset))
    }
    location = store.uri("history").removesuffix("/history")
    for statement in statements(location, options.database, quarantines, options.dataset):
        print(f"{statement};\n")
    return 0
