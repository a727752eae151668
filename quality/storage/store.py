"""Bytes under keys: what every place to keep things can do, and how a local directory does it.

Keys are relative, use `/`, and never leave the root. Writers work under hidden temporary names (`TEMPORARY`) that no
listing shows, so a crash leaves nothing a reader could take for data.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol, TypeVar

from quality.errors import StorageError, UsageError

#: What the names of half-written files begin with. The dot hides them from Spark, Hive and Athena too.
TEMPORARY = ".quality-tmp-"
#: The one of them that stays: while somebody holds a lock on it, another must not make a new one.
LOCK = f"{TEMPORARY}lock"

_T = TypeVar("_T")
# inside a class that has a method `list`, the word no longer means the type
_Names = list[str]


@dataclass(frozen=True, order=True)
class Entry:
    """A stored object: its key, its size in bytes, when it was last written (UTC)."""

    key: str
    size: int
    modified: datetime


class Store(Protocol):
    """A place to keep bytes. Whatever goes wrong is a StorageError with path and reason, but for what is said below."""

    @property
    def root(self) -> str:
        """What the keys are relative to: a URI, or the text of an absolute path."""

    def uri(self, key: str) -> str:
        """The key as Spark is given it. StorageError when the key leaves the root."""

    def read(self, key: str) -> bytes:
        """The whole object. FileNotFoundError when absent."""

    def put(self, key: str, data: bytes) -> None:
        """Replace the object. Readers see the old or the new bytes, never half; it is durable on return."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Create the object, or return False because it exists. Of any number of callers one gets True."""

    def list(self, prefix: str = "", *, unfinished: bool = False) -> list[Entry]:
        """Every object below the prefix, at any depth, sorted by key; none when there is no such prefix. `unfinished`: also
        the half-written files, which nobody but a collector may want to see."""

    def children(self, prefix: str = "") -> _Names:
        """The names directly below the prefix, sorted; folders and objects alike, without a slash."""

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key; a folder is none."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; absent ones are fine. Not atomic: after an error some may be gone."""

    def delete_folder(self, prefix: str) -> None:
        """Remove everything below the prefix, also what no listing shows: empty folders, marks of folders, half-written
        files. Fine when there is nothing. Not atomic."""

    def move(self, source: str, target: str) -> None:
        """Rename, replacing the target. FileNotFoundError when the source is absent."""

    def copy(self, source: str, target: str) -> None:
        """Copy, replacing the target in one step; the bytes are never held whole. FileNotFoundError when the source is
        absent."""


def open_store(root: str, hadoop: Any = None) -> Store:
    """The store of a path or URI; nothing is contacted yet. `hadoop`: a SparkSession, for what only Spark can reach.

    As in Spark, the text of a URI is taken as it is: `%20` is three characters, not a space.
    """
    scheme = _scheme(root)
    if scheme in ("", "file"):
        store = LocalStore(root)
        if os.path.isfile(store.root):
            raise UsageError(f"{store.root} is a file; a root is a directory")
        return store
    if scheme in ("s3", "s3a", "s3n"):
        from quality.storage.s3 import S3Store

        return S3Store(root)
    if hadoop is None:
        raise UsageError(f"{root}: '{scheme}:' needs a Spark session, and there is none; allowed without: {_OWN}")
    from quality.storage.hadoop import HadoopStore

    return HadoopStore(root, hadoop)


_OWN = "a path, file:, s3://, s3a://, s3n://"


def _scheme(root: str) -> str:
    # two letters at least: C:/data is a path; a colon without a slash is a name such as run:1
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", root)
    return match[1].lower() if match else ""


def prove_put_if_absent(store: Store, prefix: str = "") -> None:
    """Write one object twice and take it away again; StorageError when the second write was let through.

    Some servers and proxies accept `If-None-Match` and ignore it. Two runs of a batch would then both be live.
    """
    key = join(prefix, f"{TEMPORARY}probe-{uuid.uuid4().hex}")
    try:
        first, second = store.put_if_absent(key, b"first"), store.put_if_absent(key, b"second")
        if (first, second, store.read(key)) != (True, False, b"first"):
            raise StorageError(f"{store.uri(key)}: a second put-if-absent was not refused; commits are not safe here")
    finally:
        store.delete([key])


def join(prefix: str, name: str) -> str:
    """A key below a prefix, which may be empty."""
    return f"{prefix.rstrip('/')}/{name}" if prefix else name


def checked_key(root: str, key: str) -> str:
    """The key unchanged; StorageError when it would name something outside of the root, or nothing."""
    # keys also come from stored records, which a reader need not trust
    if not key or any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
        raise StorageError(f"{root}: key '{key}' is not a plain path below the root")
    return key


def hidden(key: str) -> bool:
    """Whether a key names a half-written file."""
    return key.rpartition("/")[2].startswith(TEMPORARY)


#: A file system that has no hard links says so in one of these ways.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EMLINK, errno.EXDEV)


class LocalStore:
    """A directory. Files and directory entries are on disk (fsync) before a call returns.

    put-if-absent is `link(2)`: atomic on local disks and NFS. Where there are no hard links (FAT, some FUSE mounts) a
    lock on a file beside it takes its place, which guards against processes of this machine only.
    """

    def __init__(self, root: str) -> None:
        if not root:
            raise UsageError("the root of a store is empty; give a path or URI")
        path = re.sub(r"^file:(//(localhost)?(?=/))?", "", root, flags=re.IGNORECASE)
        if path.startswith("//") and path != root:
            raise UsageError(f"{root}: a file URI names no host; write file:///path")
        # two leading slashes mean the same as one, but not to every reader of a URI
        self._base = re.sub(r"^//+", "/", os.path.abspath(path))

    @property
    def root(self) -> str:
        return self._base

    def uri(self, key: str) -> str:
        # nothing is escaped: Hadoop's Path takes a string literally, so %3A and a blank are read back as they are
        return "file://" + self._path(key)

    def read(self, key: str) -> bytes:
        path = self._path(key)
        with _explained("read", path, absent=True):
            try:
                return Path(path).read_bytes()
            except (IsADirectoryError, NotADirectoryError):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with _explained("write", path), self._written(path, data) as temporary:
            os.replace(temporary, path)
            _sync_directory(os.path.dirname(path))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with _explained("write", path), self._written(path, data) as temporary:
            won = _link(temporary, path)
            _sync_directory(os.path.dirname(path))
            return won

    def list(self, prefix: str = "", *, unfinished: bool = False) -> list[Entry]:
        top = self._folder(prefix)
        with _explained("list", top):
            return sorted(entry for path in _files(top, unfinished) if (entry := self._entry(path)))

    def children(self, prefix: str = "") -> _Names:
        top = self._folder(prefix)
        with _explained("list", top):
            try:
                return sorted(name for name in os.listdir(top) if not name.startswith(TEMPORARY))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def exists(self, key: str) -> bool:
        path = self._path(key)
        with _explained("look at", path):
            return _stat_file(path) is not None

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            with _explained("delete", path):
                _unlink(path)
                self._prune(os.path.dirname(path))

    def delete_folder(self, prefix: str) -> None:
        folder = self._path(prefix)
        with _explained("delete", folder):
            # again when another who deletes the same took a name away under us
            for _ in range(20):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(folder)
                if not os.path.lexists(folder):
                    break
            self._prune(os.path.dirname(folder))

    def move(self, source: str, target: str) -> None:
        old, new = self._path(source), self._path(target)
        with _explained("move", old, absent=True):
            if _stat_file(old) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
            _in_directory(os.path.dirname(new), lambda: os.replace(old, new))
            _sync_directory(os.path.dirname(new))
            self._prune(os.path.dirname(old))

    def copy(self, source: str, target: str) -> None:
        old, new = self._path(source), self._path(target)
        temporary = os.path.join(os.path.dirname(new), TEMPORARY + uuid.uuid4().hex)
        with _explained("copy", old, absent=True):
            if _stat_file(old) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
            try:
                _in_directory(os.path.dirname(new), lambda: _copy_synced(old, temporary))
                os.replace(temporary, new)
            finally:
                _unlink(temporary)
            _sync_directory(os.path.dirname(new))

    def _path(self, key: str) -> str:
        return os.path.join(self._base, checked_key(self._base, key))

    def _folder(self, prefix: str) -> str:
        return self._path(prefix.rstrip("/")) if prefix.rstrip("/") else self._base

    def _entry(self, path: str) -> Entry | None:
        status = _stat_file(path)
        if status is None:  # deleted since the folder was read
            return None
        key = os.path.relpath(path, self._base).replace(os.sep, "/")
        return Entry(key, status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc))

    @contextlib.contextmanager
    def _written(self, path: str, data: bytes) -> Iterator[str]:
        """A synced temporary file with the data, beside the path: renames are atomic within a file system only."""
        folder = os.path.dirname(path)
        temporary = os.path.join(folder, TEMPORARY + uuid.uuid4().hex)
        try:
            _in_directory(folder, lambda: _write_synced(temporary, data))
            yield temporary
        finally:
            _unlink(temporary)

    def _prune(self, folder: str) -> None:
        """Remove the folders that a deletion left empty, as a bucket would: an empty folder is not listed there."""
        while len(folder) > len(self._base):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)


@contextlib.contextmanager
def _explained(action: str, path: str, absent: bool = False) -> Iterator[None]:
    """Turn what the system says into a StorageError; `absent`: a FileNotFoundError stays one."""
    try:
        yield
    except OSError as error:
        if absent and isinstance(error, FileNotFoundError):
            raise
        raise StorageError(f"{path}: cannot {action}: {error.strerror or error}") from error


def _write_synced(path: str, data: bytes) -> None:
    # os.open, not tempfile: the file keeps its mode when it gets its name, and others must be able to read it
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy_synced(source: str, target: str) -> None:
    with open(source, "rb") as old, open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())


def _in_directory(folder: str, action: Callable[[], _T]) -> _T:
    """Run the action with the folder there, again when a deletion pruned it meanwhile."""
    for attempt in range(30):
        _make_directory(folder)
        with contextlib.suppress(FileNotFoundError):
            return action()
        # many that delete may take turns: each wait is a little longer
        time.sleep(attempt / 1000)
    return action()


def _make_directory(folder: str) -> None:
    """Create a folder with its parents, each one's entry on disk."""
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    if parent != folder:
        _make_directory(parent)
    # a parent pruned in between is noticed by the caller, which tries again
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.mkdir(folder)
        _sync_directory(parent)


def _sync_directory(folder: str) -> None:
    """Make new names in a folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network mounts refuse fsync on a directory; the file itself is synced
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def _link(temporary: str, path: str) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # NFS repeats a request whose answer was lost and then reports its own link as someone else's
        return os.stat(temporary).st_nlink == 2
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename_under_lock(temporary, path)
    return True


def _rename_under_lock(temporary: str, path: str) -> bool:
    """put-if-absent without hard links. The system drops the lock of a process that dies, so none is left behind."""
    import fcntl

    lock = os.path.join(os.path.dirname(path), LOCK)
    with open(lock, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.lexists(path):
            return False
        os.replace(temporary, path)
        return True


def _stat_file(path: str) -> os.stat_result | None:
    # not os.path.isfile, which says False where the answer is "permission denied"
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        os.unlink(path)


def _files(top: str, unfinished: bool) -> Iterator[str]:
    for folder, _, names in os.walk(top, onerror=_raise_unless_absent):
        yield from (os.path.join(folder, name) for name in names if unfinished or not name.startswith(TEMPORARY))


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error
