"""Settings of Spark on the command line: they may hold secrets."""

from argparse import Namespace

import pytest

from quality import entry
from quality.cli import run_command
from quality.commands.common import settings
from quality.commands.run import _repeated
from quality.errors import UsageError


def test_settings_are_pairs_and_a_value_may_hold_an_equals_sign():
    given = Namespace(conf=["spark.a=1", "spark.b=x=y,z"], accelerate=None)
    assert settings(given) == {"spark.a": "1", "spark.b": "x=y,z"}


def test_comet_is_a_plugin_of_spark():
    assert settings(Namespace(conf=[], accelerate="comet")) == {"spark.plugins": "org.apache.spark.CometPlugin"}


@pytest.mark.parametrize("command", ("run", "plan"))
@pytest.mark.parametrize("text", ("spark.a", "a=secret", "=secret"))
def test_another_setting_is_refused_and_its_value_is_not_told(text, command, rule_file, capsys):
    path = rule_file("version: 1\ndataset: d\ninput: {path: a.csv}\nrules:\n- row_count: {at_least: 1}\n")
    assert run_command([command, str(path), "--batch", "b", "--conf", text]) == 2
    told = capsys.readouterr().err
    assert "--conf takes KEY=VALUE" in told
    assert "secret" not in told


def test_the_command_to_repeat_does_not_tell_the_values():
    words = ["run", "r.yml", "--conf", "spark.k=secret", "--conf=spark.l=secret", "--force", "--batch", "b"]
    assert _repeated(words) == ["run", "r.yml", "--conf", "spark.k=...", "--conf=spark.l=...", "--batch", "b"]


def test_a_job_takes_a_budget_of_scans():
    words = ["--rules", "r.yml", "--batch", "b", "--max-scans"]
    assert entry.parse([*words, "3"]).max_scans == 3
    assert entry.parse(words[:-1]).max_scans is None
    with pytest.raises(UsageError, match="--max-scans is a number of at least 1, got '0'"):
        entry.parse([*words, "0"])
