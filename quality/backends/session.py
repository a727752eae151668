"""The Spark session a run works in: our own on a laptop, or a copy of the caller's, which is left as it was found.

Rules must judge the same wherever they run, so the settings that change the meaning of SQL text are ours in both cases
(`SESSION_CONF`). The caller's session never sees them: it is cloned, with its settings, temporary views and functions,
and the clone is worked in.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import pyspark
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from quality import jars
from quality.backends.class_archive import ClassArchive, class_archive
from quality.backends.java import find_java
from quality.backends.needs import merged, settings
from quality.errors import EngineError

if TYPE_CHECKING:
    from typing_extensions import Self

#: What a rule means must not depend on whose session it runs in. All can be set while Spark runs.
SESSION_CONF: Mapping[str, str] = {
    # timestamps without a zone, and what is stored, mean UTC everywhere
    "spark.sql.session.timeZone": "UTC",
    # LEGACY reads '2020-02-30' as March 1st; EXCEPTION, the default, throws where the two differ
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    # a cast that does not fit is NULL, a value to judge, and not the end of the whole shared scan
    "spark.sql.ansi.enabled": "false",
    # what is text and what is a name in the SQL that rules become
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.caseSensitive": "false",
    # INT96, the default, has no statistics and is deprecated; other engines read MICROS as what it is
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # dates before 1582: the proleptic calendar Parquet specifies. EXCEPTION, the default, refuses to write them, and to
    # read them from files of pandas, Arrow or DuckDB. Files of Spark 2 say so inside and are rebased all the same.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    # a skipped file is rows that nobody counted: the run has to fail instead
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # HotSpot does not compile methods over 8,000 bytes: past that Spark is faster without whole-stage code generation
    # (a mask of 200 rules: 10.0 s became 3.9)
    "spark.sql.codegen.hugeMethodLimit": "8000",
}

#: Set by whatever starts Python beside a JVM that is there already, or with a cluster's configuration.
_CLUSTER_SIGNS = ("PYSPARK_GATEWAY_PORT", "SPARK_ENV_LOADED", "DATABRICKS_RUNTIME_VERSION", "GLUE_VERSION")

#: How long a JVM may take to end, and one that keeps its classes for later starts.
_ENDING_SECONDS, _KEEPING_SECONDS = 20, 120

_LOG_CONFIGURATION = Path(__file__).with_name("log4j2.properties")


@dataclass
class Session:
    """A session to work in, and what has to be undone after. `owned`: Spark was started by us and ends with `close`;
    `keeps`: that takes some seconds, as its classes are kept for later starts."""

    spark: SparkSession
    owned: bool
    _undo: Callable[[], None]
    keeps: bool = False
    _closed: bool = False

    def close(self) -> None:
        """Stops Spark and its JVM when we started them, else gives the caller's session back. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def session(
    spark: SparkSession | None = None,
    app_name: str = "quality",
    master: str | None = None,
    extra: Mapping[str, str] | None = None,
    *,
    needs: Collection[str] = (),
) -> Session:
    """A session by what there is: the given one, one that runs in this process, the cluster's, or one of our own.
    `app_name`, `master` and `extra` count only for a Spark that is started here; `master` and `needs` (what it must be
    able to do: see `quality.backends.needs`) only on a laptop."""
    if spark is not None:
        return _lent(spark)
    if SparkContext._active_spark_context is not None:
        return _lent(SparkSession.builder.getOrCreate())
    if on_cluster():
        return _started_on_cluster(app_name, extra or {})
    return _started_here(app_name, master, merged(settings(needs), extra or {}), brief="haste" in needs)


def on_cluster() -> bool:
    """Whether spark-submit, Glue, EMR or Databricks started this process (or a `pyspark` shell: it counts as one)."""
    return any(os.environ.get(sign) for sign in _CLUSTER_SIGNS)


def own_session(
    app_name: str = "quality",
    master: str | None = None,
    extra: Mapping[str, str] | None = None,
    *,
    deequ: bool = True,
) -> SparkSession:
    """A new Spark in a JVM of its own, for a laptop (default `local[*]`); the first start fetches the Deequ jar.
    `extra` settings win. Prefer `session`, whose `close` also ends the JVM and removes its scratch files."""
    return _launch(app_name, master, extra or {}, _scratch(), deequ=deequ)[0]


def borrowed_session(spark: SparkSession) -> SparkSession:
    """A copy of `spark` with its settings, temporary views and functions, and `SESSION_CONF` on top. Context, catalog and
    cached tables are shared. Give DataFrames of the original to `adopt` before they are worked with."""
    announce_spark_version(spark.version)
    if not hasattr(spark, "_jsparkSession"):
        raise EngineError(
            "a Spark Connect session cannot be copied; run on a cluster with a Spark session of its own JVM"
        )
    # newSession() would lose the caller's temporary views, which may be the very input
    copy = SparkSession(spark.sparkContext, spark._jsparkSession.cloneSession())
    for key, value in SESSION_CONF.items():
        copy.conf.set(key, value)
    return copy


def adopt(spark: SparkSession, frame: DataFrame) -> DataFrame:
    """`frame`, bound to `spark`: a DataFrame is planned with the settings of the session it came from, whatever other
    session it is combined in. No job runs. Its types stay as they were analysed there."""
    jvm = cast("Any", spark._jvm)
    plan = cast("Any", frame._jdf).queryExecution().analyzed()
    return DataFrame(jvm.org.apache.spark.sql.Dataset.ofRows(spark._jsparkSession, plan), spark)


def announce_spark_version(version: str = pyspark.__version__) -> None:
    """pydeequ asks the environment which Spark it runs on, and raises on import when nothing is said there."""
    os.environ["SPARK_VERSION"] = ".".join(version.split(".")[:2])


def _lent(spark: SparkSession) -> Session:
    active = SparkSession._activeSession
    return Session(borrowed_session(spark), owned=False, _undo=lambda: _reactivate(active or spark))


def _reactivate(spark: SparkSession) -> None:
    """Whatever used the copy made it the session `SparkSession.active()` answers with: the caller's is that again."""
    if spark._sc._jsc is None:
        return  # the caller stopped Spark meanwhile
    SparkSession._activeSession = spark
    cast("Any", spark._jvm).SparkSession.setActiveSession(spark._jsparkSession)


def _started_on_cluster(app_name: str, extra: Mapping[str, str]) -> Session:
    """The platform configured Spark: nothing is added but what the caller asks for. Databricks forbids to stop it."""
    builder = SparkSession.builder.appName(app_name)
    for key, value in extra.items():
        builder = builder.config(key, value)
    platform = builder.getOrCreate()
    if os.environ.get("DATABRICKS_RUNTIME_VERSION"):
        return _lent(platform)
    return Session(borrowed_session(platform), owned=True, _undo=lambda: _end(platform))


def _started_here(app_name: str, master: str | None, extra: Mapping[str, str], *, brief: bool) -> Session:
    scratch = _scratch()
    interrupt = signal.getsignal(signal.SIGINT)
    spark, archive = _launch(app_name, master, extra, scratch, deequ=True, keep=brief)

    def undo() -> None:
        _end(spark, archive)
        shutil.rmtree(scratch, ignore_errors=True)
        # pyspark's handler asks the context it was made for, which is gone, and would swallow the interrupt
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)

    return Session(spark, owned=True, _undo=undo, keeps=bool(archive and archive.part))


def _scratch() -> Path:
    """A directory for what Spark would leave in the working directory; gone with this process at the latest."""
    directory = Path(tempfile.mkdtemp(prefix="quality-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _launch(
    app_name: str,
    master: str | None,
    extra: Mapping[str, str],
    scratch: Path,
    *,
    deequ: bool,
    keep: bool = False,
) -> tuple[SparkSession, ClassArchive | None]:
    if SparkContext._active_spark_context is not None:
        raise EngineError("Spark runs in this process already; a second one cannot be started beside it")
    announce_spark_version()
    java = find_java()
    conf = {**_local_conf(scratch), **SESSION_CONF, **extra}
    said = extra.get("spark.driver.extraJavaOptions", "")
    archive = class_archive(java, said, keep=keep)
    conf["spark.driver.extraJavaOptions"] = _joined(" ", archive.java_options if archive else "", _java_options(), said)
    if deequ:
        conf["spark.jars"] = _joined(",", jars.fetch().as_uri(), extra.get("spark.jars"))
    builder = SparkSession.builder.appName(app_name).master(master or "local[*]")
    for key, value in conf.items():
        builder = builder.config(key, value)
    with _environment(JAVA_HOME=str(java.home), PYSPARK_PYTHON=sys.executable):
        try:
            return builder.getOrCreate(), archive
        except Exception as error:
            _end_jvm()
            if archive:
                archive.ended(whole=False)
            raise EngineError(f"Spark could not be started with {java}: {error}") from error


def _local_conf(scratch: Path) -> dict[str, str]:
    return {
        "spark.ui.enabled": "false",
        # a laptop's host name often resolves to an address of the last network it was in
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        # the commands print their own progress
        "spark.ui.showConsoleProgress": "false",
        # takes effect because the JVM starts with us; Spark's default of 1 GB is little for every core of a laptop
        "spark.driver.memory": f"{_driver_megabytes()}m",
        # 200, the default, is for clusters: most of the time of a small batch would go into empty tasks
        "spark.sql.shuffle.partitions": str(max(8, 2 * (os.cpu_count() or 1))),
        # nothing of Spark's own lands in the working directory
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": (scratch / "warehouse").as_uri(),
    }


def _java_options() -> str:
    # as URI: a blank in a path would end the option
    return f"-Dlog4j2.configurationFile={_LOG_CONFIGURATION.as_uri()}"


def _driver_megabytes() -> int:
    """A quarter of the memory this process may use, between 1 and 8 GB."""
    try:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2048
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        available = min(available, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return max(1024, min(8192, available // 4 // 2**20))


def _joined(separator: str, *parts: str | None) -> str:
    return separator.join(part for part in parts if part)


@contextlib.contextmanager
def _environment(**changes: str) -> Iterator[None]:
    """Changes the environment for what is started inside, and only for that."""
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _end(spark: SparkSession, archive: ClassArchive | None = None) -> None:
    """Stops Spark, and the JVM when it is a child of ours."""
    try:
        if _jvm_died():
            _forget(spark)
        elif spark._sc._jsc is not None:
            spark.stop()
    except (Py4JError, OSError):
        _forget(spark)  # it died in this moment
    finally:
        whole = _end_jvm(_KEEPING_SECONDS if archive and archive.part else _ENDING_SECONDS)
        if archive:
            archive.ended(whole=whole)


def _jvm_died() -> bool:
    process: subprocess.Popen[bytes] | None = getattr(SparkContext._gateway, "proc", None)
    return process is not None and process.poll() is not None


def _forget(spark: SparkSession) -> None:
    """What `stop` does on the Python side: with nobody to answer it would fill the terminal, and stop half way."""
    context = cast("Any", spark._sc)
    context._jsc = None
    SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = None
    SparkSession._activeSession = None


def end_callbacks(gateway: Any) -> None:
    """Shut down the server that the JVM calls back to, if there is one. After a stream its connections wait for the next call, and
    py4j's own way waits for them: they are cut off first."""
    server = gateway.__dict__.get("_callback_server") if gateway is not None else None
    if server is None:
        return
    for connection in list(server.connections):
        with contextlib.suppress(OSError, AttributeError):
            connection.socket.shutdown(socket.SHUT_RDWR)
    gateway.shutdown_callback_server()


def _end_jvm(patience: float = _ENDING_SECONDS) -> bool:
    """Whether the JVM was a child of ours and ended by itself. Without this the JVM and its memory live as long as this Python process, and a callback server, if pydeequ started
    one, keeps the process from ending at all. A JVM that spark-submit started is left to spark-submit."""
    gateway = cast("Any", SparkContext._gateway)
    if gateway is None:
        return False
    process: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    if process is None:
        end_callbacks(gateway)
        return False
    SparkContext._gateway = None
    SparkContext._jvm = None
    with contextlib.suppress(Py4JError, OSError):
        gateway.shutdown()
    if process.stdin is not None:
        # the JVM ends when its standard input does
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.returncode == 0
