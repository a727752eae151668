"""The files that rules are about, as Hadoop's file systems say: local disks, HDFS, S3. Hashes are made in the JVM, from a
stream: no file is held whole, and no byte of it comes to Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import SparkSession

from quality.backends.pinning import hidden
from quality.backends.reading import Batch, input_errors
from quality.errors import InputError
from quality.rule_types.files import File, FileRule, Found
from quality.rule_types.rules import Rule

_AT_ONCE = 8
_BUFFER = 128 * 1024


def listing(spark: SparkSession, places: Iterable[str]) -> list[list[Any]]:
    """What is in places, for a fingerprint; of one that cannot be read, why."""
    found: list[list[Any]] = []
    files = Files(spark)
    for place in places:
        try:
            found += [[file.path, file.size, str(file.modified)] for file in sorted(files.listed(place), key=str)]
        except InputError as error:
            found.append([place, str(error)])
    return found


@dataclass
class Files:
    """Looks up the files of rules; each place is listed once, each file hashed once. `hashing` is told of each place whose files
    are read."""

    spark: SparkSession
    batch: Batch | None = None
    hashing: Callable[[], None] = lambda: None
    _listed: dict[str, list[File]] = field(default_factory=dict)
    _digests: dict[tuple[str, str], str] = field(default_factory=dict)
    _hashed: set[tuple[str, str]] = field(default_factory=set)

    def of(self, rules: Iterable[Rule]) -> dict[str, Found]:
        """What every rule needs, by its id."""
        return {rule.id: self._found(rule.check) for rule in rules if isinstance(rule.check, FileRule)}

    def _found(self, check: FileRule) -> Found:
        try:
            files = self._hash(check.path, check.chosen(self.listed(check.path)), check.hashed)
            others = check.chosen(self.listed(check.other)) if check.other else []
            return Found(tuple(files), tuple(self._hash(check.other, others, check.hashed)))
        except InputError as error:
            return Found(error=str(error))

    def listed(self, path: str) -> list[File]:
        """The files of a place, those of the batch for ''. Raises InputError when it cannot be read."""
        if path not in self._listed:
            if not path and (self.batch is None or self.batch.snapshot or not self.batch.files):
                raise InputError("the batch is no set of files; name a 'path'")
            with input_errors(path or "the input"):
                self._listed[path] = self._below(path) if path else self._of_batch()
        return self._listed[path]

    def _of_batch(self) -> list[File]:
        assert self.batch is not None
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda file: self._file(self._status(file.path)), self.batch.files))

    def _status(self, path: str) -> Any:
        place, system = self._place(path)
        return system.getFileStatus(place)

    def _place(self, path: str) -> tuple[Any, Any]:
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        return place, place.getFileSystem(self._hadoop)

    def _below(self, path: str) -> list[File]:
        place, system = self._place(path)
        if system.exists(place):
            waiting = [system.getFileStatus(place)]
        else:
            waiting = [status for status in system.globStatus(place) or [] if not hidden(status)]
        found = []
        while waiting:
            status = waiting.pop()
            if status.isDirectory():
                waiting += [child for child in system.listStatus(status.getPath()) if not hidden(child)]
            else:
                found.append(self._file(status))
        return found

    @staticmethod
    def _file(status: Any) -> File:
        written = datetime.fromtimestamp(status.getModificationTime() / 1000, timezone.utc)
        return File(str(status.getPath().toString()), int(status.getLen()), written)

    @property
    def _jvm(self) -> Any:
        return self.spark._jvm

    @property
    def _hadoop(self) -> Any:
        return self.spark._jsparkSession.sessionState().newHadoopConf()

    # hashes

    def _hash(self, place: str, files: Sequence[File], algorithm: str) -> list[File]:
        if not algorithm or not files:
            return [*files]
        if (place, algorithm) not in self._hashed:
            self._hashed.add((place, algorithm))
            self.hashing()
        wanted = [file.path for file in files if (file.path, algorithm) not in self._digests]
        with input_errors(place or "the input"), ThreadPoolExecutor(_AT_ONCE) as pool:
            made = list(pool.map(lambda path: self._digest(path, algorithm), wanted))
        self._digests |= {(path, algorithm): digest for path, digest in zip(wanted, made, strict=True)}
        return [replace(file, digest=self._digests[file.path, algorithm]) for file in files]

    def _digest(self, path: str, algorithm: str) -> str:
        place, system = self._place(path)
        digest = self._jvm.java.security.MessageDigest.getInstance(algorithm)
        nowhere = self._jvm.org.apache.commons.io.output.NullOutputStream()
        stream = self._jvm.java.security.DigestOutputStream(nowhere, digest)
        # closes what it reads, also when it fails
        self._jvm.org.apache.hadoop.io.IOUtils.copyBytes(system.open(place), stream, _BUFFER, True)
        return bytes(digest.digest()).hex()
