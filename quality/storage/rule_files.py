"""Finds the rule files of a job: on this machine, among the files Spark was given, or in any file system Hadoop knows.

Loading a rule file takes local paths, so one given as URI is fetched first, with its views and what
it extends.
"""

from __future__ import annotations

import logging
import posixpath
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from quality.errors import UsageError
from quality.rulefile.nodes import parse
from quality.rulefile.templates import is_template
from quality.storage.hadoop import HadoopStore

if TYPE_CHECKING:
    from typing_extensions import Self

LOG = logging.getLogger(__name__)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
#: `s3://bucket` and `rules/orders.yml`; `file:` or `file://` and the rest.
_PLACE = re.compile(r"(?P<place>[A-Za-z][A-Za-z0-9+.-]+:(//[^/]*)?)/+(?P<path>.*)", re.DOTALL)


class RuleFiles:
    """Finds the rule files of a job. Those given as URI are fetched, with what they extend, into a directory that is
    removed at the end."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._scratch = tempfile.TemporaryDirectory(prefix="quality-rules-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._scratch.cleanup()

    def find(self, text: str) -> Path:
        """A local path of the rule file. UsageError when there is none."""
        if _URI.match(text):
            return self._fetch(text)
        places = self._places(text)
        for place in places:
            if place.is_file():
                return place
        looked = ", ".join(str(place.absolute().parent) for place in places)
        raise UsageError(f"{text}: there is no such rule file, looked in {looked}")

    @staticmethod
    def _places(text: str) -> list[Path]:
        """As it is written; among what --files brought; and where Glue puts --extra-files."""
        name = Path(text).name
        return list(dict.fromkeys((Path(text), Path(SparkFiles.get(name)), Path(name))))

    def _fetch(self, uri: str, child: str = "") -> Path:
        # below the scratch directory as it is there, so that a relative `extends` means the same file
        target = Path(self._scratch.name, *re.split(r"[:/]+", uri))
        if target.is_file():  # extended twice, or in a circle, which `load` reports
            return target
        data = self._read(uri, child)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        if child == "":
            LOG.info("rule file %s fetched", uri)
        for key, path in _named(data, uri):
            self._fetch(_joined(uri, key, path), f"{uri}: '{key}'")
        return target

    def _read(self, uri: str, child: str) -> bytes:
        folder, _, name = uri.rpartition("/")
        try:
            return HadoopStore(folder, self._spark).read(name)
        except FileNotFoundError:
            said = f"{child}: there is no file {uri}" if child else f"{uri}: there is no such rule file"
            raise UsageError(said) from None


def _named(data: bytes, uri: str) -> list[tuple[str, str]]:
    """The files that belong to a rule file, each with the key that names it: those it extends, and its views. What is
    wrong with them is said when they are loaded."""
    if not uri.endswith((".yml", ".yaml", ".json")):
        return []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{uri}: a rule file is UTF-8 text; byte {error.start} is not") from None
    top = parse(text, uri).mapping
    extended, outputs = top.get("extends"), top.get("outputs")
    nodes = extended.value if extended is not None and isinstance(extended.value, list) else [extended]
    found = [("extends", node) for node in nodes]
    found += [("views", outputs.mapping.get("views"))] if outputs is not None else []
    values = [(key, node.value) for key, node in found if node is not None]
    return [(key, value) for key, value in values if isinstance(value, str) and not is_template(value)]


def _joined(uri: str, key: str, parent: str) -> str:
    """The URI of a relative path beside a rule file. UsageError when it leaves the bucket or the file system."""
    found = _PLACE.fullmatch(uri)
    assert found is not None
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(found["path"]), parent))
    if parent.startswith("/") or _URI.match(parent) or whole.startswith(".."):
        raise UsageError(f"{uri}: '{key}' is a path relative to its file and inside the same place, got '{parent}'")
    return f"{found['place']}/{whole}"
