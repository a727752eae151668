"""What a plain Spark on a laptop must be given beyond Deequ before it starts: S3, Kafka, Iceberg, Delta, Comet.

Jars and the settings named here are fixed when the JVM starts, so the needs of all rule files of a run are found first.
A cluster has its own and is told nothing.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from quality import jars
from quality.backends.tables import TableName
from quality.rule_types.files import FileRule
from quality.rule_types.rules import RuleSet

NEEDS = ("s3", "iceberg", "delta", "comet", "kafka", "postgresql", "sqlite")
#: Drivers of databases: one that the user gives is not fetched.
_DRIVERS = ("postgresql", "sqlite")
#: Settings with several values, separated by commas.
_LISTS = ("spark.jars", "spark.jars.packages", "spark.sql.extensions")
#: A JVM that reads no more than a few batches of so few bytes together ends before HotSpot's second compiler has paid: it takes
#: half of the CPU time of a first run. From some ten runs on it pays.
_BRIEF_BATCHES, _BRIEF_BYTES = 4, 8 * 2**20


def needs(rule_sets: Iterable[RuleSet], conf: Mapping[str, str] | None = None) -> frozenset[str]:
    """Those of NEEDS that rule files have, by what they name and by what the user configures; and `haste` for a few small
    batches."""
    rule_sets = tuple(rule_sets)
    texts = [text for rule_set in rule_sets for text in _texts(rule_set)] + list((conf or {}).values())
    brief = ("haste",) if _are_brief(rule_sets) else ()
    given = " ".join(value for key, value in (conf or {}).items() if key in _LISTS)
    wanted = [need for need in NEEDS if any(_is_sign(need, text) for text in texts)]
    return frozenset((*(need for need in wanted if need not in _DRIVERS or need not in given), *brief))


def settings(wanted: Iterable[str]) -> dict[str, str]:
    """The settings that answer the needs; jars are fetched the first time. EngineError when they cannot be had."""
    return merged(*(_SETTINGS[need]() for need in _SETTINGS if need in frozenset(wanted)))


def merged(*several: Mapping[str, str]) -> dict[str, str]:
    """All settings; the later win, but for lists, which are joined."""
    found: dict[str, str] = {}
    for one in several:
        for key, value in one.items():
            both = [found[key], value] if key in _LISTS and found.get(key) else [value]
            found[key] = ",".join(dict.fromkeys(word for text in both for word in text.split(",") if word))
            if key not in _LISTS:
                found[key] = value
    return found


def s3a_settings() -> dict[str, str]:
    """What plain Spark needs to reach `s3://`: the jars, the standard credential chain (boto3's too), and the endpoint the
    standard AWS variables name."""
    conf = {
        "spark.jars": _uris("s3"),
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
        # without markers there is nothing to delete after every file written
        "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        conf["spark.hadoop.fs.s3a.endpoint"] = endpoint
        conf["spark.hadoop.fs.s3a.path.style.access"] = "true"
        conf["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(endpoint.startswith("https:")).lower()
    return conf


def _iceberg_settings() -> dict[str, str]:
    # its SQL extensions are not needed for what is done here; where its tables are is for the user to say
    return {"spark.jars": _uris("iceberg")}


def _delta_settings() -> dict[str, str]:
    return {"spark.jars": _uris("delta"), **jars.DELTA_SETTINGS}


def _comet_settings() -> dict[str, str]:
    # its operators keep their memory outside of Java's
    memory = {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "2g"}
    return {"spark.jars": _uris("comet"), "spark.plugins": jars.COMET_PLUGIN, **memory}


def _kafka_settings() -> dict[str, str]:
    return {"spark.jars": _uris("kafka")}


def _hasty_settings() -> dict[str, str]:
    return {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}


def _uris(need: str) -> str:
    return ",".join(path.as_uri() for path in jars.fetch_format(need))


_SETTINGS = {
    "s3": s3a_settings,
    "iceberg": _iceberg_settings,
    "delta": _delta_settings,
    "comet": _comet_settings,
    "kafka": _kafka_settings,
    "postgresql": lambda: {"spark.jars": _uris("postgresql")},
    "sqlite": lambda: {"spark.jars": _uris("sqlite")},
    "haste": _hasty_settings,
}


def _is_sign(need: str, text: str) -> bool:
    """Whether a text of a rule file, or the value of a setting, says that something is needed."""
    if need in _DRIVERS:
        return text.lower().startswith(f"jdbc:{need}:")
    if need == "s3":
        return text.startswith(("s3://", "s3a://", "s3n://"))
    package = {
        "iceberg": ("org.apache.iceberg.",),
        "delta": ("org.apache.spark.sql.delta.", "io.delta."),
        "comet": (jars.COMET_PLUGIN,),
        "kafka": ("org.apache.spark.sql.kafka010.",),
    }[need]
    return text == f"format {need}" or text.startswith(package)


def _are_brief(rule_sets: Sequence[RuleSet]) -> bool:
    """Whether the inputs are few and small files of this machine, as far as a look at them tells."""
    places = [path for rule_set in rule_sets for path in rule_set.input.path]
    if not 0 < len(rule_sets) <= _BRIEF_BATCHES or not all(rule_set.input.path for rule_set in rule_sets):
        return False
    if any("://" in place for place in places):
        return False
    size = 0
    try:
        for place in places:
            for found in map(Path, glob.iglob(place)):  # noqa: PTH207 - Path.glob takes no absolute pattern
                for path in found.rglob("*") if found.is_dir() else (found,):
                    size += path.stat().st_size
                    if size > _BRIEF_BYTES:
                        return False
    except OSError:
        return False
    return size > 0


def _texts(rule_set: RuleSet) -> list[str]:
    outputs = rule_set.outputs
    places = [outputs.root, outputs.table, outputs.quarantine_table]
    for source in (rule_set.input, *(reference.input for reference in rule_set.references)):
        places += source.path
        if source.table and TableName.parse(source.table).place:
            places += [TableName.parse(source.table).place, "format delta"]
    checks = [rule.check for rule in rule_set.rules if isinstance(rule.check, FileRule)]
    places += [place for check in checks for place in (check.path, check.other)]
    return [
        *places,
        *(reference.jdbc.url for reference in rule_set.references if reference.jdbc),
        rule_set.stream.checkpoint,
        f"format {outputs.format}",
        *(["format kafka"] * bool(rule_set.input.kafka)),
    ]
