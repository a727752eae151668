"""`quality profile`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from quality.commands.common import check_output, command
from quality.errors import StorageError, UsageError


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
    parser.add_argument("--html", metavar="FILE", help="also write it as a page that needs no network and no scripts")


def _profile(options: argparse.Namespace) -> int:
    from quality.profiling import profile
    from quality.progress import Progress
    from quality.report import profile_page, profiles
    from quality.rulefile import load
    from quality.rulefile.references import unread_input
    from quality.sensitive import Sensitive

    pairs = [text.partition("=") for text in options.option]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise UsageError(f"--option takes NAME=VALUE, got '{name}'")
    check_output("--html", options.html)
    sensitive = Sensitive()
    if options.rules:
        sensitive = load(options.rules, input_path=unread_input(options.rules)).sensitive
    given = {"header": "true"} | {name: value for name, _, value in pairs}
    with Progress(sys.stderr, quiet=options.json) as progress:
        progress.told("profiling")
        found = profile(options.input, format=options.format, options=given, sensitive=sensitive)
    if options.html:
        try:
            Path(options.html).write_text(profile_page.render(found, options.input), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{options.html}: cannot be written: {error.strerror or error}") from error
    print(json.dumps(found.to_dict(), ensure_ascii=False, indent=1) if options.json else profiles.render(found))
    return 0
