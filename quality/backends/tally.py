"""The tally: one aggregate that counts rule bits and profiles columns, in Java that Spark's own compiler (Janino) builds.

Spark has an aggregate for each single number, and updates each of them for each row. What is wanted of every column takes
some hundred of them, and their sketches are neither mergeable without Spark nor cheap. `Tally` (beside this file, in `jvm/`)
does all of it in one pass over the row and hands out bytes, which `quality.tally` reads. Spark serializes and merges it as it
does its own typed aggregates, so it works in any aggregation and beside a write (`observe`).

No jar has to be on a classpath: the classes are compiled once, put into a jar in the cache, and added to the running Spark as a
user's jar would be; executors fetch it from the driver. Where that cannot be done `tally` is None, and Spark's own aggregates
count the bits.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.column import Column

from quality import jars

#: Not by path: on a cluster this package is a zip.
_SOURCES = files("quality.backends") / "jvm"
_CLASS = "org.quality.Tally"
_PATTERNS = "org.quality.FastPatterns"
LOG = logging.getLogger("quality")
_FOUND: WeakKeyDictionary[SparkContext, Tally | None] = WeakKeyDictionary()

#: What an input is for: a word of rule bits (these come first), a column to profile, the input of a metric, values that are
#: only counted.
WORD, PROFILED, MEASURED, COUNTED = "m", "p", "q", "n"


class Tally:
    """The aggregate, in one Spark."""

    def __init__(self, spark: SparkSession) -> None:
        self.jvm = cast("Any", spark._jvm)

    def column(self, inputs: Sequence[tuple[str, str]]) -> Column:
        """The aggregate over (role, SQL of a column) pairs; its value is bytes."""
        children = self._expressions([F.expr(text) for _, text in inputs])
        made = self.jvm.org.quality.Tally(children, "".join(role for role, _ in inputs), 0, 0)
        return Column(self.jvm.org.apache.spark.sql.Column(made.toAggregateExpression()))

    def key_runs(self, column: Column) -> Column:
        """The aggregate that counts the keys of a sorted bigint column (`jvm/KeyRuns.java`); its value is bytes."""
        made = self.jvm.org.quality.KeyRuns(self._expressions([column]), 0, 0)
        return Column(self.jvm.org.apache.spark.sql.Column(made.toAggregateExpression()))

    def quicken(self, spark: SparkSession) -> None:
        """Let a session of ours match whole texts by tables (`jvm/FullMatch.java`). The SQL of rules stays as it is: the plan
        is changed after it was analysed."""
        methods = cast("Any", spark._jsparkSession).experimental()
        converters = self.jvm.scala.collection.JavaConverters
        known = list(converters.seqAsJavaListConverter(methods.extraOptimizations()).asJava())
        if not any(rule.getClass().getName() == _PATTERNS for rule in known):
            rules = [*known, self.jvm.org.quality.FastPatterns()]
            getattr(methods, "extraOptimizations_$eq")(converters.iterableAsScalaIterable(rules).toList())

    def _expressions(self, columns: Sequence[Column]) -> Any:
        found = [cast("Any", column)._jc.expr() for column in columns]
        return self.jvm.scala.collection.JavaConverters.iterableAsScalaIterable(found).toList()


def tally(spark: SparkSession) -> Tally | None:
    """The tally of this Spark, None where it cannot be had."""
    context = spark.sparkContext
    if context not in _FOUND:
        try:
            _FOUND[context] = _added(spark)
        except (Py4JError, OSError, TypeError, AttributeError) as error:
            LOG.debug("no tally, Spark's own aggregates serve: %s", error)
            _FOUND[context] = None
    return _FOUND[context]


def _added(spark: SparkSession) -> Tally | None:
    jvm = cast("Any", spark._jvm)
    loader = _mutable(jvm.java.lang.Thread.currentThread().getContextClassLoader())
    if loader is None:
        return None
    jar = _jar(jvm, loader)
    # the driver, which is the executor too on a laptop, must know the class under the same loader as what Spark sends back
    loader.addURL(jvm.java.io.File(str(jar)).toURI().toURL())
    cast("Any", spark.sparkContext._jsc).sc().addJar(jar.as_uri())
    loader.loadClass(_CLASS)
    return Tally(spark)


def _mutable(loader: Any) -> Any:
    """The class loader that Spark keeps for users' jars; None when this JVM was started otherwise."""
    while loader is not None:
        if loader.getClass().getName().endswith("MutableURLClassLoader"):
            return loader
        loader = loader.getParent()
    return None


def _jar(jvm: Any, loader: Any) -> Path:
    """The jar of the classes, compiled when the cache has none of these sources for this Java."""
    source = _source()
    version = f"{jvm.java.lang.System.getProperty('java.specification.version')} {jvm.org.apache.spark.package.SPARK_VERSION()}"
    name = f"quality-tally-{hashlib.sha256(f'{version} {source}'.encode()).hexdigest()[:16]}.jar"
    cached = jars.cache_directory() / name
    if cached.exists():
        return cached
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        return _built(jvm, loader, source, cached)
    except OSError:
        # a directory that nobody else writes to: what lies here is run
        private = Path(tempfile.mkdtemp(prefix="quality-"))
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        return _built(jvm, loader, source, private / name)


def _built(jvm: Any, loader: Any, source: str, target: Path) -> Path:
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(loader)
    compiler.cook(source)
    handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".part")
    with os.fdopen(handle, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, code in compiler.getBytecodes().items():
            jar.writestr(name.replace(".", "/") + ".class", bytes(code))
    # two processes may build it at once: each is whole
    Path(partial).replace(target)
    return target


def _source() -> str:
    """All classes as one unit, which is what the compiler takes."""
    imports, bodies, package = set[str](), list[str](), ""
    sources = [file for file in _SOURCES.iterdir() if file.name.endswith(".java")]
    for file in sorted(sources, key=lambda file: file.name):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("import "):
                imports.add(line)
            elif line.startswith("package "):
                package = line
            else:
                bodies.append(line)
    return "\n".join([package, *sorted(imports), *bodies])
