"""Tables and queries of databases, read by Spark over JDBC. A password is in no message, name or fingerprint."""

from __future__ import annotations

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality.backends.clocks import filtered
from quality.backends.reading import Batch, reason
from quality.backends.schemas import columns_of
from quality.errors import InputError
from quality.rule_types.base import Row
from quality.rule_types.rules import Jdbc

#: The class of a database's driver, by the word after `jdbc:`; Spark is told, as Java does not look into jars that came later.
DRIVERS = {
    "postgresql": "org.postgresql.Driver",
    "sqlite": "org.sqlite.JDBC",
    "mysql": "com.mysql.cj.jdbc.Driver",
    "mariadb": "org.mariadb.jdbc.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
    "oracle": "oracle.jdbc.OracleDriver",
    "redshift": "com.amazon.redshift.jdbc42.Driver",
    "h2": "org.h2.Driver",
}
#: Of this, nobody knows whether it stands still.
SNAPSHOT = "jdbc"


def read(spark: SparkSession, source: Jdbc, where: str, timezone: str) -> Batch:
    """The rows of a table or query. Only the schema is read here. Raises InputError without a secret in it."""
    options = {**source.options, "url": source.url}
    options |= {word: value for word, value in (("user", source.user), ("password", source.password)) if value}
    options |= {"query": source.query} if source.query else {"dbtable": source.table}
    driver = source.driver or DRIVERS.get(source.database, "")
    options |= {"driver": driver} if driver else {}
    try:
        frame = spark.read.format("jdbc").options(**options).load()
        frame = filtered(frame, where)
        columns = columns_of(frame.schema)
    except (PySparkException, Py4JJavaError) as error:
        raise InputError(told(source, error)) from None
    return Batch(frame, columns, Row(columns, {}, timezone), False, (), SNAPSHOT)


def told(source: Jdbc, error: BaseException) -> str:
    """What Spark says of a database, less what is secret."""
    text = reason(error)
    if re.search(r"No suitable driver|ClassNotFoundException|Cannot find.*[Dd]river|did not find", text) or (
        (driver := source.driver or DRIVERS.get(source.database, "")) and text.endswith(driver)
    ):
        return (
            f"Spark has no driver for jdbc:{source.database}: give it the driver's jar, --conf spark.jars=DRIVER.jar"
            + ("" if source.driver or source.database in DRIVERS else ", and say its class: 'driver' of 'jdbc'")
        )
    return hide(source, text)


def hide(source: Jdbc, text: str) -> str:
    """A text less the password and the options, which may be secrets, and less what stands behind the place of the database."""
    plain = source.url.partition("?")[0].partition(";")[0]
    text = text.replace(source.url, plain)
    for secret in sorted((source.password, *source.options.values()), key=len, reverse=True):
        if len(secret) > 3 or (secret and secret == source.password):
            text = text.replace(secret, "***")
    return text
