"""The job script: what it makes of a platform's arguments, and the real thing by spark-submit, from a zip."""

import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any, cast

import pyspark
import pytest
from pyspark import SparkContext

from quality import entry, jars
from quality.backends.java import find_java
from quality.doctor import python_check
from quality.entry import DataQualityFailed, main, parse
from quality.errors import EngineError, RuleFileError, UsageError
from quality.storage import rule_files
from quality.storage.rule_files import RuleFiles

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "jobs"

#: As Glue 5 hands it to a script: the job's own arguments, Glue's, ours, in no order.
GLUE_ARGV = (
    *("--enable-metrics", "true", "--enable-observability-metrics", "true", "--enable-spark-ui", "true"),
    *("--spark-event-logs-path", "s3://bucket/spark-ui/", "--enable-glue-datacatalog", "true"),
    *("--extra-jars", "s3://bucket/jars/deequ-2.1.0-spark-3.5.jar", "--user-jars-first", "true"),
    *("--additional-python-modules", "s3://bucket/dist/quality_engine-0.1.0-py3-none-any.whl"),
    *("--rules", "s3://bucket/rules/orders.yml", "--batch", "2024-01-02"),
    *("--job-bookmark-option", "job-bookmark-disable", "--job-language", "python"),
    *("--conf", "spark.sql.shuffle.partitions=20 --conf spark.sql.adaptive.enabled=true"),
    *("--TempDir", "s3://bucket/tmp/", "--enable-continuous-cloudwatch-log", "true"),
    *("--allow_env", "STAGE", "--force", "true"),
    *("--JOB_ID", "j_0d2a", "--JOB_RUN_ID", "jr_77c1", "--JOB_NAME", "quality-orders"),
)
_PARAMETERS = """
    --additional-python-modules --class --conf --continuous-log-conversionPattern --continuous-log-logGroup
    --continuous-log-logStreamPrefix --customer-driver-env-vars --customer-executor-env-vars --datalake-formats
    --disable-proxy-v2 --enable-auto-scaling --enable-continuous-cloudwatch-log --enable-continuous-log-filter
    --enable-glue-datacatalog --enable-job-insights --enable-metrics --enable-observability-metrics --enable-rename-algorithm-v2
    --enable-s3-parquet-optimized-committer --enable-spark-ui --executor-cores --extra-files --extra-jars --extra-py-files
    --job-bookmark-from --job-bookmark-option --job-bookmark-to --job-language --python-modules-installer-option
    --python-virtual-env --scriptLocation --spark-event-logs-path --TempDir --use-postgres-driver --user-jars-first
    --write-shuffle-files-to-s3 --write-shuffle-spills-to-s3 --JOB_ID --JOB_RUN_ID --JOB_NAME --SECURITY_CONFIGURATION
    --RedshiftTempDir --encryption-type --enable-lakeformation-fine-grained-access
"""
GLUE_PARAMETERS = _PARAMETERS.split()
SPARK_SUBMIT_OPTIONS = {
    "--jars",
    "--py-files",
    "--files",
    "--archives",
    "--conf",
    "--deploy-mode",
    "--master",
    "--packages",
}


class TestArguments:
    def test_glues_own_parameters_are_passed_over(self):
        options = parse(GLUE_ARGV)
        assert options.rules == ("s3://bucket/rules/orders.yml",)
        assert options.batches == ("2024-01-02",)
        assert options.force
        assert options.allow_env == {"STAGE"}
        assert options.ignored == ()

    @pytest.mark.parametrize("form", ("--on-fail", "--on_fail"))
    def test_kebab_and_snake_form_are_one_option(self, form):
        assert parse(["--rules", "a.yml", "--batch", "1", form, "report"]).on_fail == "report"

    def test_lists_are_repeated_or_written_with_commas(self):
        options = parse(
            ["--rules", "a.yml,b.yml", "--rules", "c.yml", "--batch", "1", "--batch", "2,1", "--allow-env=A,B"]
        )
        assert options.rules == ("a.yml", "b.yml", "c.yml")
        assert options.batches == ("1", "2")
        assert options.allow_env == {"A", "B"}

    def test_a_comma_in_the_value_of_a_variable_stays(self):
        options = parse(["--rules", "a", "--batch", "1", "--var", "cities=Rome,Paris,day=2", "--var", "x=1=2"])
        assert options.variables == {"cities": "Rome,Paris", "day": "2", "x": "1=2"}

    @pytest.mark.parametrize(
        ("words", "forced"), (("--force", True), ("--force TRUE", True), ("--force false", False), ("", False))
    )
    def test_force_is_true_or_false(self, words, forced):
        assert parse(["--rules", "a", "--batch", "1", *words.split()]).force is forced

    def test_an_empty_value_is_none_given(self):
        options = parse(["--rules", "a", "--batch", "1", "--input", "", "--root", "", "--force", "", "--on-fail", ""])
        assert (options.input, options.root, options.force, options.on_fail) == (None, None, False, "")

    @pytest.mark.parametrize(
        ("written", "meant"),
        (
            ("--rule", "--rules"),
            ("--batches", "--batch"),
            ("--vars", "--var"),
            ("--on_failure", "--on-fail"),
            ("--allowenv", "--allow-env"),
            ("--Root", "--root"),
            ("--logformat=json", "--log-format"),
        ),
    )
    def test_a_mistyped_argument_is_refused(self, written, meant):
        with pytest.raises(UsageError, match=f"is not an argument; did you mean '{meant}'"):
            parse([*GLUE_ARGV, written, "x"])

    @pytest.mark.parametrize("parameter", GLUE_PARAMETERS)
    def test_no_parameter_of_glue_is_taken_for_a_mistake(self, parameter):
        assert parse(["--rules", "a", "--batch", "1", parameter, "true"]).batches == ("1",)

    def test_elsewhere_an_argument_nobody_knows_is_told(self):
        assert parse(["--rules", "a", "--batch", "1", "--color", "red"]).ignored == ("--color", "red")

    @pytest.mark.parametrize(
        ("words", "message"),
        (
            ("--batch 1", "--rules must be given"),
            ("--rules , --batch 1", "--rules must be given"),
            ("", "--rules and --batch must be given"),
            ("--rules a --batch", "expected one argument"),
            ("--rules a --batch 1 --force maybe", "--force is one of true, false, got 'maybe'"),
            ("--rules a --batch 1 --on-fail stop", "--on-fail is one of raise, report, exit, got 'stop'"),
            ("--rules a --batch 1 --var x", "--var takes NAME=VALUE, got 'x'"),
        ),
    )
    def test_what_is_missing_or_wrong_is_said(self, words, message):
        with pytest.raises(UsageError, match=re.escape(message)):
            parse(words.split())

    def test_a_usage_mistake_raises_on_glue_and_exits_elsewhere(self, capsys):
        with pytest.raises(UsageError, match="--batch must be given"):
            main(["--rules", "a.yml", "--JOB_RUN_ID", "jr_1"])
        with pytest.raises(SystemExit, match="2"):
            main(["--rules", "a.yml"])
        assert capsys.readouterr().err.startswith("quality: --batch must be given\n")

    def test_an_unsuitable_python_is_one_clear_line(self, monkeypatch, capsys):
        old = python_check((3, 9))
        monkeypatch.setattr(entry, "python_check", lambda: old)
        with pytest.raises(SystemExit, match="3"):
            main(["--rules", "a.yml", "--batch", "1"])
        assert capsys.readouterr().err.startswith("quality: this is Python 3.9: Python 3.9 is too old; use Python 3.10")


class TestLakeFormation:
    @pytest.mark.parametrize(
        ("argv", "conf"),
        (
            (["--enable-lakeformation-fine-grained-access", "true"], {}),
            (["--enable-lakeformation-fine-grained-access"], {}),
            ([], {"spark.emr-serverless.lakeformation.enabled": "true"}),
        ),
    )
    def test_fine_grained_access_control_is_refused(self, argv, conf):
        with pytest.raises(UsageError, match=r"forbids additional jars .* full table access"):
            entry._refuse_fine_grained(argv, conf)

    def test_what_is_off_is_off(self):
        conf = {"spark.emr-serverless.lakeformation.enabled": "false"}
        entry._refuse_fine_grained(["--enable-lakeformation-fine-grained-access", "false"], conf)

    def test_on_glue_it_ends_before_spark_is_asked(self):
        argv = [*GLUE_ARGV, "--enable-lakeformation-fine-grained-access", "true"]
        with pytest.raises(UsageError, match="fine-grained"):
            main(argv)


RULES = """
version: 1
extends: [../shared/ids.yml]
dataset: orders
vars: {incoming: none}
input: {path: "{{ incoming }}/{{ batch }}.csv", format: csv, options: {header: true}}
columns:
  amount: {type: integer, above: 0}
rules:
  - name: enough rows
    row_count: {at_least: 2}
"""
SHARED = """
version: 1
columns:
  id: {type: integer, required: true}
"""
BATCHES = {
    "good": "id,amount\n1,10\n2,20\n3,30\n",
    "bad": "id,amount\n1,10\n2,20\n3,-30\n",
    "short": "id,amount\n1,10\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Rule files that extend one another, and batches that end in different ways."""
    folder = tmp_path_factory.mktemp("orders")
    for name, text in {"rules/orders.yml": RULES, "shared/ids.yml": SHARED}.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    (folder / "incoming").mkdir()
    for batch, text in BATCHES.items():
        (folder / "incoming" / f"{batch}.csv").write_text(text)
    return folder


def arguments(place, *batches):
    return ["--batch", ",".join(batches), "--var", f"incoming={place / 'incoming'}", "--root", str(place / "results")]


class TestRuleFiles:
    def test_a_uri_is_fetched_with_what_it_extends(self, spark, place):
        with RuleFiles(spark) as files:
            found = files.find((place / "rules" / "orders.yml").as_uri())
            assert found != place / "rules" / "orders.yml"
            assert found.read_text() == RULES
            assert (found.parent / "../shared/ids.yml").read_text() == SHARED
        assert not found.exists()

    def test_a_name_is_looked_for_among_the_files_of_the_job(self, spark, place):
        own = place / "by-name.yml"
        own.write_text(RULES)
        spark.sparkContext.addFile(str(own))
        with RuleFiles(spark) as files:
            assert files.find("by-name.yml").read_text() == RULES
            assert files.find("rules/by-name.yml").read_text() == RULES

    def test_what_is_nowhere_is_said_with_the_places(self, spark, tmp_path):
        with (
            RuleFiles(spark) as files,
            pytest.raises(UsageError, match=r"none\.yml: there is no such rule file, looked in"),
        ):
            files.find("none.yml")
        missing = (tmp_path / "none.yml").as_uri()
        with RuleFiles(spark) as files, pytest.raises(UsageError, match="there is no such rule file"):
            files.find(missing)

    @pytest.mark.parametrize(
        ("extends", "message"),
        (
            ("gone.yml", "'extends': there is no file file:"),
            ("/etc/rules.yml", "relative to its file"),
            ("s3://other/rules.yml", "relative to its file"),
        ),
    )
    def test_an_extended_file_that_cannot_be_had_is_said(self, spark, tmp_path, extends, message):
        (tmp_path / "rules.yml").write_text(f"version: 1\nextends: {extends}\n")
        with RuleFiles(spark) as files, pytest.raises(UsageError, match=message):
            files.find((tmp_path / "rules.yml").as_uri())

    def test_the_views_of_a_rule_file_are_fetched_with_it(self, spark, tmp_path):
        (tmp_path / "rules.yml").write_text("version: 1\noutputs: {views: more/views.yml}\n")
        with RuleFiles(spark) as files, pytest.raises(UsageError, match="'views': there is no file file:"):
            files.find((tmp_path / "rules.yml").as_uri())
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "views.yml").write_text("version: 1\nviews: []\n")
        with RuleFiles(spark) as files:
            found = files.find((tmp_path / "rules.yml").as_uri())
            assert (found.parent / "more/views.yml").read_text() == "version: 1\nviews: []\n"

    def test_files_that_extend_each_other_are_fetched_once(self, spark, tmp_path):
        for one, other in (("a", "b"), ("b", "a")):
            (tmp_path / f"{one}.yml").write_text(f"version: 1\nextends: {other}.yml\n")
        with RuleFiles(spark) as files:
            assert files.find((tmp_path / "a.yml").as_uri()).is_file()

    def test_yaml_that_is_none_is_named_by_its_uri(self, spark, tmp_path):
        (tmp_path / "rules.yml").write_text("version: 1\nversion: 1\n")
        uri = (tmp_path / "rules.yml").as_uri()
        with RuleFiles(spark) as files, pytest.raises(RuleFileError, match=re.escape(uri)):
            files.find(uri)

    @pytest.mark.parametrize(
        ("uri", "parent", "whole"),
        (
            ("s3://bucket/rules/a.yml", "b.yml", "s3://bucket/rules/b.yml"),
            ("s3://bucket/rules/a.yml", "../b.yml", "s3://bucket/b.yml"),
            ("s3://bucket/a.yml", "b.yml", "s3://bucket/b.yml"),
            ("file:/rules/a.yml", "./x/b.yml", "file:/rules/x/b.yml"),
            ("file:///rules/a.yml", "b.yml", "file:///rules/b.yml"),
            ("hdfs://name:8020/r/a.yml", "b.yml", "hdfs://name:8020/r/b.yml"),
        ),
    )
    def test_a_path_beside_a_uri(self, uri, parent, whole):
        assert rule_files._joined(uri, "extends", parent) == whole

    def test_a_path_does_not_leave_the_bucket(self):
        with pytest.raises(UsageError, match="inside the same place"):
            rule_files._joined("s3://bucket/rules/a.yml", "extends", "../../other/b.yml")


class TestOnGlue:
    @pytest.fixture
    def contexts(self, spark, tmp_path, monkeypatch):
        """An awsglue that hands out the running session; the contexts it was asked for."""
        package = tmp_path / "glue" / "awsglue"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "context.py").write_text(
            textwrap.dedent(
                """
                from pyspark.sql import SparkSession

                ASKED = []

                class GlueContext:
                    def __init__(self, context):
                        ASKED.append(context)
                        self.spark_session = SparkSession(context)
                """
            )
        )
        monkeypatch.syspath_prepend(tmp_path / "glue")
        monkeypatch.chdir(tmp_path)
        import awsglue.context  # type: ignore[import-not-found]

        yield awsglue.context.ASKED
        for name in [name for name in sys.modules if name.split(".")[0] == "awsglue"]:
            monkeypatch.delitem(sys.modules, name)

    @staticmethod
    def glue(place, *batches):
        own = ["--rules", str(place / "rules" / "orders.yml"), *arguments(place, *batches)]
        return [*own, "--enable-metrics", "true", "--JOB_NAME", "quality", "--JOB_RUN_ID", "jr_1"]

    def test_a_published_batch_ends_normally_and_spark_lives_on(self, contexts, spark, place, capsys):
        root = logging.getLogger()
        before = (list(root.handlers), root.level)
        main(self.glue(place, "good"))
        assert contexts == [spark.sparkContext]
        assert spark.range(3).count() == 3
        assert (list(root.handlers), root.level) == before
        told, log = capsys.readouterr()
        line, where = told.splitlines()
        assert line.startswith("orders good: passed, published; 0 of ")
        stored = Path(where.removeprefix("result JSON: file://"))
        assert json.loads(stored.read_text())["status"] == "passed"
        assert re.search(r"INFO quality: Deequ from file:.*deequ-2\.1\.0-spark-3\.5\.jar\n", log)
        assert re.search(rf"INFO orders good {stored.parent.name}: measuring\n", log)

    @pytest.mark.parametrize(
        ("batch", "code", "words"),
        (("bad", 1, "failed, published"), ("short", 4, "failed, held"), ("none", 3, "error, nothing published")),
    )
    def test_what_is_not_well_raises_one_line(self, contexts, place, batch, code, words):
        with pytest.raises(DataQualityFailed, match=f"^orders {batch}: {words}; [^\n]*$") as raised:
            main(self.glue(place, batch))
        assert raised.value.exit_code == code

    def test_on_fail_report_ends_normally_and_the_result_is_where_it_was_asked_for(self, contexts, place, tmp_path):
        result = tmp_path / "kept" / "result.json"
        main([*self.glue(place, "good", "short"), "--on-fail", "report", "--result", str(result)])
        whole = json.loads(result.read_text())
        assert whole["schema"] == "quality.results/1"
        assert [one["exit_code"] for one in whole["results"]] == [0, 4]

    def test_a_callback_server_is_shut_down(self, contexts, spark, place):
        gateway = cast("Any", SparkContext._gateway)
        gateway.start_callback_server()
        main(self.glue(place, "good"))
        assert gateway._callback_server.is_shutdown
        gateway._callback_server = None  # another test may want one

    def test_a_mistake_in_the_last_file_is_found_before_the_first_is_run(self, contexts, place, tmp_path):
        (tmp_path / "wrong.yml").write_text("version: 1\ndataset: x\nrules: [{that: a, sevrity: info}]\n")
        argv = ["--rules", "wrong.yml", *self.glue(place, "good")]
        with pytest.raises(RuleFileError, match="sevrity"):
            main([*argv, "--root", str(tmp_path / "unused")])
        assert not (tmp_path / "unused").exists()


def test_without_awsglue_the_running_session_serves(spark, place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "awsglue", types.ModuleType("awsglue"))
    main([*TestOnGlue.glue(place, "good")])
    assert "orders good: passed" in capsys.readouterr().out


def test_a_defect_is_exit_code_3_with_a_traceback(monkeypatch, capsys):
    def broken(options, argv):
        raise KeyError("x")

    monkeypatch.setattr(entry, "run_job", broken)
    with pytest.raises(SystemExit, match="3"):
        main(["--rules", "a", "--batch", "1"])
    with pytest.raises(KeyError):
        main(["--rules", "a", "--batch", "1", "--on-fail", "raise"])


def test_what_leaves_no_result_fails_under_report_too(monkeypatch):
    def broken(options, argv):
        raise EngineError("no Spark")

    monkeypatch.setattr(entry, "run_job", broken)
    with pytest.raises(SystemExit, match="3"):
        main(["--rules", "a", "--batch", "1", "--on-fail", "report"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The wheel of the checkout, as .zip."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    return Path(shutil.copyfile(wheel, wheel.with_suffix(".zip")))


def told(done):
    """What the job says besides its log: spark-submit merges the two streams of a Python program."""
    return [line for line in done.stdout.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]


@pytest.mark.slow
@pytest.mark.network
class TestSparkSubmit:
    """From an empty directory, with the package in a zip: nothing of the checkout can be imported but the script."""

    @pytest.fixture
    def submit(self, archive, tmp_path):
        """Runs the script; returns the finished process. A job that does not end by itself runs into the time-out."""
        cwd = tmp_path / "empty"
        cwd.mkdir()
        local = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        conf = [word for name, value in local.items() for word in ("--conf", f"{name}={value}")]
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SPARK_", "PYSPARK_"))
        }
        own |= {"PYSPARK_PYTHON": sys.executable, "JAVA_HOME": str(find_java().home)}

        def run(argv, *options):
            command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", "local[2]", *conf]
            command += ["--jars", str(jars.fetch()), "--py-files", str(archive), *options, str(JOBS / "quality_job.py")]
            done = subprocess.run(
                [*command, *argv], cwd=cwd, env=own, capture_output=True, text=True, timeout=240, check=False
            )
            assert list(cwd.iterdir()) == []
            return done

        return run

    def test_0_rules_by_uri_and_a_log_for_machines(self, submit, place, archive):
        rules = ["--rules", (place / "rules" / "orders.yml").as_uri()]
        done = submit([*rules, *arguments(place, "good"), "--log-format", "json", "--force"])
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        *log, told = lines
        assert (told["dataset"], told["batch"], told["status"], told["decision"]) == (
            "orders",
            "good",
            "passed",
            "published",
        )
        result = json.loads(Path(told["result"].removeprefix("file://")).read_text())
        assert result["versions"]["deequ"] == "2.1.0-spark-3.5"
        assert result["versions"]["engine"] == "deequ"
        assert "<html" in Path(result["outputs"]["report"].removeprefix("file://")).read_text()
        assert f"from {archive}/quality" in log[0]["message"]
        (measuring,) = [line for line in log if line["message"] == "measuring"]
        assert (measuring["dataset"], measuring["batch"], measuring["run"]) == ("orders", "good", told["run"])

    @pytest.mark.full
    def test_1_rules_by_name_among_the_files(self, submit, place):
        flat = place / "flat"
        flat.mkdir()
        (flat / "orders.yml").write_text(RULES.replace("../shared/", ""))
        files = f"{flat / 'orders.yml'},{place / 'shared' / 'ids.yml'}"
        done = submit(["--rules", "orders.yml", *arguments(place, "bad")], "--files", files)
        assert done.returncode == 1, done.stderr
        line, _ = told(done)
        assert line.startswith("orders bad: failed, published; 1 of 6 rules failed (amount.above); 1 of 3 rows")

    def test_4_is_graver_than_0_and_both_batches_run(self, submit, place):
        done = submit(["--rules", str(place / "rules" / "orders.yml"), *arguments(place, "short", "good"), "--force"])
        assert done.returncode == 4, done.stderr
        first, where, second, _ = told(done)
        assert first.startswith("orders short: failed, held;")
        assert json.loads(Path(where.removeprefix("result JSON: file://")).read_text())["exit_code"] == 4
        assert second.startswith("orders good: passed, published")

    @pytest.mark.full
    def test_3_without_a_batch_there_is_a_result_all_the_same(self, submit, place):
        done = submit(["--rules", str(place / "rules" / "orders.yml"), *arguments(place, "none")])
        assert done.returncode == 3, done.stderr
        where = Path(told(done)[1].removeprefix("result JSON: file://"))
        assert json.loads(where.read_text())["status"] == "error"

    def test_2_a_mistyped_argument(self, submit):
        done = submit(["--rule", "orders.yml", "--batch", "1"])
        assert done.returncode == 2, done.stderr
        assert "quality: '--rule' is not an argument; did you mean '--rules'?\n" in done.stdout


class TestExamples:
    """What jobs/ shows to be copied has no option that nobody knows."""

    @staticmethod
    def example(name):
        return json.loads((JOBS / "examples" / name).read_text(encoding="utf-8"))

    @staticmethod
    def known(words, others):
        """Our parser takes its options; what it leaves is among the others, with a value each."""
        _, rest = entry.parser().parse_known_args(words)
        return {word for word in rest if word.startswith("--")} <= set(others)

    def test_the_glue_job(self):
        given = self.example("glue-job.json")["DefaultArguments"]
        words = [word for pair in given.items() for word in pair]
        assert self.known(words, GLUE_PARAMETERS)
        assert parse([*words, "--batch", "1", "--JOB_ID", "j"]).rules
        assert given["--user-jars-first"] == "true"
        assert jars.DEEQU.file_name in given["--extra-jars"]

    def test_the_emr_serverless_driver(self):
        driver = self.example("emr-serverless-job-driver.json")["sparkSubmit"]
        assert parse(driver["entryPointArguments"]).ignored == ()
        options = {word for word in driver["sparkSubmitParameters"].split() if word.startswith("--")}
        assert options <= SPARK_SUBMIT_OPTIONS

    def test_the_emr_step(self):
        (step,) = self.example("emr-step.json")
        script = next(n for n, word in enumerate(step["Args"]) if word.endswith("quality_job.py"))
        assert parse(step["Args"][script + 1 :]).ignored == ()
        assert {word for word in step["Args"][:script] if word.startswith("--")} <= SPARK_SUBMIT_OPTIONS

    def test_the_forms_of_the_page(self):
        """Every command line with the script in it, and every JSON block."""
        text = (JOBS / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
        lines = [line for kind, block in blocks if kind == "bash" for line in block.replace("\\\n", " ").splitlines()]
        submitted = [shlex.split(line) for line in lines if "quality_job.py" in line and "spark-submit" in line]
        assert submitted
        for words in submitted:
            script = next(n for n, word in enumerate(words) if word.endswith("quality_job.py"))
            assert parse(words[script + 1 :]).ignored == ()
            assert {word for word in words[:script] if word.startswith("--")} <= SPARK_SUBMIT_OPTIONS
        for block in (block for kind, block in blocks if kind == "json"):
            found = json.loads(block)
            if "sparkSubmitJobDriver" in found:
                assert parse(found["sparkSubmitJobDriver"]["entryPointArguments"]).ignored == ()
        for name in re.findall(r"\]\((examples/[^)]+)\)", text):
            assert (JOBS / name).is_file()
