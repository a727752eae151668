"""The commands about what is there: live files, this machine, jars, the demo."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from quality.commands.common import command


def add_paths(commands: Any) -> None:
    """Add `quality paths`."""
    example = "quality paths flights --batch 2013-01-01 --root quality-data"
    parser = command(commands, "paths", _paths, "print the live files of a data set, one a line", example)
    parser.add_argument("dataset")
    parser.add_argument("--batch", help="of this batch only")
    parser.add_argument("--side", default="passed", help="passed, quarantine or flags")
    parser.add_argument("--run", help="of this run, published or held")
    parser.add_argument("--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), help="where results are kept")


def _paths(options: argparse.Namespace) -> int:
    from quality.storage.readers import paths

    for path in paths(options.root, options.dataset, options.batch, options.side, options.run):
        print(path)
    return 0


def add_doctor(commands: Any) -> None:
    """Add `quality doctor`."""
    parser = command(
        commands,
        "doctor",
        _doctor,
        "say what is missing on this machine and how to get it",
        "quality doctor --root s3://bucket/dq",
    )
    parser.add_argument("--root", help="also try this place for results")
    parser.add_argument("--json", action="store_true")


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from quality.doctor import checks

    found = checks(options.root)
    if options.json:
        print(json.dumps([asdict(check) for check in found], indent=1))
    for check in found if not options.json else ():
        sign = {True: "ok", False: "missing", None: "unknown"}[check.ok]
        print(
            f"{sign:8} {check.name}: {check.found}"
            + (f"\n         {check.advice}" if check.ok is not True and check.advice else "")
        )
    return 3 if any(check.ok is False for check in found) else 0


def add_jars(commands: Any) -> None:
    """Add `quality jars`."""
    parser = command(commands, "jars", _jars, "print or fetch the jars a cluster needs", "quality jars --fetch")
    parser.add_argument("--fetch", action="store_true", help="fetch them into the cache and print their paths")
    parser.add_argument("--with", dest="formats", action="append", default=[], choices=("s3", "iceberg", "delta", "kafka", "postgresql", "sqlite"),
                        help="what Spark is to reach or write beside; may be repeated")  # fmt: skip
    parser.add_argument("--location", help="where the jar is kept for the cluster, such as s3://bucket/jars/")
    parser.add_argument("--json", action="store_true")


def _jars(options: argparse.Namespace) -> int:
    from quality import jars

    if options.fetch:
        for path in (jars.fetch(), *(path for name in options.formats for path in jars.fetch_format(name))):
            print(path)
        return 0
    described = jars.describe(options.location, options.formats).to_dict()
    if options.json:
        print(json.dumps(described, indent=1))
    for name, value in described.items() if not options.json else ():
        print(f"{name}: {value}")
    return 0


def add_demo(commands: Any) -> None:
    """Add `quality demo`."""
    parser = command(
        commands, "demo", _demo, "run the main job on real flights, one day of them poisoned", "quality demo --days 5"
    )
    parser.add_argument("--days", type=int, default=4, help="days of January 2013 to run before the poisoned one")
    parser.add_argument("--directory", default="demo", help="where data and results go")


def _demo(options: argparse.Namespace) -> int:
    from quality.demo import demo

    return demo(Path(options.directory), options.days)
