"""The history as tables and views of Athena (and Hive and Trino): statements as text.

The files of the history tell of every run that was judged: also of held ones, of those whose place another took, and of
runs that died before their commit. What counts is told by the commit records, which are lines of JSON and so a table too:
a view `live_*` joins its table with the newest published record of each batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from quality.errors import UsageError
from quality.history import SCHEMAS
from quality.model import Column

#: The keys of a commit record that its table has; the files it lists and the fingerprints are left out.
COMMITS = (
    "dataset string, batch string, batch_time string, seq bigint, run string, run_time string, status string, "
    "decision string, exit_code int, rule_set string, "
    "rows struct<input:bigint,passed:bigint,quarantined:bigint,flagged:bigint>, "
    "action string, of_seq bigint, by string, at string, reason string"
)
#: What a live run is now, where the history tells what it was.
_OF_THE_RECORD = ("seq", "decision")


def statements(
    location: str, database: str, quarantines: Mapping[str, Sequence[Column]], projected: Sequence[str] = ()
) -> list[str]:
    """Every statement in the order to run them, without semicolons.

    `location` is the root as a URI; `quarantines` has the columns of the quarantine of each data set. The tables of the
    history have a partition for each data set: projected from the names in `projected`, else found by MSCK REPAIR.
    """
    location = re.sub(r"^s3[an]://", "s3://", location.rstrip("/"))
    found = [f"CREATE DATABASE IF NOT EXISTS `{database}`", _commits_table(location, database)]
    for table, schema in SCHEMAS.items():
        found.append(_history_table(location, database, table, schema, projected))
        found += [] if projected else [f"MSCK REPAIR TABLE `{database}`.`{table}`"]
    found.append(live_commits(database))
    found += [live_view(database, table, schema) for table, schema in SCHEMAS.items()]
    _refuse_clashes(quarantines)
    for dataset, columns in quarantines.items():
        found.append(_quarantine_table(location, database, dataset, columns))
        found.append(live_quarantine(database, dataset))
    return found


def live_commits(database: str) -> str:
    """The view of the record of each batch that readers go by."""
    return (
        f'CREATE OR REPLACE VIEW "{database}"."live_commits" AS\n'
        f"SELECT {_names(_fields(COMMITS))}\n"
        f"FROM (\n"
        f'  SELECT *, row_number() OVER (PARTITION BY "dataset", "batch" ORDER BY "seq" DESC) AS "newest"\n'
        f'  FROM "{database}"."commits" WHERE "decision" = \'published\'\n'
        f')\nWHERE "newest" = 1'
    )


def live_view(database: str, table: str, schema: str) -> str:
    """The view of a history table that shows live runs only."""
    names = [name for name, _ in _fields(schema)]
    owners = {name: "c" if name in _OF_THE_RECORD else "h" for name in names}
    columns = ", ".join([f'{owners[name]}."{name}"' for name in names] + ['h."dataset"'])
    return (
        f'CREATE OR REPLACE VIEW "{database}"."live_{table}" AS\n'
        f"SELECT {columns}\n"
        # a run that was packed lies in two files until its own is removed; pack- sorts behind every run id
        f'FROM (SELECT *, "$path" AS "_file", max("$path") OVER (PARTITION BY "dataset", "run") AS "_chosen"\n'
        f'  FROM "{database}"."{table}") h JOIN "{database}"."live_commits" c\n'
        f'  ON h."dataset" = c."dataset" AND h."batch" = c."batch" AND h."run" = c."run"\n'
        f'WHERE h."_file" = h."_chosen"'
    )


def live_quarantine(database: str, dataset: str) -> str:
    """The view of the quarantined rows of a data set whose run is live."""
    table = quarantine_table(dataset)
    return (
        f'CREATE OR REPLACE VIEW "{database}"."live_{table}" AS\n'
        f'SELECT q.*\nFROM "{database}"."{table}" q JOIN "{database}"."live_commits" c\n'
        f'  ON c."dataset" = \'{dataset}\' AND q."_quality"."batch" = c."batch" '
        f'AND q."_quality"."run" = c."run"'
    )


def quarantine_table(dataset: str) -> str:
    """The table of a data set's quarantine: Athena's names have letters, digits and `_` alone."""
    return "quarantine_" + re.sub(r"[^a-z0-9_]", "_", dataset)


def _refuse_clashes(datasets: Iterable[str]) -> None:
    first: dict[str, str] = {}
    for dataset in datasets:
        other = first.setdefault(quarantine_table(dataset), dataset)
        if other != dataset:
            raise UsageError(
                f"data sets '{other}' and '{dataset}' would both have the table {quarantine_table(dataset)}; "
                f"name those you need with --dataset, and another --database for the rest"
            )


def _commits_table(location: str, database: str) -> str:
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`commits` (\n{_columns(_fields(COMMITS))}\n)\n"
        f"ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n"
        f"WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')\n"
        f"LOCATION '{location}/commits/'"
    )


def _history_table(location: str, database: str, table: str, schema: str, projected: Sequence[str]) -> str:
    properties = {"parquet.compression": "ZSTD"}
    if projected:
        properties |= {
            "projection.enabled": "true",
            "projection.dataset.type": "enum",
            "projection.dataset.values": ",".join(projected),
        }
    listed = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{table}` (\n{_columns(_fields(schema))}\n)\n"
        f"PARTITIONED BY (`dataset` string)\n"
        f"STORED AS PARQUET\n"
        f"LOCATION '{location}/history/{table}/'\n"
        f"TBLPROPERTIES ({listed})"
    )


def _quarantine_table(location: str, database: str, dataset: str, columns: Sequence[Column]) -> str:
    fields = [(column.name.lower(), _hive_type(column.type)) for column in columns]
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{quarantine_table(dataset)}` (\n{_columns(fields)}\n)\n"
        f"STORED AS PARQUET\n"
        f"LOCATION '{location}/quarantine/{dataset}/_runs/'"
    )


def _fields(schema: str) -> list[tuple[str, str]]:
    """Names and types of a schema text; a comma within brackets is part of a type."""
    found, depth, start = [], 0, 0
    for place, sign in enumerate(f"{schema},"):
        depth += (sign in "<(") - (sign in ">)")
        if sign == "," and depth == 0:
            name, _, kind = schema[start:place].strip().partition(" ")
            found.append((name, kind))
            start = place + 1
    return found


def _hive_type(text: str) -> str:
    kinds = {"timestamp_ntz": "timestamp", "void": "string"}
    return re.sub(r"timestamp_ntz|\bvoid\b", lambda match: kinds[match[0]], text)


def _columns(fields: Iterable[tuple[str, str]]) -> str:
    return ",\n".join(f"  `{name}` {kind}" for name, kind in fields)


def _names(fields: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f'"{name}"' for name, _ in fields)
