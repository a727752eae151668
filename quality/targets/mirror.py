"""A plain directory for tools that can only list: `mirror/<dataset>/batch=<batch>/part-*.parquet`, copies of what passed.

Not atomic: while a run takes the place of another, such a tool may see rows of both, since no directory can change two
names at once. It never misses rows: the new files come first, then the old ones go. Whoever cannot live with that reads by
the records, the manifest or a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from quality.errors import StorageError
from quality.storage import commit
from quality.storage.commit import CommitRecord, DataFile
from quality.storage.layout import encode_batch
from quality.storage.store import Store

#: Copies at once: on S3 the server does the work, and we wait.
_COPIES = 8


def mirror_dir(dataset: str, batch: str | None = None) -> str:
    """Where a data set, or one batch, is mirrored. Hive and Spark decode the partition as we encode it."""
    return f"mirror/{dataset}" if batch is None else f"mirror/{dataset}/batch={encode_batch(batch)}"


class Mirror:
    """Copies of the passed files of every live run, and nothing else."""

    def __init__(self, store: Store, dataset: str) -> None:
        self.store, self.dataset = store, dataset
        self.name = f"the mirror {store.uri(mirror_dir(dataset))}"

    def follow(self, batch: str) -> None:
        while True:
            before = commit.live(self.store, self.dataset, batch)
            self._copy(batch, _wanted(before, mirror_dir(self.dataset, batch)))
            # another run may have been committed and copied while we copied: the last to copy must have seen it
            if commit.live(self.store, self.dataset, batch) == before:
                return

    def foretell(self, record: CommitRecord) -> list[str]:
        """The files that would be copied and deleted."""
        wanted = _wanted(record, mirror_dir(self.dataset, record.batch))
        there = self._there(record.batch)
        copies = [
            f"copy {self.store.uri(wanted[key].path)} to {self.store.uri(key)}" for key in _missing(wanted, there)
        ]
        return copies + [f"delete {self.store.uri(key)}" for key in there if key not in wanted]

    def _there(self, batch: str) -> dict[str, int]:
        return {entry.key: entry.size for entry in self.store.list(mirror_dir(self.dataset, batch))}

    def _copy(self, batch: str, wanted: Mapping[str, DataFile]) -> None:
        there = self._there(batch)
        with ThreadPoolExecutor(_COPIES) as pool:
            list(pool.map(lambda key: self._copy_file(wanted[key], key), _missing(wanted, there)))
        self.store.delete(key for key in there if key not in wanted)

    def _copy_file(self, file: DataFile, key: str) -> None:
        try:
            self.store.copy(file.path, key)
        except FileNotFoundError:
            raise StorageError(f"{self.store.uri(file.path)}: is gone, and cannot be mirrored") from None


def _missing(wanted: Mapping[str, DataFile], there: Mapping[str, int]) -> list[str]:
    return [key for key, file in wanted.items() if there.get(key) != file.size]


def _wanted(record: CommitRecord | None, folder: str) -> dict[str, DataFile]:
    """The live files by the names of their copies. The run is in the name: a file that has it is never another's."""
    files = record.passed if record else ()
    return {f"{folder}/part-{record.run}-{number:05}.parquet": file for number, file in enumerate(files) if record}
