"""`quality profile`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from quality.commands.common import command
from quality.errors import UsageError


def add_profile(commands: Any) -> None:
    """Add `quality profile`."""
    example = "quality profile demo/incoming/flights/2013-01-01.csv --option nullValue=NA"
    parser = command(
        commands, "profile", _profile, "show what every column of files is like; nothing is written", example
    )
    parser.add_argument("input", metavar="INPUT", help="a path that Spark reads")
    parser.add_argument("--format", default="", help="csv, json, parquet or orc; default: as the name says")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the reader; CSV has a header"
    )
    parser.add_argument(
        "--rules", metavar="RULES", help="a rule file: values of columns it calls sensitive are not told"
    )
    parser.add_argument("--json", action="store_true", help="print the profile as JSON")


def _profile(options: argparse.Namespace) -> int:
    from quality.profiling import profile
    from quality.progress import Progress
    from quality.report import profiles
    from quality.rulefile import load
    from quality.sensitive import Sensitive

    pairs = [text.partition("=") for text in options.option]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise UsageError(f"--option takes NAME=VALUE, got '{name}'")
    sensitive = load(options.rules).sensitive if options.rules else Sensitive()
    given = {"header": "true"} | {name: value for name, _, value in pairs}
    with Progress(sys.stderr, quiet=options.json) as progress:
        progress.told("profiling")
        found = profile(options.input, format=options.format, options=given, sensitive=sensitive)
    print(json.dumps(found.to_dict(), ensure_ascii=False, indent=1) if options.json else profiles.render(found))
    return 0
