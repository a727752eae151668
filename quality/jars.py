"""The jars Spark needs beside its own, their versions in one place, and the cache that makes every start but the first offline.

Spark's own resolver fetches Deequ once, into a cache directory of ours; from then on sessions name the jar itself
(`spark.jars`) and no resolver runs. A cluster gets the same jar with the options `describe` prints.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quality.backends.java import find_java
from quality.backends.trust import write_trust_store
from quality.errors import EngineError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifact:
    """A jar by its Maven coordinate, and the dependencies of it that must stay away."""

    group: str
    name: str
    version: str
    excludes: tuple[str, ...] = ()

    @property
    def coordinate(self) -> str:
        """`group:name:version`."""
        return f"{self.group}:{self.name}:{self.version}"

    @property
    def file_name(self) -> str:
        """As repositories name it."""
        return f"{self.name}-{self.version}.jar"

    @property
    def resolved_name(self) -> str:
        """As Spark's resolver names it."""
        return f"{self.group}_{self.file_name}"


DEEQU = Artifact(
    "com.amazon.deequ",
    "deequ",
    "2.1.0-spark-3.5",
    excludes=(
        # not in public repositories in the version Deequ asks for; only Deequ's own DQDL classes use it
        "software.amazon.glue:dqdl",
        # Spark brings these; a second copy would be fetched and shadowed
        "org.scalanlp:breeze_2.12",
        "org.apache.spark:spark-core_2.12",
        "org.apache.spark:spark-sql_2.12",
        "org.apache.spark:spark-mllib_2.12",
        "org.scala-lang:scala-library",
        "org.scala-lang:scala-reflect",
        "net.sourceforge.f2j:arpack_combined_all",
    ),
)

#: What plain Spark needs to reach S3 (275 MB); Glue and EMR have their own. The versions are those of Spark's Hadoop.
S3A = (
    # only for encryption by the operating system's OpenSSL
    Artifact("org.apache.hadoop", "hadoop-aws", "3.3.4", excludes=("org.wildfly.openssl:wildfly-openssl",)),
    Artifact("com.amazonaws", "aws-java-sdk-bundle", "1.12.262"),
)

#: Tables as Apache Iceberg keeps them (47 MB).
ICEBERG = (Artifact("org.apache.iceberg", "iceberg-spark-runtime-3.5_2.12", "1.10.1"),)
#: Tables as Delta Lake keeps them (7 MB). Spark brings the parser.
DELTA = (
    Artifact("io.delta", "delta-spark_2.12", "3.3.2", excludes=("org.antlr:antlr4-runtime",)),
    Artifact("io.delta", "delta-storage", "3.3.2"),
)
#: DataFusion Comet: native operators in the place of Spark's (70 MB).
COMET = (Artifact("org.apache.datafusion", "comet-spark-spark3.5_2.12", "0.12.0"),)
#: Topics of Kafka as a source of Spark's (6 MB). Spark brings the codecs, the logging and Hadoop.
KAFKA = (
    Artifact(
        "org.apache.spark",
        "spark-sql-kafka-0-10_2.12",
        "3.5.7",
        excludes=(
            "org.apache.hadoop:hadoop-client-runtime",
            "org.apache.hadoop:hadoop-client-api",
            "com.google.code.findbugs:jsr305",
            "org.apache.spark:spark-tags_2.12",
            "org.scala-lang.modules:scala-parallel-collections_2.12",
        ),
    ),
    Artifact("org.apache.spark", "spark-token-provider-kafka-0-10_2.12", "3.5.7"),
    Artifact(
        "org.apache.kafka",
        "kafka-clients",
        "3.4.1",
        excludes=(
            "org.lz4:lz4-java",
            "org.xerial.snappy:snappy-java",
            "com.github.luben:zstd-jni",
            "org.slf4j:slf4j-api",
        ),
    ),
    Artifact("org.apache.commons", "commons-pool2", "2.11.1"),
)
#: Drivers of databases that references lie in (1 and 14 MB).
POSTGRESQL = (Artifact("org.postgresql", "postgresql", "42.7.7", excludes=("org.checkerframework:checker-qual",)),)
SQLITE = (Artifact("org.xerial", "sqlite-jdbc", "3.46.1.3", excludes=("org.slf4j:slf4j-api",)),)
#: What can be had beside Deequ, by the word for it.
FORMATS = {
    "s3": S3A, "iceberg": ICEBERG, "delta": DELTA, "comet": COMET, "kafka": KAFKA, "postgresql": POSTGRESQL, "sqlite": SQLITE,
}  # fmt: skip
#: Delta works only in a session that was started with these.
DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

#: What starts Comet.
COMET_PLUGIN = "org.apache.spark.CometPlugin"

_FETCH_SECONDS = 600


@dataclass(frozen=True)
class ClusterJars:
    """What a cluster has to be told to have Deequ, and the formats asked for. `cached` is the jar on this machine, to be
    uploaded; `settings` are those Spark has to be started with."""

    coordinate: str
    excludes: tuple[str, ...]
    cached: Path | None
    packages_options: tuple[str, ...]
    jars_options: tuple[str, ...]
    settings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """As `quality jars --format json` prints it."""
        return {
            "coordinate": self.coordinate,
            "excludes": list(self.excludes),
            "cached": None if self.cached is None else str(self.cached),
            "packages_options": list(self.packages_options),
            "jars_options": list(self.jars_options),
            "settings": list(self.settings),
        }


def describe(location: str | None = None, formats: Sequence[str] = ()) -> ClusterJars:
    """The two ways to give a cluster Deequ: by coordinate (it needs a way to a repository) or as a jar at `location`
    (default: the jar on this machine), which is the only way without internet. `formats`: those of FORMATS too; Glue and
    EMR have them, switched on by a parameter of theirs."""
    cached = deequ_jar()
    jar = location or (str(cached) if cached else DEEQU.file_name)
    more = [artifact for name in formats for artifact in FORMATS[name]]
    wanted = (DEEQU, *more)
    excludes = [exclude for artifact in wanted for exclude in artifact.excludes]
    return ClusterJars(
        coordinate=DEEQU.coordinate,
        excludes=DEEQU.excludes,
        cached=cached,
        packages_options=(
            "--packages",
            ",".join(artifact.coordinate for artifact in wanted),
            "--exclude-packages",
            ",".join(excludes),
        ),
        jars_options=("--jars", ",".join([jar, *(str(_present(extra) or extra.file_name) for extra in more)])),
        settings=tuple(f"{key}={value}" for key, value in DELTA_SETTINGS.items()) if "delta" in formats else (),
    )


def cache_directory() -> Path:
    """`$QUALITY_CACHE`, else `$XDG_CACHE_HOME/quality`, else `~/.cache/quality`. Not created here."""
    chosen = os.environ.get("QUALITY_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path("~/.cache").expanduser()) / "quality"


def spark_home() -> Path | None:
    """Where Spark is installed: `$SPARK_HOME`, else the pyspark package, else None. Imports nothing."""
    home = os.environ.get("SPARK_HOME")
    if home:
        return Path(home)
    spec = importlib.util.find_spec("pyspark")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def deequ_jar() -> Path | None:
    """The Deequ jar on this machine: `$QUALITY_DEEQU_JAR`, Spark's own jars, the cache; None when it has to be fetched."""
    named = os.environ.get("QUALITY_DEEQU_JAR")
    if named:
        path = Path(named).expanduser().absolute()
        if not zipfile.is_zipfile(path):
            raise EngineError(f"QUALITY_DEEQU_JAR={named}: there is no such jar")
        return path
    return _present(DEEQU)


def _present(artifact: Artifact) -> Path | None:
    home = spark_home()
    places = [home / "jars" / artifact.file_name] if home else []
    places.append(_ivy_directory() / "jars" / artifact.resolved_name)
    # a jar another process is still writing has no directory at its end yet, so it is not a zip
    return next((place for place in places if zipfile.is_zipfile(place)), None)


def fetch() -> Path:
    """The Deequ jar, fetched into the cache when it is not on this machine yet (about 5 s, 2 MB). Raises EngineError when
    it cannot be had."""
    found = deequ_jar()
    return found if found is not None else _fetched((DEEQU,))[0]


def fetch_format(name: str) -> list[Path]:
    """The jars of one of FORMATS, fetched into the cache when they are not on this machine yet. Raises EngineError when
    they cannot be had."""
    return _fetched(FORMATS[name])


def _fetched(artifacts: Sequence[Artifact]) -> list[Path]:
    present = [_present(artifact) for artifact in artifacts]
    if not all(present):
        with _alone():
            present = [_present(artifact) for artifact in artifacts]
            output = "" if all(present) else _resolve(artifacts)
            present = [_present(artifact) for artifact in artifacts]
    found = [path for path in present if path is not None]
    if len(found) < len(artifacts):
        raise EngineError(f"{_cannot_fetch(artifacts[0])}\n{_last_lines(output)}")
    return found


def resolver_conf(artifacts: Sequence[Artifact] = (DEEQU,)) -> dict[str, str]:
    """The settings with which Spark's resolver fetches artifacts into the cache."""
    conf = {
        "spark.jars.packages": ",".join(artifact.coordinate for artifact in artifacts),
        "spark.jars.excludes": ",".join(exclude for artifact in artifacts for exclude in artifact.excludes),
        "spark.jars.ivy": str(_ivy_directory()),
    }
    settings = os.environ.get("QUALITY_IVY_SETTINGS")
    if settings:
        conf["spark.jars.ivySettings"] = settings
    return conf


def _ivy_directory() -> Path:
    return cache_directory() / "ivy"


def _resolve(artifacts: Sequence[Artifact]) -> str:
    """Runs Spark's resolver, and once more with the machine's certificates when Java's own were not enough."""
    log.info("fetching %s, once", ", ".join(artifact.coordinate for artifact in artifacts))
    with tempfile.TemporaryDirectory(prefix="quality-") as scratch:
        output = _run_resolver(Path(scratch), artifacts, [])
        if "SSLHandshakeException" in output:
            options = write_trust_store(Path(scratch) / "trust.jks")
            output = _run_resolver(Path(scratch), artifacts, options) if options else output
        return output


def _run_resolver(scratch: Path, artifacts: Sequence[Artifact], java_options: list[str]) -> str:
    """Runs an empty program under spark-submit: it resolves the packages first, and no Spark context is started.
    Returns what it said, whether it worked or not."""
    home = spark_home()
    if home is None:
        raise EngineError("pyspark is not installed; install the extra 'local': pip install 'quality-engine[local]'")
    program = scratch / "nothing.py"
    program.write_text("", encoding="utf-8")
    conf = [word for key, value in resolver_conf(artifacts).items() for word in ("--conf", f"{key}={value}")]
    options = ["--driver-java-options", " ".join(java_options)] if java_options else []
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", *conf, *options, str(program)]
    try:
        done = subprocess.run(
            command,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise EngineError(f"{_cannot_fetch(artifacts[0])}\nno answer within {_FETCH_SECONDS} seconds") from slow
    except OSError as error:
        raise EngineError(f"{command[0]} cannot be started: {error}") from error
    return done.stdout


def _environment() -> Mapping[str, str]:
    """Ours, with a Java, this Python, and none of what would attach the new JVM to a running one."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYSPARK_")}
    return {**environment, "JAVA_HOME": str(find_java().home), "PYSPARK_PYTHON": sys.executable}


def _cannot_fetch(artifact: Artifact) -> str:
    by_hand = f", or copy {DEEQU.file_name} here and set QUALITY_DEEQU_JAR to its path" if artifact == DEEQU else ""
    return (
        f"{artifact.coordinate} could not be fetched into {_ivy_directory()}\n"
        f"without internet: set QUALITY_IVY_SETTINGS to an Ivy settings file that names your repository{by_hand}"
    )


def _last_lines(output: str, count: int = 12) -> str:
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "Exception" in line or "not found" in line or "download failed" in line]
    return "\n".join(f"  {line.strip()}" for line in (telling or lines)[-count:])


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One fetch at a time on a machine: Ivy's cache has no lock of its own."""
    directory = cache_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "fetch.lock").open("w")
    except OSError as error:
        raise EngineError(
            f"{directory} cannot be written ({error.strerror}); set QUALITY_CACHE to a directory that can"
        ) from error
    with lock:
        try:
            import fcntl
        except ImportError:  # Windows: two first runs at once are unlikely enough
            yield
            return
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
