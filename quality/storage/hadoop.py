"""Any file system that Hadoop knows (hdfs, viewfs, abfs, gs, ...), through the JVM of a Spark session.

put-if-absent writes under a temporary name and renames without overwriting. HDFS does that in one step; on other
file systems it is as atomic as their rename is.
"""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from py4j.protocol import Py4JJavaError

from quality.errors import EngineError, StorageError
from quality.storage.store import TEMPORARY, Entry, checked_key, hidden

_Names = list[str]


class HadoopStore:
    """A directory of a Hadoop file system. `spark` must be a session in this process: Spark Connect has no JVM here."""

    def __init__(self, root: str, spark: Any) -> None:
        self._root = root.rstrip("/")
        self._spark = spark
        if getattr(spark, "_jvm", None) is None:
            raise EngineError(f"{root}: needs a Spark session with a JVM in this process, which Spark Connect has not")

    @property
    def root(self) -> str:
        return self._root

    def uri(self, key: str) -> str:
        return f"{self._root}/{checked_key(self._root, key)}"

    def read(self, key: str) -> bytes:
        with self._explained("read", key):
            stream = self._files.open(self._path(key))
            try:
                return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
            finally:
                stream.close()

    def put(self, key: str, data: bytes) -> None:
        with self._explained("write", key), self._written(key, data) as temporary:
            self._rename(temporary, self._path(key), "OVERWRITE")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self._explained("write", key), self._written(key, data) as temporary:
            try:
                self._rename(temporary, self._path(key), "NONE")
            except Py4JJavaError as error:
                if _kind(error) == "FileAlreadyExistsException":
                    return False
                raise
            return True

    def list(self, prefix: str = "", *, unfinished: bool = False) -> list[Entry]:
        with self._explained("list", prefix):
            return sorted(self._walk(prefix, unfinished))

    def children(self, prefix: str = "") -> _Names:
        with self._explained("list", prefix):
            top = self._folder(prefix)
            if not _is_directory(self._files, top):
                return []
            names = (status.getPath().getName() for status in self._files.listStatus(top))
            return sorted(name for name in names if not hidden(name))

    def exists(self, key: str) -> bool:
        with self._explained("look at", key):
            try:
                return bool(self._files.getFileStatus(self._path(key)).isFile())
            except Py4JJavaError as error:
                if _kind(error) in _ABSENT:
                    return False
                raise

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._explained("delete", key):
                if self.exists(key):
                    self._files.delete(self._path(key), False)

    def delete_folder(self, prefix: str) -> None:
        with self._explained("delete", prefix):
            self._files.delete(self._path(prefix), True)

    def move(self, source: str, target: str) -> None:
        with self._explained("move", source):
            path = self._path(target)
            self._files.mkdirs(path.getParent())
            self._rename(self._path(source), path, "OVERWRITE")

    def copy(self, source: str, target: str) -> None:
        path = self._path(target)
        temporary = self._jvm.org.apache.hadoop.fs.Path(path.getParent(), TEMPORARY + uuid.uuid4().hex)
        copied = self._jvm.org.apache.hadoop.fs.FileUtil.copy
        with self._explained("copy", source):
            try:
                self._files.mkdirs(path.getParent())
                copied(self._files, self._path(source), self._files, temporary, False, self._configuration)
                self._rename(temporary, path, "OVERWRITE")
            finally:
                with contextlib.suppress(Py4JJavaError):
                    self._files.delete(temporary, False)

    @property
    def _jvm(self) -> Any:
        return self._spark._jvm

    @functools.cached_property
    def _configuration(self) -> Any:
        return self._spark._jsc.hadoopConfiguration()

    @functools.cached_property
    def _files(self) -> Any:
        with self._explained("open", ""):
            return self._folder("").getFileSystem(self._configuration)

    @functools.cached_property
    def _context(self) -> Any:
        # FileSystem.rename cannot be told not to overwrite; FileContext can
        return self._jvm.org.apache.hadoop.fs.FileContext.getFileContext(self._folder("").toUri(), self._configuration)

    def _path(self, key: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self.uri(key))

    def _folder(self, prefix: str) -> Any:
        prefix = prefix.rstrip("/")
        return self._path(prefix) if prefix else self._jvm.org.apache.hadoop.fs.Path(f"{self._root}/")

    @contextlib.contextmanager
    def _written(self, key: str, data: bytes) -> Iterator[Any]:
        """A closed temporary file beside the key, gone afterwards."""
        folder, _, _ = key.rpartition("/")
        temporary = self._path(f"{folder}/{TEMPORARY}{uuid.uuid4().hex}".lstrip("/"))
        try:
            self._write(temporary, data)
            yield temporary
        finally:
            with contextlib.suppress(Py4JJavaError):
                self._files.delete(temporary, False)

    def _write(self, path: Any, data: bytes) -> None:
        stream = self._files.create(path, False)
        try:
            stream.write(bytearray(data))
        finally:
            stream.close()

    def _rename(self, source: Any, target: Any, how: str) -> None:
        kind = self._jvm.org.apache.hadoop.fs.Options.Rename
        options = self._spark.sparkContext._gateway.new_array(kind, 1)
        options[0] = getattr(kind, how)
        self._context.rename(source, target, options)

    def _walk(self, prefix: str, unfinished: bool) -> Iterator[Entry]:
        top = self._folder(prefix)
        start = len(self._folder("").toUri().getPath().rstrip("/")) + 1
        found = self._files.listFiles(top, True) if _is_directory(self._files, top) else None
        while found is not None and found.hasNext():
            status = found.next()
            key = status.getPath().toUri().getPath()[start:]
            if unfinished or not hidden(key):
                modified = datetime.fromtimestamp(status.getModificationTime() / 1000, timezone.utc)
                yield Entry(key, status.getLen(), modified)

    @contextlib.contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except Py4JJavaError as error:
            place = f"{self._root}/{key}".rstrip("/")
            if action in ("read", "move", "copy") and _kind(error) in _ABSENT:
                raise FileNotFoundError(f"{place}: no such file") from None
            reason = str(error.java_exception.getMessage() or _kind(error)).splitlines()[0]
            raise StorageError(f"{place}: cannot {action}: {reason}") from error


_ABSENT = ("FileNotFoundException", "NoSuchFileException")


def _kind(error: Py4JJavaError) -> str:
    return str(error.java_exception.getClass().getSimpleName())


def _is_directory(files: Any, path: Any) -> bool:
    try:
        return bool(files.getFileStatus(path).isDirectory())
    except Py4JJavaError as error:
        if _kind(error) in _ABSENT:
            return False
        raise
