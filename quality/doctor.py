"""What a run needs, looked at one by one: each check says what was found, and what to do where that will not do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quality import jars
from quality.backends.java import find_java
from quality.errors import QualityError

_FIRST_PYTHON = (3, 10)
_AFTER_LAST_PYTHON = (3, 13)
_ENOUGH_BYTES = 1 << 30


@dataclass(frozen=True)
class Check:
    """One finding. `ok` is None when it could not be told or does not matter here; `advice` is empty when all is well."""

    name: str
    ok: bool | None
    found: str
    advice: str = ""


def checks(root: str | None = None) -> list[Check]:
    """Everything a run needs, in the order in which it is needed; with `root` (a path or URI), whether results can be
    kept below it: that writes and removes one small file. A check that breaks is a finding, never an exception."""
    found = [_guarded(name, check) for name, check in _INSTALLATION]
    if root is not None:
        found += [_guarded(name, partial(check, root)) for name, check in _ROOT]
    return found


def python_check(running: tuple[int, int] = sys.version_info[:2]) -> Check:
    """Python 3.10 to 3.12; newer ones by name, because they fail late and confusingly."""
    text = f"{running[0]}.{running[1]}"
    if _FIRST_PYTHON <= running < _AFTER_LAST_PYTHON:
        return Check("python", ok=True, found=text)
    if running >= _AFTER_LAST_PYTHON:
        reason = f"pyspark 3.5 does not run on Python {text}"
    else:
        reason = f"Python {text} is too old"
    return Check("python", ok=False, found=text, advice=f"{reason}; use Python 3.10, 3.11 or 3.12")


def _java() -> Check:
    return Check("java", ok=True, found=str(find_java()))


def _pyspark() -> Check:
    try:
        found = version("pyspark")
    except PackageNotFoundError:
        # clusters put pyspark on the path without installing it
        present = importlib.util.find_spec("pyspark") is not None
        advice = "" if present else "pip install 'quality-engine[local]', or run on a cluster"
        return Check(
            "pyspark", ok=None if present else False, found="on the path" if present else "missing", advice=advice
        )
    if not found.startswith("3.5."):
        return Check(
            "pyspark", ok=False, found=found, advice="Deequ is built for Spark 3.5: pip install 'pyspark>=3.5,<3.6'"
        )
    home = os.environ.get("SPARK_HOME")
    if home and not list(Path(home).glob("jars/spark-core_*-3.5.*.jar")):
        advice = f"SPARK_HOME={home} holds no Spark 3.5 and comes before pyspark's own: unset it"
        return Check("pyspark", ok=False, found=found, advice=advice)
    return Check("pyspark", ok=True, found=found)


def _deequ_jar() -> Check:
    found = jars.deequ_jar()
    if found is None:
        advice = f"the first run fetches it (2 MB, about 5 s) into {jars.cache_directory()}; 'quality jars' does it now"
        return Check("deequ jar", ok=None, found="not on this machine yet", advice=advice)
    return Check("deequ jar", ok=True, found=str(found))


def _pydeequ() -> Check:
    found = version("pydeequ")
    fits = found.startswith("1.7.")
    return Check("pydeequ", ok=fits, found=found, advice="" if fits else "pip install 'pydeequ==1.7.*'")


def _boto3() -> Check:
    return Check("boto3", ok=True, found=version("boto3"))


def _writable(root: str) -> Check:
    path = _local_path(root)
    if path is None:
        return Check("space", ok=None, found=f"{root} is not on this machine's disk")
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir():
        return Check("space", ok=False, found=f"{existing} is not a directory", advice="choose another root")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            "space", ok=False, found=f"{existing} cannot be written", advice="change its owner, or choose another root"
        )
    free = shutil.disk_usage(existing).free
    advice = "" if free >= _ENOUGH_BYTES else "a run writes about as much as it reads: free some space"
    return Check(
        "space", ok=free >= _ENOUGH_BYTES, found=f"{free / 2**30:,.1f} GB free below {existing}", advice=advice
    )


def _put_if_absent(root: str) -> Check:
    """Two writers, one winner: what the commit of a batch rests on. Some S3 look-alikes accept the header and ignore it."""
    from quality.storage.store import open_store

    store = open_store(root)
    key = f"_doctor/{uuid.uuid4()}"
    first = store.put_if_absent(key, b"first")
    try:
        second = store.put_if_absent(key, b"second")
    finally:
        store.delete([key])
    if first and not second:
        return Check("put-if-absent", ok=True, found="the second writer is refused")
    found = "the second writer overwrote the first" if second else "the first write was refused"
    advice = "two runs of one batch could both publish: keep commits where conditional writes are enforced"
    return Check("put-if-absent", ok=False, found=found, advice=advice)


def _local_path(root: str) -> Path | None:
    parts = urlsplit(root)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(root).absolute()


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except PackageNotFoundError:
        return Check(name, ok=False, found="missing", advice=f"pip install {name}")
    except QualityError as error:
        problem, _, advice = str(error).partition("\n")
        return Check(name, ok=False, found=problem, advice=advice)
    except Exception as error:
        return Check(name, ok=False, found=f"{type(error).__name__}: {error}", advice="see the message")


_INSTALLATION: tuple[tuple[str, Callable[[], Check]], ...] = (
    ("python", python_check),
    ("java", _java),
    ("pyspark", _pyspark),
    ("deequ jar", _deequ_jar),
    ("pydeequ", _pydeequ),
    ("boto3", _boto3),
)

_ROOT: tuple[tuple[str, Callable[[str], Check]], ...] = (
    ("space", _writable),
    ("put-if-absent", _put_if_absent),
)
