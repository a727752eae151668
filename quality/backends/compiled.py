"""Small Java classes that Spark's own compiler (Janino) builds at start: where a call from Python for each value would be
slow, or a callback into Python wrong. No jar of ours has to be on any classpath."""

from __future__ import annotations

from typing import Any, cast
from weakref import WeakKeyDictionary

from pyspark import SparkContext
from pyspark.sql import SparkSession

_BUILT: WeakKeyDictionary[SparkContext, dict[str, Any]] = WeakKeyDictionary()


def compiled(spark: SparkSession, name: str, source: str) -> Any:
    """The constructor of the Java class `name`, built from its source once in a JVM."""
    built = _BUILT.setdefault(spark.sparkContext, {})
    if name not in built:
        jvm = cast("Any", spark._jvm)
        compiler = jvm.org.codehaus.janino.SimpleCompiler()
        compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
        compiler.cook(source)
        built[name] = compiler.getClassLoader().loadClass(name).getConstructors()[0]
    return built[name]
