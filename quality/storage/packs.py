"""Packs: one Parquet file in the place of the files of many runs in a history table, and the notes that say which.

The files of a pack are named in commit records for ever, whether they still lie there or not. A note, written when its pack
is whole, says where their rows are: row group n of the pack has the rows of the n-th file. Of several packs that hold a file,
readers take the largest, so everybody takes a run from one place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from quality.errors import StorageError
from quality.storage.commit import parse_utc, utc_text
from quality.storage.layout import history_dir, pack_note_key, packs_dir
from quality.storage.store import Store

SCHEMA = "quality.pack/1"
_PREFIX = "pack-"
# a note that goes while notes are read was replaced by a larger one: look again
_LOOKS = 10


@dataclass(frozen=True)
class Pack:
    """A pack of a history table: the files whose rows it has, in the order of its row groups, and its bytes by their digest."""

    dataset: str
    table: str
    files: tuple[str, ...]
    sha256: str
    size: int
    at: datetime

    @property
    def id(self) -> str:
        """By the files alone: who packs the same files makes the same pack."""
        return pack_id(self.files)

    @property
    def key(self) -> str:
        """The Parquet file."""
        return pack_key(self.table, self.dataset, self.files)

    @property
    def note(self) -> str:
        """What makes it known."""
        return pack_note_key(self.dataset, self.table, self.id)

    def to_json(self) -> bytes:
        """As it is stored."""
        words = {"schema": SCHEMA, "dataset": self.dataset, "table": self.table, "key": self.key, "sha256": self.sha256}
        return (json.dumps({**words, "size": self.size, "at": utc_text(self.at), "files": self.files}) + "\n").encode()


@dataclass(frozen=True)
class Place:
    """Where the rows of a file are: a row group of a pack."""

    key: str
    group: int


def pack_id(files: Iterable[str]) -> str:
    """The name of the pack of these files."""
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()[:32]


def pack_key(table: str, dataset: str, files: Iterable[str]) -> str:
    """Beside the files it has the rows of: tools that list a folder find those of packed runs too."""
    return f"{history_dir(table, dataset)}/{_PREFIX}{pack_id(files)}.parquet"


def is_pack(key: str) -> bool:
    """Whether a key of a history table names a pack: no run id begins like one."""
    return key.rpartition("/")[2].startswith(_PREFIX)


def packs(store: Store, dataset: str) -> list[Pack]:
    """The packs of a data set, the smallest first. StorageError for a note that cannot be read."""
    for _ in range(_LOOKS):
        try:
            found = [_read(store, entry.key) for entry in store.list(packs_dir(dataset)) if entry.key.endswith(".json")]
        except FileNotFoundError:
            continue
        return sorted(found, key=lambda pack: (len(pack.files), pack.key))
    raise StorageError(f"{store.uri(packs_dir(dataset))}: the notes change faster than they can be read")


def places(store: Store, keys: Sequence[str]) -> dict[str, Place]:
    """Where the rows of files of the history are that some pack has; the others are files still."""
    datasets = sorted({key.split("/")[2].removeprefix("dataset=") for key in keys})
    return {
        file: Place(pack.key, group)
        for dataset in datasets
        for pack in packs(store, dataset)
        for group, file in enumerate(pack.files)
    }


def _read(store: Store, key: str) -> Pack:
    data = store.read(key)
    try:
        words = json.loads(data)
        if words["schema"] != SCHEMA:
            raise StorageError(f"{store.uri(key)}: was written by a later version ('{words['schema']}'); upgrade")
        files = tuple(str(file) for file in words["files"])
        found = Pack(
            str(words["dataset"]), str(words["table"]), files, str(words["sha256"]), int(words["size"]),
            parse_utc(words["at"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{store.uri(key)}: is no note of a pack: {error}") from error
    if found.note != key or found.key != words["key"]:
        raise StorageError(f"{store.uri(key)}: is the note of another pack")
    return found
