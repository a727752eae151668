"""The commands that show the history of a data set: list, show, export. They read Parquet without Spark."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quality.commands.common import command
from quality.errors import StorageError, UsageError, did_you_mean
from quality.model import Decision, number_text

if TYPE_CHECKING:
    from quality.anomaly.values import Batch, Series
    from quality.storage.commit import CommitRecord

_BARS = 40


def add_history_list(commands: Any) -> None:
    """Add `quality history list`."""
    about = "list the batches of a data set and their metrics"
    parser = command(commands, "list", _list, about, "quality history list flights --last 30")
    add_place(parser)
    parser.add_argument("--last", type=int, default=20, metavar="N", help="the newest N batches; default: 20")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def add_history_show(commands: Any) -> None:
    """Add `quality history show`."""
    example = "quality history show 'Mean(dep_delay)' --dataset flights"
    parser = command(commands, "show", _show, "show a metric through time, as a chart", example)
    parser.add_argument("metric", metavar="METRIC", help="a name, or a name with its column: Size, Mean(dep_delay)")
    add_place(parser, option=True)
    parser.add_argument("--last", type=int, default=30, metavar="N", help="the newest N batches; default: 30")
    parser.add_argument("--json", action="store_true", help="print the values as JSON")


def add_history_export(commands: Any) -> None:
    """Add `quality history export`."""
    example = "quality history export flights --table results -o results.csv"
    parser = command(commands, "export", _export, "write a table of the history as CSV, Parquet or JSON lines", example)
    add_place(parser)
    parser.add_argument("--table", default="metrics", help="metrics, results or runs; default: metrics")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="a file; its ending tells the format: .csv, .parquet, .jsonl",
    )


def add_place(parser: Any, *, option: bool = False) -> None:
    """The data set and the root; `option`: the data set is told by --dataset."""
    if option:
        parser.add_argument("--dataset", required=True, metavar="DATASET", help="the id of the data set")
    else:
        parser.add_argument("dataset", metavar="DATASET", help="the id of a data set")
    parser.add_argument(
        "--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), metavar="PATH", help="where results are kept"
    )
    parser.add_argument("--include-held", action="store_true", help="also the last run of a batch that is held")


def _list(options: argparse.Namespace) -> int:
    from quality.history_reader import History

    records = History(options.root, options.dataset).records(include_held=options.include_held)
    shown = records[-_positive(options.last) :]
    if options.json:
        keys = ("batch", "run", "seq")
        found = [
            {
                **{key: getattr(record, key) for key in keys},
                "batch_time": record.batch_time.isoformat(),
                "status": _status(record),
                "decision": _decision(record),
                "rows": dict(record.rows),
            }
            for record in shown
        ]
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return 0
    print(f"{'batch':24}  {'time':19}  {'decision':10}  {'status':7}  {'rows':>12}  {'quarantined':>11}")
    for record in shown:
        print(
            f"{record.batch:24}  {record.batch_time:%Y-%m-%d %H:%M:%S}  {_decision(record):10}  {_status(record):7}  "
            f"{record.rows.get('input', 0):>12,}  {record.rows.get('quarantined', 0):>11,}"
        )
    print(f"{len(shown):,} of {len(records):,} batches")
    return 0


def _decision(record: CommitRecord) -> str:
    return "backfilled" if record.decision == Decision.NONE else str(record.decision)


def _status(record: CommitRecord) -> str:
    return "-" if record.decision == Decision.NONE else str(record.status)


def _positive(count: int) -> int:
    if count < 1:
        raise UsageError(f"--last must be at least 1, got {count}")
    return count


def _show(options: argparse.Namespace) -> int:
    from quality.history_reader import History

    last, history = _positive(options.last), History(options.root, options.dataset)
    batches = history.batches(include_held=options.include_held, last=last, sketches=False)
    try:
        series = _series(options.metric, batches)
    except UsageError:
        # one that is measured no more, or a word that is none
        series = _series(options.metric, history.batches(include_held=options.include_held, sketches=False))
    shown = [(batch, batch.points.get(series)) for batch in batches]
    values = [(batch, point.value if point else None) for batch, point in shown]
    if options.json:
        found = [{"batch": b.id, "batch_time": b.time.isoformat(), "value": value} for b, value in values]
        print(json.dumps({"metric": str(series), "values": found}, ensure_ascii=False, indent=1))
        return 0
    print(series)
    for line in chart(values):
        print(line)
    return 0


def _series(metric: str, batches: list[Batch]) -> Series:
    """The one series a text means. UsageError when it is none or several."""
    known = sorted({series for batch in batches for series in batch.points})
    exact = [one for one in known if str(one) == metric or (one.name == metric and one.instance == "*")]
    found = exact[:1] or [one for one in known if metric in (one.name, f"{one.name}({one.instance})")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"'{metric}' is several metrics: {', '.join(map(str, found[:20]))}")
    raise UsageError(f"there is no metric '{metric}'; {did_you_mean(metric, [str(one) for one in known], 'metrics')}")


def chart(values: list[tuple[Batch, float | None]]) -> list[str]:
    """A line for each batch: its id, the value, and a bar from the least to the greatest value."""
    known = [value for _, value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    lines = []
    for batch, value in values:
        if value is None:
            lines.append(f"  {batch.id:24}  {'-':>14}")
            continue
        place = round((value - low) / (high - low) * _BARS) if high > low else 0
        lines.append(f"  {batch.id:24}  {number_text(float(value)):>14}  {'·' * place}●")
    return lines


def _export(options: argparse.Namespace) -> int:
    from quality.history_reader import History

    ending = Path(options.output).suffix.lower()
    allowed = (".csv", ".parquet", ".jsonl")
    if ending not in allowed:
        raise UsageError(f"--output '{options.output}': the ending must be one of {', '.join(allowed)}")
    table = History(options.root, options.dataset).table(options.table, include_held=options.include_held)
    try:
        if ending == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, options.output)
        else:
            _write_text(table, options.output, ending)
    except OSError as error:
        raise StorageError(f"{options.output}: cannot be written: {error.strerror or error}") from error
    print(f"{table.num_rows:,} rows of {options.table} written to {options.output}")
    return 0


def _write_text(table: Any, path: str, ending: str) -> None:
    """Nested values as JSON; sketches are bytes and left out."""
    import csv

    names = [name for name in table.column_names if name != "sketch"]
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        if ending == ".csv":
            writer.writeheader()
        for row in table.select(names).to_pylist():
            plain = {name: _plain(value, nested=ending == ".csv") for name, value in row.items()}
            if ending == ".csv":
                writer.writerow(plain)
            else:
                file.write(json.dumps(plain, ensure_ascii=False) + "\n")


def _plain(value: Any, *, nested: bool) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if nested and isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return value
