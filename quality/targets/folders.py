"""The folder of a live run, for readers that are given a folder and take all that is in it."""

from __future__ import annotations

from quality.errors import StorageError
from quality.storage.commit import CommitRecord
from quality.storage.store import Store


def folder_of(store: Store, record: CommitRecord, side: str = "passed") -> str:
    """The key of the folder that holds exactly the committed files of one side, of which there must be some.

    StorageError when they are in several folders, or the folder has other files, or not all of them.
    """
    files = {file.path: file.size for file in record.files(side)}
    folders = {path.rpartition("/")[0] for path in files}
    if len(folders) > 1:
        raise StorageError(
            f"batch '{record.batch}' of '{record.dataset}' has files in {len(folders)} folders, and a partition or view "
            "reads one; read it by the manifest, or use format iceberg or delta for the table"
        )
    (folder,) = folders
    there = {entry.key: entry.size for entry in store.list(folder) if _is_data(entry.key, folder)}
    if there != files:
        wrong = min(there.items() ^ files.items())[0]
        raise StorageError(
            f"{store.uri(wrong)}: a folder that is read whole must hold the files that were committed and no others; "
            f"this one {'is not of the commit' if wrong not in files else 'is gone or changed'}"
        )
    return folder


def _is_data(key: str, folder: str) -> bool:
    # Spark and Hive skip names that begin so
    return not any(part.startswith(("_", ".")) for part in key[len(folder) + 1 :].split("/"))
