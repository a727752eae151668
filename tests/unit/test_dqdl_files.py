"""Whole DQDL documents as rule files: the same rules as their converted form, told at their own lines."""

from __future__ import annotations

import pytest

from quality import cli, entry
from quality.errors import RuleFileError
from quality.model import Nulls, Severity, Tolerance
from quality.rule_types.base import MetricRule
from quality.rule_types.verdicts import Verdict
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
    path = dqdl_file("Rules = [\n RowCount > 1,\n RowCount = NULL,\n (RowCount > 1) or (RowCount between 2 and 2) ]")
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
    assert entry.parse(["--rules", "orders.dqdl", "--stream", "once", "--dataset", "sales"]).dataset == "sales"


@pytest.mark.parametrize("command", ("versions", "publish", "rollback", "quarantine list", "redrive"))
def test_every_command_about_a_data_set_takes_a_document_and_an_id(command, dqdl_file, tmp_path, capsys):
    batch = [] if command == "quarantine list" else ["--batch", "b"]
    given = ["--input", "a.parquet"] if command == "redrive" else []
    words = [*command.split(), str(dqdl_file(TEXT)), *batch, *given, "--root", str(tmp_path), "--dataset", "No Such"]
    assert cli.run_command(words) == 2
    assert "'dataset' must be lower-case letters" in capsys.readouterr().err


JOINED = """Metadata = {{ {} }}
DataSources = {{ "Primary": "orders", "AdditionalDataSources": ["twin", "known"] }}
Rules = [
    RowCountMatch "twin" > 0.9,
    ReferentialIntegrity "id" "known.id" = 1
]
"""


def test_references_come_from_the_caller(dqdl_file):
    places = {"twin": "s3://b/twin.csv", "known": "table:glue_catalog.db.known"}
    found = load(dqdl_file(JOINED.format("")), input_path="a.parquet", references=places)
    first, second = found.references
    assert (first.name, first.input.path, first.input.format) == ("twin", ("s3://b/twin.csv",), "csv")
    assert (second.name, second.input.path, second.input.table) == ("known", (), "glue_catalog.db.known")
    live = load(dqdl_file(JOINED.format("")), input_path="a.parquet", references={**places, "twin": "dataset:orders"})
    assert live.references[0].dataset == "orders"


def test_a_reference_of_the_caller_goes_before_that_of_a_rule_file(dqdl_file, tmp_path):
    dqdl_file(JOINED.format(""), "a.dqdl")
    path = tmp_path / "a.yml"
    path.write_text(
        "version: 1\nextends: a.dqdl\ninput: {path: a.parquet}\n"
        "references: {twin: {path: old.csv, where: id > 0}, known: {path: 'k/{{ batch }}.parquet'}}\n"
    )
    twin, known = load(path, batch="b", references={"twin": "new/{{ batch }}.parquet"}).references
    assert (twin.input.path, twin.input.where, known.input.path) == (
        ("new/b.parquet",),
        "id > 0",
        ("k/b.parquet",),
    )


def test_a_reference_that_nobody_declares_is_told_with_the_option_that_does(dqdl_file, capsys):
    path = dqdl_file(JOINED.format(""))
    given = ["lint", str(path), "--input", "a.parquet"]
    assert cli.run_command([*given, "--reference", "known=k.parquet"]) == 2
    assert "reference 'twin' is not declared; references: known" in (told := capsys.readouterr().err)
    assert f"{path}:4: " in told
    assert cli.run_command(given) == 2
    assert "there is no section 'references:', and no --reference twin=PATH" in capsys.readouterr().err
    assert cli.run_command([*given, "--reference", "known=k.parquet", "--reference", "twin=t.parquet"]) == 0
    assert cli.run_command([*given, "--reference", "known"]) == 2
    assert "--reference takes NAME=PATH, got 'known'" in capsys.readouterr().err


def test_a_job_takes_references_too():
    words = ["--rules", "a.dqdl", "--batch", "1", "--reference", "twin=s3://b/t.parquet,known=k.csv"]
    assert entry.parse(words).references == {"twin": "s3://b/t.parquet", "known": "k.csv"}
    assert entry.parse(["--rules", "a.dqdl", "--stream", "once", "--reference", "a=b"]).references == {"a": "b"}


def test_a_stream_takes_references_and_a_data_set(dqdl_file, capsys):
    words = ["stream", str(dqdl_file(JOINED.format(""))), "--input", "in/{{ batch }}.csv"]
    places = ["--reference", "known=k.parquet", "--reference", "twin=t.parquet"]
    assert cli.run_command(words) == 2
    assert "no --reference twin=PATH" in capsys.readouterr().err
    assert cli.run_command([*words, *places, "--dataset", "No Such"]) == 2
    assert "'dataset' must be lower-case letters" in capsys.readouterr().err
    # all that is left is what no rule file in DQDL can be blamed for
    assert cli.run_command([*words, *places, "--dataset", "sales"]) == 2
    assert "is the path of a batch; name what a stream reads with --input" in capsys.readouterr().err


def test_convert_writes_where_the_caller_says_references_lie(dqdl_file, tmp_path, capsys):
    path, out = dqdl_file(JOINED.format("")), tmp_path / "orders.yml"
    words = ["convert", str(path), "--input", "a.parquet", "--reference", "twin=t/{{ batch }}.csv", "-o", str(out)]
    assert cli.run_command([*words, "--reference", "known=table:db.known"]) == 0
    assert "stands there until you write it" not in capsys.readouterr().err
    twin, known = load(out, batch="b").references
    assert (twin.input.path, known.input.table) == (("t/b.csv",), "db.known")
    # where one of them is not said, its place is made up
    assert cli.run_command([*words]) == 0
    assert "reference 'known'" in (told := capsys.readouterr().err)
    assert "reference 'twin'" not in told


def test_a_contract_needs_neither_input_nor_places_of_references(dqdl_file, capsys):
    path = dqdl_file(JOINED.format("").replace("Rules = [", "Rules = [ ColumnCount = 3, "))
    assert cli.run_command(["convert", str(path), "--to", "odcs"]) == 0
    assert "it asks another data set, and a contract does not say where that lies" in (told := capsys.readouterr()).err
    assert "1 of 3 rules carried over" in told.err
    assert "input" not in told.err


def test_examples_of_a_document_are_refused_with_where_they_can_stand(dqdl_file, capsys):
    path = dqdl_file(JOINED.format(""))
    assert cli.run_command(["test", str(path), "--reference", "twin=t.csv"]) == 2
    assert "DQDL has no place for examples; write a rule file with 'extends:" in capsys.readouterr().err


def test_anomalies_are_looked_for_as_a_document_says(dqdl_file, tmp_path, capsys):
    path = dqdl_file('Rules = [ DetectAnomalies "RowCount", RowCountMatch "twin" > 0.9 ]')
    words = ["anomalies", "orders", "--batch", "b", "--root", str(tmp_path), "--rules", str(path)]
    assert cli.run_command(words) == 2
    assert "has no data set 'orders'" in capsys.readouterr().err


def test_where_nothing_is_judged_references_are_not_asked_for(dqdl_file, tmp_path, capsys):
    assert (
        cli.run_command(["versions", str(dqdl_file(JOINED.format(""))), "--batch", "b", "--root", str(tmp_path)]) != 0
    )
    assert "data set 'orders'" in (told := capsys.readouterr().err)
    assert "reference" not in told


OPTIONS = {
    '"rowLevelConfiguration.filteredRowLabel": "SKIPPED"': "",
    '"rowLevelConfiguration.filteredRowLabel": "PASSED"': "",
    '"observations.scope": "NONE"': "",
    '"observations.scope": "ALL"': "",
    '"performanceTuning.caching": "CACHE_INPUT"': "the plan decides what is read how often",
    '"rowLevelConfiguration.ruleWithLabels": "ENABLED"': "the labels of a rule stand in the result",
    '"StopJobOnFailureOptions.StopJobOnFailureTiming": "Immediate"': "--on-fail says how the job ends",
}


@pytest.mark.parametrize(("option", "why"), OPTIONS.items())
def test_options_of_a_run_of_aws_hold_or_say_what_holds_in_their_place(dqdl_file, option, why):
    path = dqdl_file(JOINED.format(option))
    found = convert_file(path, input_path="a.parquet")
    told = [loss.why for loss in found.losses if loss.what.startswith("Metadata")]
    assert [why in one for one in told] == [True] * bool(why)
    anomalies = load(path, input_path="a.parquet", references={"twin": "t.csv", "known": "k.csv"}).anomalies
    assert (anomalies is not None and anomalies.severity == Severity.INFO) == ("ALL" in option)


def test_an_option_with_a_value_that_means_nothing_is_a_mistake(dqdl_file):
    path = dqdl_file(JOINED.format('"rowLevelConfiguration.filteredRowLabel": "FAILED"'))
    (problem,) = lint(str(path), input_path="a.parquet", references={"twin": "t.csv", "known": "k.csv"}).problems
    assert problem.line == 1
    assert problem.message.endswith("does not carry over: must be PASSED or SKIPPED, got 'FAILED'")


def test_an_anomaly_in_a_composite_is_a_bound_of_earlier_batches(dqdl_file):
    text = 'Rules = [\n (DetectAnomalies "RowCount") or (DetectAnomalies "ColumnLength" "code") ]'
    *parts, verdict = load(dqdl_file(text), input_path="a.parquet").rules
    assert [(rule.check.type, rule.severity, rule.min_history) for rule in parts] == [
        (word, Severity.INFO, 7) for word in ("row_count", "min_length", "max_length")
    ]
    assert isinstance(verdict.check, Verdict)
    assert verdict.check.term == ("any", ("composite.1", ("all", ("composite.2.1", "composite.2.2"))))
    # nothing is odd beside itself, and what is beyond everything is
    past = [float(n) for n in range(100, 130)]
    held = [rule.check.bounds.resolved(past) for rule in parts if isinstance(rule.check, MetricRule)]
    assert len(held) == 3
    assert all(found.accepts(115) and not found.accepts(200) and not found.accepts(20) for found in held)


def test_an_anomaly_in_a_composite_by_row_is_refused(dqdl_file):
    by_row = 'Metadata = { "compositeRuleEvaluation.method": "ROW" }\nRules = [ (DetectAnomalies "RowCount") or (IsComplete "a") ]'
    (problem,) = lint(str(dqdl_file(by_row)), input_path="a.parquet").problems
    assert "in no string and in no composite by row" in problem.message


def test_zero_for_what_is_not_there_is_asked_for_by_metadata(dqdl_file):
    text = "Rules = [ RowCount > avg(last(5)) ]"
    ((asked,), (plain,)) = (
        load(dqdl_file(head + text), input_path="a.parquet").rules
        for head in ('Metadata = { "min_history": "0" } ', "")
    )
    assert (asked.min_history, plain.min_history) == (0, None)
    told = convert_file(dqdl_file('Metadata = { "min_history": "0" } ' + text), input_path="a.parquet").losses
    assert told == ()
