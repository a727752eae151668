"""The history as tables of Athena: statements that parse, and mean what the records say."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

import pytest
import sqlglot

from quality import cli
from quality.history import SCHEMAS
from quality.model import BatchStatus, Column, Decision
from quality.report.athena import COMMITS, statements
from quality.storage import commit
from quality.storage.commit import CommitRecord
from quality.storage.readers import QUALITY_COLUMN
from quality.storage.store import LocalStore

ORDERS = (Column("id", "bigint"), Column("Price", "decimal(10,2)"), Column("seen", "timestamp_ntz"), QUALITY_COLUMN)
MADE = statements("s3a://bucket/dq/", "quality", {"orders.eu": ORDERS})


def named(words, made=MADE):
    (found,) = [statement for statement in made if words in statement]
    return found


@pytest.mark.parametrize("statement", MADE, ids=lambda text: text.splitlines()[0])
def test_every_statement_is_one_that_athena_parses(statement):
    (tree,) = sqlglot.parse(statement, dialect="athena", error_level=sqlglot.ErrorLevel.RAISE)
    assert tree is not None
    if not statement.startswith("MSCK"):  # which sqlglot knows as a command alone
        assert tree.key == "create"


def test_views_are_trino_too():
    views = [statement for statement in MADE if " VIEW " in statement]
    assert len(views) == 5
    for view in views:
        sqlglot.parse_one(view, dialect="trino", error_level=sqlglot.ErrorLevel.RAISE)


def test_the_tables_are_where_the_files_are():
    places = {
        re.findall(r"`\.`(\w+)`", text)[0]: re.findall(r"LOCATION '(.*)'", text)[0]
        for text in MADE
        if "LOCATION" in text
    }
    assert places == {
        "commits": "s3://bucket/dq/commits/",
        "metrics": "s3://bucket/dq/history/metrics/",
        "results": "s3://bucket/dq/history/results/",
        "runs": "s3://bucket/dq/history/runs/",
        "quarantine_orders_eu": "s3://bucket/dq/quarantine/orders.eu/_runs/",
    }


@pytest.mark.parametrize("table", SCHEMAS)
def test_a_history_table_has_every_column_of_the_files(table):
    tree = sqlglot.parse_one(named(f"EXISTS `quality`.`{table}`"), dialect="athena")
    columns = [column.name for column in tree.this.expressions]
    assert ", ".join(columns) == ", ".join(re.findall(r"(?:^|, )(\w+) ", re.sub(r"<.*?>(?=,| |$)", "", SCHEMAS[table])))
    view = sqlglot.parse_one(named(f'"live_{table}"'), dialect="trino")
    assert view.expression.named_selects == [*columns, "dataset"]


def test_the_table_of_commits_knows_keys_of_real_records_only():
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
    words = ("d", "b", moment, 2, "r", moment, BatchStatus.PASSED, Decision.PUBLISHED, 0, "rules")
    record = CommitRecord(*words, action="rollback", of_seq=1, by="ann", at=moment, reason="why")
    stored = json.loads(record.to_json())
    tree = sqlglot.parse_one(named("`commits`"), dialect="athena")
    assert [column.name for column in tree.this.expressions if column.name not in stored] == []
    assert len(tree.this.expressions) == len(re.findall(r"(?:^|, )\w+ ", COMMITS))


def test_partitions_are_projected_from_a_fixed_list_or_else_looked_for():
    assert [text for text in MADE if text.startswith("MSCK")] == [
        f"MSCK REPAIR TABLE `quality`.`{table}`" for table in SCHEMAS
    ]
    fixed = statements("s3://b", "quality", {}, ["a", "b"])
    assert not [text for text in fixed if text.startswith("MSCK")]
    assert "'projection.dataset.values' = 'a,b'" in named("EXISTS `quality`.`runs`", fixed)


def test_types_are_those_of_athena():
    text = named("`quarantine_orders_eu`")
    assert "`price` decimal(10,2),\n  `seen` timestamp,\n  `_quality` struct<row_id:string" in text


# the command


@pytest.fixture
def quality(capsys, tmp_path):
    store = LocalStore(str(tmp_path / "out"))

    def run(*arguments, datasets=()):
        moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
        for dataset in datasets:
            words = (dataset, "b", moment, 1, "r", moment, BatchStatus.PASSED, Decision.PUBLISHED, 0, "rules")
            commit.commit(store, CommitRecord(*words, columns=(Column("id", "bigint"),)))
        code = cli.run_command(["history", "athena-ddl", "--root", store.root, *arguments])
        found = capsys.readouterr()
        return code, found.out, found.err.replace(store.root, "ROOT")

    return run


def test_the_command_prints_statements_for_what_is_there(quality, tmp_path):
    code, out, err = quality(datasets=["a", "b.c"])
    assert (code, err) == (0, "")
    made = [text.strip() for text in out.split(";\n") if text.strip()]
    assert len(made) == len(sqlglot.parse(out, dialect="athena")) == 16
    assert f"LOCATION 'file://{tmp_path}/out/quarantine/b.c/_runs/'" in out


@pytest.mark.parametrize(
    ("words", "datasets", "code", "message"),
    (
        ((), (), 3, "ROOT has no data sets yet: there is nothing to make tables of"),
        (("--dataset", "flihgts"), ("flights",), 2, "ROOT has no data set 'flihgts'; did you mean 'flights'? data sets: flights"),
        (("--database", "A-b"), ("d",), 2, "--database must be lower-case letters, digits and '_', got 'A-b'"),
        (("--rot", "x"), (), 2, "'--rot' is not an argument; did you mean '--root'? arguments: --help, --debug, --root, --database, --dataset"),
        ((), ("a.b", "a-b"), 2, "data sets 'a-b' and 'a.b' would both have the table quarantine_a_b; name those you need with --dataset, and another --database for the rest"),
    ),
)  # fmt: skip
def test_a_mistake_is_one_clear_message(quality, words, datasets, code, message):
    found, _, err = quality(*words, datasets=datasets)
    assert (found, err.splitlines()[0]) == (code, f"quality: {message}")


def test_a_missing_command_of_the_group_is_told(capsys):
    assert cli.run_command(["history"]) == 2
    assert (
        capsys.readouterr().err.splitlines()[0]
        == "quality: COMMAND is missing; commands: list, show, export, backfill, compact, athena-ddl"
    )
    assert cli.run_command(["history", "athena"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        "quality: 'athena' is not a command; did you mean 'athena-ddl'? commands: list, show, export, backfill, compact, athena-ddl"
    )
