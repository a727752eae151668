"""Whole DQDL documents as rule files: the same rules as their converted form, told at their own lines."""

from __future__ import annotations

import pytest

from quality import cli, entry
from quality.errors import RuleFileError, UsageError
from quality.model import Nulls, Severity, Tolerance
from quality.rulefile import load
from quality.rulefile.dqdl.convert import convert_file
from quality.rulefile.lint import lint

TEXT = """# what orders owe
Metadata = { "Version": "1.0", "Owner": "sales" }
Rules = [
    RowCount > 2,
    (IsComplete "id") and (IsUnique "id"),

    ColumnValues "age" between 18 and 65
        where "country = 'SE'" with threshold >= 0.98
]
"""
MODIFIERS = ("id", "check", "where", "nulls", "tolerance", "severity", "on_fail", "metadata")


@pytest.fixture
def dqdl_file(tmp_path):
    def write(text, name="Orders.dqdl"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_rules_are_those_of_the_converted_file_at_the_lines_of_the_document(dqdl_file, tmp_path):
    path = dqdl_file(TEXT)
    converted = tmp_path / "orders.yml"
    converted.write_text(convert_file(path, input_path="in.parquet").text, encoding="utf-8")
    ours, theirs = load(converted), load(path, input_path="in.parquet")
    seen = [[tuple(getattr(rule, word) for word in MODIFIERS) for rule in found.rules] for found in (ours, theirs)]
    assert seen[0] == seen[1]
    assert (theirs.dataset, theirs.owner, theirs.fingerprint) == ("orders", "sales", ours.fingerprint)
    assert [(rule.location.file, rule.location.line) for rule in theirs.rules] == [(str(path), n) for n in (4, 5, 5, 7)]


def test_data_set_input_and_root_come_from_the_caller(dqdl_file):
    found = load(dqdl_file(TEXT), input_path="a.parquet", root="out", dataset="sales.orders")
    assert (found.dataset, found.input.path, found.outputs.root) == ("sales.orders", ("a.parquet",), "out")


def test_without_an_input_it_says_what_names_one(dqdl_file):
    path = dqdl_file(TEXT)
    with pytest.raises(RuleFileError, match=r"Orders\.dqdl:1: 'input' is missing: DQDL names none; .*--input") as told:
        load(path)
    assert len(told.value.problems) == 1


def test_a_rule_file_beside_it_gives_what_dqdl_lacks(dqdl_file, tmp_path):
    dqdl_file(TEXT)
    path = tmp_path / "orders.yml"
    path.write_text(
        "version: 1\nextends: Orders.dqdl\ndataset: sales\ninput: {path: 'in/{{ batch }}.parquet'}\n"
        "defaults: {tolerance: 10%, nulls: skip}\nrules:\n- row_count: {at_most: 9}\n  id: few\n",
        encoding="utf-8",
    )
    found = load(path, batch="b")
    assert (found.dataset, found.input.path) == ("sales", ("in/b.parquet",))
    assert [(rule.id, rule.location.line) for rule in found.rules] == [
        ("row_count", 4), ("id.required", 5), ("id.unique", 5), ("age.values", 7), ("few", 7),
    ]  # fmt: skip


def test_defaults_of_a_rule_file_do_not_change_what_dqdl_means(dqdl_file, tmp_path):
    rule = 'ColumnValues "code" != "x"'
    dqdl_file(f"Rules = [ {rule} ]", "a.dqdl")
    path = tmp_path / "a.yml"
    path.write_text(
        "version: 1\nextends: a.dqdl\ninput: {path: a.parquet}\ndefaults: {tolerance: 10%, nulls: skip, nan: pass, severity: warning}\n"
        f"rules:\n- dqdl: '{rule}'\n  id: inline\n- dqdl: '{rule}'\n  id: own\n  tolerance: 5%\n",
        encoding="utf-8",
    )
    found = [(r.tolerance, r.nulls, r.nan_passes, r.severity) for r in load(path).rules]
    plain = (Tolerance(), Nulls.PASS, False, Severity.WARNING)
    assert found == [plain, plain, (Tolerance(0.05), *plain[1:])]


def test_every_rule_without_an_equal_is_a_mistake_at_its_line(dqdl_file):
    path = dqdl_file('Rules = [\n RowCount > 1,\n RowCount = NULL,\n (DetectAnomalies "RowCount") or (RowCount > 1) ]')
    found = lint(str(path), input_path="a.parquet")
    assert [(problem.line, problem.file) for problem in found.problems] == [(n, str(path)) for n in (3, 4)]
    assert all("does not carry over: " in problem.message for problem in found.problems)


def test_every_mistake_of_syntax_is_told_at_its_line(dqdl_file):
    found = lint(str(dqdl_file("Rules = [\n IsCompleet,\n RowCount ]")), input_path="a.parquet")
    assert [problem.line for problem in found.problems] == [2, 3]


def test_a_mistake_of_meaning_is_told_at_its_line(dqdl_file):
    path = dqdl_file('Rules = [\n RowCount > 1,\n\n ColumnLength "a" > 1 where "b ==" ]')
    found = lint(str(path), input_path="a.parquet")
    assert [problem.line for problem in found.problems] == [4]


def test_lint_takes_input_and_data_set_as_options(dqdl_file, capsys):
    path = dqdl_file(TEXT)
    assert cli.run_command(["lint", str(path), "--input", "a.parquet", "--dataset", "orders"]) == 0
    assert "4 rules, no mistakes" in capsys.readouterr().out
    assert cli.run_command(["lint", str(path), "--input", "a.parquet", "--dataset", "No Such"]) == 2
    assert "'dataset' must be lower-case letters" in capsys.readouterr().err


def test_a_job_takes_the_data_set_of_a_document():
    words = ["--rules", "orders.dqdl", "--batch", "1", "--dataset", "sales"]
    assert entry.parse(words).dataset == "sales"
    with pytest.raises(UsageError, match="--dataset goes with --batch"):
        entry.parse(["--rules", "orders.dqdl", "--stream", "once", "--dataset", "sales"])


@pytest.mark.parametrize("command", ("versions", "publish", "rollback", "quarantine list", "redrive"))
def test_every_command_about_a_data_set_takes_a_document_and_an_id(command, dqdl_file, tmp_path, capsys):
    batch = [] if command == "quarantine list" else ["--batch", "b"]
    given = ["--input", "a.parquet"] if command == "redrive" else []
    words = [*command.split(), str(dqdl_file(TEXT)), *batch, *given, "--root", str(tmp_path), "--dataset", "No Such"]
    assert cli.run_command(words) == 2
    assert "'dataset' must be lower-case letters" in capsys.readouterr().err
