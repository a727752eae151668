"""Places beside the commit records where readers look: manifests, tables, plain directories, views.

The record decides what is live. A target follows it: it is brought in line after each commit, and again by whoever runs,
publishes or rolls back the batch next, so that a run that was killed in between is made whole.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from quality.errors import StorageError
from quality.rule_types.rules import Outputs, RuleSet
from quality.storage.store import Store
from quality.targets.base import Target
from quality.targets.manifest import Manifest
from quality.targets.mirror import Mirror, mirror_dir

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG = logging.getLogger("quality")


def targets(outputs: Outputs, store: Store, dataset: str, spark: SparkSession | None = None) -> list[Target]:
    """The targets of a data set, in the order they are brought in line."""
    found: list[Target] = [Manifest(store, dataset)]
    found += mirrors(outputs, store, dataset)
    found += tables(outputs, store, dataset, spark) if spark else []
    found += shown(outputs, store, dataset, spark) if spark else []
    return found


def of(rule_set: RuleSet, store: Store, spark: SparkSession | None = None) -> list[Target]:
    """The targets of a rule set."""
    outputs = dataclasses.replace(rule_set.outputs, views=views_file(rule_set))
    return targets(outputs, store, rule_set.dataset, spark)


def views_file(rule_set: RuleSet) -> str:
    """Where the file of views is: relative to the rule file, as it belongs to the rules; empty when there is none."""
    path = rule_set.outputs.views
    return str(Path(rule_set.file).parent / path) if path else ""


def refuse_wrong(rule_set: RuleSet, spark: SparkSession) -> None:
    """Raise RuleFileError for mistakes in the file of views, before anything runs."""
    if rule_set.outputs.views:
        from quality.targets.views import refuse_wrong_views

        refuse_wrong_views(spark, views_file(rule_set))


def known(store: Store, dataset: str) -> list[Target]:
    """What can be told to follow without a rule file: the manifest, and the mirror where there is one."""
    return [Manifest(store, dataset), *([Mirror(store, dataset)] if store.children(mirror_dir(dataset)) else [])]


def mirrors(outputs: Outputs, store: Store, dataset: str) -> list[Target]:
    """The plain directory, when it is asked for."""
    return [Mirror(store, dataset)] if outputs.mirror else []


def tables(outputs: Outputs, store: Store, dataset: str, spark: SparkSession) -> list[Target]:
    """The tables in the catalog, or by path."""
    if outputs.format == "parquet":
        return partitioned(outputs, store, dataset, spark)
    from quality.targets.delta import DeltaTable
    from quality.targets.iceberg import IcebergTable

    kind = {"iceberg": IcebergTable, "delta": DeltaTable}[outputs.format]
    sides = {"passed": outputs.table, "quarantine": outputs.quarantine_table}
    return [kind(spark, store, dataset, side, table) for side, table in sides.items() if table]


def partitioned(outputs: Outputs, store: Store, dataset: str, spark: SparkSession) -> list[Target]:
    """Parquet tables of the catalog, whose partitions are the folders of live runs."""
    named = {"passed": outputs.table, "quarantine": outputs.quarantine_table}
    if not any(named.values()):
        return []
    from quality.targets.catalog import CatalogTable

    return [CatalogTable(spark, store, dataset, table, side) for side, table in named.items() if table]


def shown(outputs: Outputs, store: Store, dataset: str, spark: SparkSession) -> list[Target]:
    """The views, behind the tables: they show those as they are by then."""
    if not outputs.views:
        return []
    from quality.targets.views import Views

    return [Views(spark, store, dataset, outputs)]


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
