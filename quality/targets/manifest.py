"""The symlink manifest of Athena, Hive and Trino."""

from __future__ import annotations

from quality.storage import readers
from quality.storage.store import Store


class Manifest:
    """Lists the live files of each batch in a partition of its own. Every data set has one."""

    name = "the symlink manifest"

    def __init__(self, store: Store, dataset: str) -> None:
        self.store, self.dataset = store, dataset

    def follow(self, batch: str) -> None:
        readers.write_manifest(self.store, self.dataset, batch)
