"""Rule types of other packages."""

from __future__ import annotations

import json
import sys

import pytest

from quality import cli, planner
from quality.model import Column
from quality.rule_types import REGISTRY
from quality.rule_types.base import Row
from quality.rulefile import load, plugins
from tests.plugin import MODULE, install

RULES = """version: 1
dataset: orders
input: {path: in.parquet}
columns:
  cents: {multiple_of: 5}
rules:
  - any: [{multiple_of: {column: cents, of: 7}}, {that: "cents < 3"}]
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a plug-in until the test ends."""
    before = dict(REGISTRY)
    monkeypatch.setattr(plugins, "_loaded", set())

    def put(module=MODULE):
        folder = tmp_path / "site"
        folder.mkdir()
        monkeypatch.syspath_prepend(str(install(folder, module)))

    yield put
    REGISTRY.clear()
    REGISTRY.update(before)
    sys.modules.pop("acme_rules", None)


def test_a_type_of_another_package_is_one_of_ours(installed, rule_file, capsys):
    installed()
    path = rule_file(RULES)
    assert cli.run_command(["lint", str(path)]) == 0
    assert cli.run_command(["rules", "multiple_of"]) == 0
    assert "Every number is a multiple of another." in capsys.readouterr().out
    assert cli.run_command(["schema"]) == 0
    assert "multiple_of" in json.dumps(json.loads(capsys.readouterr().out)["properties"]["rules"])
    rule_set = load(path)
    plan = planner.plan(rule_set, Row((Column("cents", "int"),)), text=False)
    assert [check.rule.id for check in plan.row_checks] == ["cents.multiple_of", "cents.any"]
    assert "`cents` % 5 = 0" in plan.row_checks[0].complies


def test_its_arguments_are_checked_as_ours_are(installed, rule_file, capsys):
    installed()
    path = rule_file(RULES.replace("{multiple_of: 5}", "{multiple_of: {off: five}}"))
    assert cli.run_command(["lint", str(path)]) == 2
    assert "'off' is not an argument of 'multiple_of'; did you mean 'of'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "why"),
    (
        ("from dataclasses", "import nowhere_to_be_found\nfrom dataclasses", "ModuleNotFoundError: No module named"),
        ("from dataclasses", "1 / 0\nfrom dataclasses", "ZeroDivisionError: division by zero"),
        ('type = "multiple_of"', 'type = "between"', "there is a rule type 'between' already, in quality.rule_types.values"),
        ('type = "multiple_of"', 'type = "where"', "'where' cannot be the name of a rule type: it is a modifier"),
        ('type = "multiple_of"', 'type = "Multiple Of"', "'Multiple Of' cannot be the name of a rule type"),
        ('    """Every number is a multiple of another."""\n', "", "MultipleOf has no docstring"),
        ("@dataclass(frozen=True)\n", "", "MultipleOf must be a frozen dataclass"),
        ('example = "multiple_of: {column: cents, of: 5}"', 'example = ""', "MultipleOf needs an 'example'"),
        ("class MultipleOf(RowRule)", "class MultipleOf(RuleType)", "MultipleOf must be a RowRule, a MetricRule or a SchemaRule"),
    ),
)  # fmt: skip
def test_what_is_wrong_with_a_plug_in_is_told_by_its_name_and_leaves_no_trace(
    installed, rule_file, capsys, old, new, why
):
    before = dict(REGISTRY)
    installed(MODULE.replace(old, new).replace("import Row, RowRule", "import Row, RowRule, RuleType"))
    for command in (["lint", str(rule_file(RULES))], ["rules"], ["schema"]):
        sys.modules.pop("acme_rules", None)
        assert cli.run_command(command) == 2
        said = capsys.readouterr().err
        assert "the plug-in 'acme' of acme_rules 1.2 (acme_rules) cannot be used: " in said
        assert why in said
    assert before == REGISTRY
