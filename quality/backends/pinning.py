"""What a batch stands on, written down at the start of a run: files with size and version, or a table's snapshot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError


@dataclass(frozen=True, order=True)
class PinnedFile:
    """A file of the batch as it was found: a changed size or version means the batch moved under the run. A snapshot
    of a table is one of these too: the table's name, no size, and the snapshot as version."""

    path: str
    size: int
    version: str


def pinned_digest(files: Iterable[PinnedFile], snapshot: str = "") -> str:
    """The input's part of the fingerprint; empty when it cannot be told what the batch stands on."""
    if snapshot:
        return ""
    listed = [[file.path, file.size, file.version] for file in sorted(files)]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def pinned(status: Any) -> PinnedFile:
    """A file by what Hadoop says of it."""
    return PinnedFile(status.getPath().toString(), status.getLen(), _version(status))


def hidden(status: Any) -> bool:
    """Whether Spark passes over a file or directory: `_SUCCESS`, `.part.crc`, an upload that is not complete."""
    name = status.getPath().getName()
    return name.startswith(".") or name.endswith("._COPYING_") or (name.startswith("_") and "=" not in name)


def _version(status: Any) -> str:
    """The object's etag where the store has one, else the time of its last change."""
    try:
        etag = status.getEtag()
    except (Py4JError, TypeError):
        etag = None
    return str(etag or status.getModificationTime())
