"""The sections of a rule file that are not rules: input, outputs, hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quality.errors import UsageError, did_you_mean
from quality.model import Location
from quality.rule_types.args import choice, parse_flag, parse_ratio, parse_sql, parse_text, parse_types, shown
from quality.rule_types.rules import Input, Outputs
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import Problems
from quality.rulefile.streams import option_text, read_kafka, refuse_misfit
from quality.sensitive import Hiding, Sensitive

INPUT_KEYS = ("path", "table", "kafka", "where", "format", "options", "timezone", "batch_time", "allow_empty", "schema")
OUTPUT_KEYS = ("root", "format", "table", "quarantine_table", "mirror", "views", "flags", "quarantine_kms_key")
#: What the tables of `outputs` may be. `parquet` is a catalog table whose partitions are switched.
TABLE_FORMATS = ("parquet", "iceberg", "delta")
FORMATS = ("csv", "json", "parquet", "orc")
_EXTENSIONS = {
    "csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet", "orc": "orc",
}  # fmt: skip
_COMPRESSIONS = ("gz", "bz2", "zst", "lz4", "snappy", "deflate")
#: Options that would let the reader type, drop or hide what is malformed.
_OWN_OPTIONS = {
    "mode": "malformed lines are quarantined",
    "inferschema": "types are declared, never inferred",
    "columnnameofcorruptrecord": "malformed lines are quarantined",
    "columnpruning": "every pass must see the same rows",
    "enforceschema": "columns are found by the header of each file",
    "primitivesasstring": "text formats are read as text",
    "ignorecorruptfiles": "a skipped file is rows that nobody counts",
    "ignoremissingfiles": "a skipped file is rows that nobody counts",
}


def read_input(tree: Node, problems: Problems, input_path: str | None) -> Input:
    """Where the batch comes from; `input_path` takes the place of path and table."""
    node = tree.mapping.get("input")
    if node is None and input_path is None:
        told = "'path' (files), 'table' (catalog) or 'kafka' (a topic), with 'format' when the name does not tell"
        if tree.file.lower().endswith(".dqdl"):
            told = "DQDL names none; give --input PATH, or write a rule file with 'extends' and 'input' beside it"
        problems.add(tree, f"'input' is missing: {told}")
        return Input()
    node = node or Node({}, tree.file, tree.line)
    if not isinstance(node.value, dict):
        problems.add(node, f"'input' must be a mapping such as {{path: data/orders.csv}}, got {shown(node.plain())}")
        return Input()
    problems.unknown_keys(node, INPUT_KEYS, "key of 'input'")
    paths = (input_path,) if input_path is not None else _paths(node, problems)
    table = "" if input_path is not None else problems.text(node, "table")
    kafka = None if input_path is not None else read_kafka(node.mapping.get("kafka"), problems)
    named = [word for word, given in (("path", paths), ("table", table), ("kafka", kafka)) if given]
    if not named and not {"path", "kafka"} & set(node.mapping):
        problems.add(node, "'input' needs either 'path', 'table' or 'kafka'")
    elif len(named) > 1:
        problems.add(node, f"'input' has both '{named[0]}' and '{named[1]}'; one is enough")
    where = problems.parsed(node.mapping.get("where"), "'where' of 'input'", parse_sql, "")
    before = len(problems.found)
    kind = "table" if table else _format(node, paths, problems)
    if kafka:
        refuse_misfit(node, kind, problems)
    if where and len(problems.found) == before and kind in ("csv", "json"):
        problems.add(
            node, "'where' of 'input' is for tables and typed formats: a line of text it drops would be lost silently"
        )
    if "schema" in node.mapping and kind not in ("csv", "json"):
        problems.add(node.mapping["schema"], f"'schema' of 'input' is for text formats; {kind} has types of its own")
    return Input(
        path=paths,
        table=table,
        kafka=kafka,
        format=kind,
        where=where,
        options=_options(node, problems),
        timezone=problems.parsed(node.mapping.get("timezone"), "'timezone'", parse_zone, "UTC"),
        batch_time=problems.text(node, "batch_time"),
        allow_empty=problems.parsed(node.mapping.get("allow_empty"), "'allow_empty'", parse_flag, False),
        schema=problems.parsed(node.mapping.get("schema"), "'schema' of 'input'", parse_types, ()),
        filtered_at=Location(node.file, node.key_lines.get("where", node.line)),
    )


def _paths(node: Node, problems: Problems) -> tuple[str, ...]:
    path = node.mapping.get("path")
    if path and path.value == []:
        problems.add(path, "'path' must be a path or a list of them, got an empty list")
    entries = path.value if path and isinstance(path.value, list) else [path] if path else []
    texts = (problems.parsed(entry, "'path'", parse_text, "") for entry in entries)
    return tuple(text for text in texts if text)


def _format(node: Node, paths: tuple[str, ...], problems: Problems) -> str:
    given = node.mapping.get("format")
    if given is not None:
        return str(problems.parsed(given, "'format' of 'input'", choice(*FORMATS).parse, "csv"))
    guesses = {guess_format(path) for path in paths}
    if len(guesses) == 1 and "" not in guesses:
        return guesses.pop()
    if paths:
        problems.add(node, f"'format' of 'input' is needed, the path does not tell it; one of {', '.join(FORMATS)}")
    if "kafka" in node.mapping:
        return "json"
    return "csv"


def guess_format(path: str) -> str:
    """The format a path's extension tells, empty when it does not."""
    parts = path.rstrip("/").rsplit("/", 1)[-1].lower().split(".")
    while len(parts) > 1 and parts[-1] in _COMPRESSIONS:
        parts.pop()
    return _EXTENSIONS.get(parts[-1], "") if len(parts) > 1 else ""


def known_format(path: str, given: str) -> str:
    """The format that is given, or that a path's extension tells. UsageError where that is none of ours."""
    found = given or guess_format(path)
    if found not in FORMATS:
        said = f"'{given}' is not a format" if given else f"{path}: the name does not tell the format"
        raise UsageError(f"{said}; {did_you_mean(given, FORMATS, 'formats')}")
    return found


def refuse_options(names: Iterable[str]) -> None:
    """UsageError for the first option of a reader that may not be set."""
    if wrong := next(filter(None, map(refused_option, names)), ""):
        raise UsageError(wrong)


def _options(node: Node, problems: Problems) -> dict[str, str]:
    options = node.mapping.get("options")
    if options is None:
        return {}
    if not isinstance(options.value, dict):
        problems.add(options, f"'options' of 'input' must be a mapping, got {shown(options.plain())}")
        return {}
    for name, value in options.mapping.items():
        if why := refused_option(name):
            problems.add(value, why)
    return {name: option_text(value.plain()) for name, value in options.mapping.items()}


def refused_option(name: str) -> str:
    """Why an option of a reader may not be set; empty for one that may."""
    why = _OWN_OPTIONS.get(name.lower())
    return f"option '{name}' is not yours to set: {why}" if why else ""


def parse_zone(value: Any) -> str:
    """The name of a time zone."""
    name = parse_text(value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must be a time zone such as UTC or Europe/Berlin, got '{name}'") from None
    return name


def read_outputs(tree: Node, problems: Problems, root: str | None) -> Outputs:
    """Where results go; `root` takes the place of what the file says."""
    node = tree.mapping.get("outputs") or Node({}, tree.file, tree.line)
    if not isinstance(node.value, dict):
        problems.add(node, "'outputs' must be a mapping such as {root: quality-data}")
    problems.unknown_keys(node, OUTPUT_KEYS, "key of 'outputs'")
    kind = problems.parsed(node.mapping.get("format"), "'format' of 'outputs'", choice(*TABLE_FORMATS).parse, "parquet")
    table, quarantine = (problems.text(node, key) for key in ("table", "quarantine_table"))
    if kind != "parquet" and not (table or quarantine):
        problems.add(node, f"'format: {kind}' of 'outputs' needs a 'table' or a 'quarantine_table' to write to")
    if table and table == quarantine:
        problems.add(node.mapping["quarantine_table"], "'quarantine_table' must not be the table of the passed rows")
    place = root or problems.text(node, "root") or Outputs.root
    kms_key = problems.text(node, "quarantine_kms_key")
    if kms_key and place.partition("://")[0] not in ("s3", "s3a", "s3n"):
        problems.add(
            node.mapping["quarantine_kms_key"],
            f"'quarantine_kms_key' is a key of AWS KMS, for a root in S3, and the root is {place}",
        )
    return Outputs(
        root=place,
        quarantine_kms_key=kms_key,
        format=str(kind),
        table=table,
        quarantine_table=quarantine,
        mirror=problems.parsed(node.mapping.get("mirror"), "'mirror'", parse_flag, False),
        views=problems.text(node, "views"),
        flags=problems.parsed(node.mapping.get("flags"), "'flags'", parse_flag, False),
    )


def read_hold(tree: Node, problems: Problems) -> float:
    """The share of quarantined rows above which a batch is held."""
    node = tree.mapping.get("hold") or Node({}, tree.file, tree.line)
    if not isinstance(node.value, dict):
        problems.add(node, "'hold' must be a mapping such as {quarantined_above: 20%}")
    problems.unknown_keys(node, ("quarantined_above",), "key of 'hold'")
    share = problems.parsed(node.mapping.get("quarantined_above"), "'quarantined_above'", parse_ratio, 0.5)
    return float(share)


def read_sensitive(tree: Node, problems: Problems) -> Sensitive:
    """The columns of `columns:` whose values are not to be read."""
    section = tree.mapping.get("columns")
    found = []
    for name, column in section.mapping.items() if section and isinstance(section.value, dict) else ():
        node = column.mapping.get("sensitive") if isinstance(column.value, dict) else None
        if node is not None:
            how = problems.parsed(node, f"'sensitive' of column '{name}'", _parse_sensitive, None)
            found += [(name, how)] if how else []
    return Sensitive(tuple(found))


def _parse_sensitive(value: Any) -> Hiding | None:
    if isinstance(value, bool):
        return Hiding.MASK if value else None
    if value not in ("mask", "hash"):
        raise ValueError(f"must be true, false, mask or hash, got {shown(value)}")
    return Hiding(value)
