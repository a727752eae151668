"""`quality quarantine` and what belongs to it."""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quality.commands.collect import duration
from quality.commands.common import add_conf, add_dataset, command, group, settings
from quality.errors import StorageError, UsageError
from quality.report import clean
from quality.sensitive import is_hidden

if TYPE_CHECKING:
    from quality.quarantine import Selection

_WHAT = "a rule file, or the id of a data set"
_STATES = ("open", "accepted", "expired", "all")
#: Rows that `show` writes to a file.
_MOST_EXPORTED = 100_000


def add_quarantine(commands: Any) -> None:
    """Add `quality quarantine`."""
    example = "quality quarantine stats orders --rule amount.at_least"
    parser = group(commands, "quarantine", "look at quarantined rows, and say what becomes of them", example)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(parser))
    _add_looks(inner)
    _add_words(inner)


def _add_looks(inner: Any) -> None:
    parser = command(inner, "list", _list, "the quarantine of each batch, by state", "quality quarantine list orders")
    _add_place(parser)
    _add_batch(parser)
    parser = command(
        inner, "stats", _stats, "count quarantined rows by rule, column, value, batch and day",
        "quality quarantine stats orders --batch 2024-01-02",
    )  # fmt: skip
    _add_place(parser)
    _add_chosen(parser)
    parser = command(
        inner, "show", _show, "quarantined rows with their reasons",
        "quality quarantine show orders --batch 2024-01-02 --rule amount.at_least --csv to-correct.csv",
    )  # fmt: skip
    _add_place(parser)
    _add_chosen(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many rows; default: 20, to a file 100,000")
    parser.add_argument("--csv", metavar="FILE", help="write the rows as CSV, to be corrected for quality redrive")
    parser.add_argument(
        "--reveal",
        action="store_true",
        help="values of sensitive columns too; else they are masked, and left out of --csv",
    )


def _add_words(inner: Any) -> None:
    for word, help, example in (
        (
            "accept",
            "let quarantined rows be: they stay there and are not re-driven",
            "--rule country.in --reason 'test orders'",
        ),
        ("expire", "give up on open rows: they stay there and are not re-driven", "--older-than 90d"),
        ("reopen", "take back accept or expire", "--batch 2024-01-02"),
    ):
        parser = command(inner, word, _say, help, f"quality quarantine {word} orders {example}")
        _add_place(parser)
        _add_batch(parser)
        parser.add_argument("--rule", default="", metavar="ID", help="only rows that failed this rule")
        parser.add_argument(
            "--row", action="append", default=[], metavar="ROW_ID", help="only this row; may be repeated"
        )
        if word == "expire":
            parser.add_argument("--older-than", metavar="AGE", help="only batches whose run is older, such as 90d")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept in the ledger")
        parser.add_argument("--by", metavar="NAME", help="who; default: the user of this process")
        parser.add_argument("--dry-run", action="store_true", help="count the rows, change nothing")
        parser.set_defaults(word=word)


def _add_place(parser: Any) -> None:
    parser.add_argument("what", metavar="DATASET|RULES", help=_WHAT)
    parser.add_argument(
        "--root",
        metavar="PATH",
        help="where results are kept; default: what the rule file says, else QUALITY_ROOT, else quality-data",
    )
    add_dataset(parser)
    add_conf(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _add_batch(parser: Any) -> None:
    parser.add_argument("--batch", action="append", default=[], help="of this batch only; may be repeated")


def _add_chosen(parser: Any) -> None:
    _add_batch(parser)
    parser.add_argument("--rule", default="", metavar="ID", help="only rows that failed this rule")
    parser.add_argument("--state", default="open", choices=_STATES, help="default: open")


def _opened(options: argparse.Namespace) -> Any:
    from quality.quarantine import opened
    from quality.versions import is_rule_file

    root = options.root or (None if is_rule_file(options.what) else os.environ.get("QUALITY_ROOT"))
    return opened(options.what, root, conf=settings(options), own_id=options.dataset)


def _chosen(options: argparse.Namespace) -> Selection:
    from quality.quarantine import Selection

    states = () if options.state == "all" else (options.state,)
    return Selection(tuple(options.batch), options.rule, states)


def _list(options: argparse.Namespace) -> int:
    from quality.quarantine import listed

    with _opened(options) as (spark, store, dataset):
        found = listed(spark, store, dataset, options.batch)
    if options.json:
        return _print({"schema": "quality.quarantine/1", "dataset": dataset, "batches": found})
    words = ("quarantined", "open", "accepted", "expired", "redriven", "corrected")
    print(f"{'batch':24}  {'since':10}" + "".join(f"  {word:>11}" for word in words))
    for line in found:
        print(f"{line['batch']:24}  {line['since'][:10]}" + "".join(f"  {line[word]:>11,}" for word in words))
    return 0


def _stats(options: argparse.Namespace) -> int:
    from quality.quarantine import stats

    with _opened(options) as (spark, store, dataset):
        found = stats(spark, store, dataset, _chosen(options))
    if options.json:
        return _print({"schema": "quality.quarantine/1", "dataset": dataset, "state": options.state, **found})
    print(f"{dataset}: {found['rows']:,} {'' if options.state == 'all' else options.state + ' '}rows in quarantine")
    for word in ("rule", "column", "value", "batch", "day"):
        if found[word]:
            print(f"\nby {word}")
        for line in found[word]:
            print(f"  {line['rows']:>11,}  {_named(word, line)}")
    return 0


def _named(word: str, line: Mapping[str, Any]) -> str:
    if word == "value":
        return f"{clean(line['rule'], 80)}: {'NULL' if line['value'] is None else clean(line['value'], 80)}"
    return clean(line[word], 120) or "(no column)"


def _show(options: argparse.Namespace) -> int:
    from quality.quarantine import shown

    if options.limit is not None and options.limit < 1:
        raise UsageError(f"--limit must be at least 1, got {options.limit}")
    limit = options.limit or (_MOST_EXPORTED if options.csv else 20)
    with _opened(options) as (spark, store, dataset):
        found = shown(spark, store, dataset, _chosen(options), limit, reveal=options.reveal)
    if options.csv:
        _write_csv(options.csv, found)
        print(
            f"{options.csv}: {len(found):,} rows; correct them, then: quality redrive RULES --batch B --corrected {options.csv}"
        )
        return 0
    if options.json:
        return _print({"schema": "quality.quarantine/1", "dataset": dataset, "rows": found})
    for row in found:
        told = (
            f" by {row['by']} at {row['at'][:19]}" + (f": {row['reason']}" if row["reason"] else "")
            if row["by"]
            else ""
        )
        print(f"{row['row_id']}  batch {row['batch']}, {row['state']}{clean(told)}")
        for failure in row["failures"]:
            value = "" if failure.get("value") is None else f", got {clean(failure['value'], 80)}"
            print(f"    {failure['rule']}: {clean(failure['message'], 200)}{value}")
        print(f"    {clean(json.dumps(row['row'], ensure_ascii=False), 1000)}")
    if not found:
        print(f"{dataset}: no such rows")
    return 0


def _write_csv(path: str, found: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in found for name in row["row"] if name not in row.get("sensitive", ())))
    key = "_row_id" if "row_id" in {name.lower() for name in names} else "row_id"
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([key, "_rules", *names])
            for row in found:
                rules = " ".join(dict.fromkeys(failure["rule"] for failure in row["failures"]))
                values = [_cell(row, name) for name in names]
                writer.writerow([row["row_id"], rules, *values])
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """The value; of one that had not the type of its column the text that stood there."""
    value = row["row"].get(name)
    if value is None:
        texts = (f.get("value") for f in row["failures"] if f["column"].lower() == name.lower())
        return next((text for text in texts if text is not None and not is_hidden(text)), None)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _say(options: argparse.Namespace) -> int:
    from quality.quarantine import Selection, say
    from quality.versions import user

    age = duration(options.older_than, "--older-than") if getattr(options, "older_than", None) else None
    if not (options.batch or options.rule or options.row or age):
        narrow = "--batch, --rule, --row" + (" or --older-than" if options.word == "expire" else "")
        raise UsageError(f"{options.word} needs to know which rows: {narrow}")
    chosen = Selection(tuple(options.batch), options.rule, (), tuple(options.row))
    with _opened(options) as (spark, store, dataset):
        said = say(
            spark, store, dataset, options.word, chosen, by=options.by or user(), reason=options.reason, older_than=age,
            dry_run=options.dry_run,
        )  # fmt: skip
    if options.json:
        return _print(said.to_dict())
    print(said.message + ("; nothing was changed (--dry-run)" if options.dry_run else ""))
    return 0


def _print(data: Mapping[str, Any]) -> int:
    print(json.dumps(data, ensure_ascii=False, indent=1))
    return 0
