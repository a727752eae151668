"""One contender in one process: takes tasks as lines of JSON and answers each with a line.

    python -m contenders.worker NAME

The first line has the settings of Spark; the answer to it says that Spark runs. What libraries and Spark print goes to
standard error: standard output is the answers alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import meter

from contenders import Contender, contender, faults

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    kind = contender(sys.argv[1])
    began = time.perf_counter()
    try:
        spark = start(json.loads(sys.stdin.readline()))
        engine = kind(spark)
    except Exception as error:
        _answer(answers, {"error": _words(error)})
        raise
    _answer(answers, {"ready": time.perf_counter() - began, "version": _version(kind)})
    for line in sys.stdin:
        task = json.loads(line)
        try:
            _answer(answers, _done(spark, engine, task))
        except Exception as error:
            print(f"{task}: {error!r}", file=sys.stderr)
            _answer(answers, {"error": _words(error)})
    engine.close()
    spark.stop()


def start(settings: Mapping[str, str]) -> SparkSession:
    """Spark as every contender gets it."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("contender")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _done(spark: SparkSession, engine: Contender, task: dict[str, Any]) -> dict[str, Any]:
    if task["do"] == "prepare":
        faults.prepare(spark, Path(task["data"]), Path(task["truth"]), task["rows"])
        for csv in task.get("csv", ()):
            faults.write_csv(spark, Path(task["data"]), Path(csv))
        return {}
    folder = Path(task["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    action = _action(engine, task["do"], task["data"], folder)
    # what the contender before left in memory is not this one's work
    jvm: Any = spark._jvm
    jvm.System.gc()
    spent, returned = meter.spent(action)
    answer: dict[str, Any] = {"wall": spent.wall, "cpu": spent.cpu}
    if task["do"] == "checks":
        answer["found"] = returned
    if task["do"] == "profile":
        answer["profile"] = returned
    if task["do"] in ("quarantine", "all"):
        answer["sides"] = [
            faults.counted(spark.read.parquet(*side)) if side else [0, 0] for side in (returned.good, returned.bad)
        ]
        answer["found"] = returned.found
    spark.catalog.clearCache()
    return answer


def _action(engine: Contender, name: str, data: str, folder: Path) -> Callable[[], Any]:
    method = getattr(engine, name)
    return (lambda: method(data, folder)) if name in ("copy", "quarantine", "all") else (lambda: method(data))


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _version(kind: type[Contender]) -> str:
    if kind.requirements:
        return version(kind.requirements[0].partition("[")[0].partition("=")[0])
    return "" if kind.deequ else version("pyspark")


def _words(error: BaseException) -> str:
    """The first line says what happened; a Java stack trace follows it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:300]}"


if __name__ == "__main__":
    main()
