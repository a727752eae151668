"""Schemas and paths as text that Spark reads back as it was meant. Imports no Spark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from quality.model import Column
from quality.sql import quote

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def columns_of(schema: StructType) -> tuple[Column, ...]:
    """The columns of a frame as a record keeps them: types are text that Spark can parse again.

    `simpleString` is not, when a field within a struct has a blank, dot or comma in its name.
    """
    return tuple(Column(field.name, _type_text(field.dataType)) for field in schema)


def literal_path(uri: str) -> str:
    """The URI such that Spark finds this one file and takes none of its characters for a pattern.

    The option that turns patterns off reads each of several files several times (Spark 3.5).
    """
    return re.sub(r"([][{}*?\\])", r"\\\1", uri)


def _type_text(kind: Any) -> str:
    name = kind.typeName()
    if name == "struct":
        return f"struct<{','.join(f'{_field_name(field.name)}:{_type_text(field.dataType)}' for field in kind)}>"
    if name == "array":
        return f"array<{_type_text(kind.elementType)}>"
    if name == "map":
        return f"map<{_type_text(kind.keyType)},{_type_text(kind.valueType)}>"
    return str(kind.simpleString())


def _field_name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else quote(name)
