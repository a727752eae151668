"""A few rows as a Parquet file in memory, without a Spark job: a job for a file of forty rows takes longer than to check
a small batch, and a store wants bytes that it can put in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pyspark.sql import SparkSession

from quality.backends.compiled import compiled

#: Parquet's own example writer knows every type by the schema alone. Janino has no generics to speak of: hence the casts.
_SOURCE = """
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Iterator;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroup;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.OutputFile;
import org.apache.parquet.io.PositionOutputStream;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;

public final class QualityParquet implements OutputFile {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  public QualityParquet() {}

  public byte[] write(MessageType type, String lines, Configuration conf) throws java.io.IOException {
    ObjectMapper mapper = new ObjectMapper();
    mapper.enable(new JsonParser.Feature[] {JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS});
    ExampleParquetWriter.Builder builder = ExampleParquetWriter.builder((OutputFile) this).withType(type);
    ParquetWriter writer = ((ParquetWriter.Builder) ((ParquetWriter.Builder) builder).withConf(conf))
        .withCompressionCodec(CompressionCodecName.ZSTD).build();
    String[] texts = lines.isEmpty() ? new String[0] : lines.split("\\n");
    for (int i = 0; i < texts.length; i++) {
      Group group = new SimpleGroup(type);
      fill(group, (JsonNode) mapper.readTree(texts[i]));
      writer.write(group);
    }
    writer.close();
    return bytes.toByteArray();
  }

  private static void fill(Group group, JsonNode values) throws java.io.IOException {
    GroupType type = group.getType();
    for (int i = 0; i < type.getFieldCount(); i++) {
      add(group, i, (JsonNode) values.get(type.getFieldName(i)));
    }
  }

  private static void add(Group group, int place, JsonNode value) throws java.io.IOException {
    if (value == null || value.isNull()) { return; }
    Type type = group.getType().getType(place);
    if (type.isPrimitive()) { addPrimitive(group, place, type.asPrimitiveType(), value); return; }
    Group inner = group.addGroup(place);
    LogicalTypeAnnotation logical = type.getLogicalTypeAnnotation();
    if (logical instanceof LogicalTypeAnnotation.ListLogicalTypeAnnotation) {
      for (int i = 0; i < value.size(); i++) {
        add(inner.addGroup(0), 0, (JsonNode) value.get(i));
      }
    } else if (logical instanceof LogicalTypeAnnotation.MapLogicalTypeAnnotation) {
      for (Iterator names = value.fieldNames(); names.hasNext();) {
        String name = (String) names.next();
        Group entry = inner.addGroup(0);
        entry.add(0, name);
        add(entry, 1, (JsonNode) value.get(name));
      }
    } else {
      fill(inner, value);
    }
  }

  private static void addPrimitive(Group group, int place, PrimitiveType type, JsonNode value)
      throws java.io.IOException {
    PrimitiveType.PrimitiveTypeName name = type.getPrimitiveTypeName();
    if (type.getLogicalTypeAnnotation() instanceof LogicalTypeAnnotation.TimestampLogicalTypeAnnotation) {
      group.add(place, ChronoUnit.MICROS.between(Instant.EPOCH, Instant.parse(value.asText())));
    } else if (name == PrimitiveType.PrimitiveTypeName.INT64) {
      group.add(place, value.longValue());
    } else if (name == PrimitiveType.PrimitiveTypeName.INT32) {
      group.add(place, value.intValue());
    } else if (name == PrimitiveType.PrimitiveTypeName.DOUBLE) {
      group.add(place, value.doubleValue());
    } else if (name == PrimitiveType.PrimitiveTypeName.BOOLEAN) {
      group.add(place, value.booleanValue());
    } else if (name == PrimitiveType.PrimitiveTypeName.BINARY && type.getLogicalTypeAnnotation() == null) {
      group.add(place, Binary.fromConstantByteArray(value.binaryValue()));
    } else if (name == PrimitiveType.PrimitiveTypeName.BINARY && value.isTextual()) {
      group.add(place, Binary.fromString(value.asText()));
    } else {
      throw new IllegalArgumentException(type + " from " + value);
    }
  }

  public PositionOutputStream create(long hint) { return new Counted(bytes); }
  public PositionOutputStream createOrOverwrite(long hint) { return new Counted(bytes); }
  public boolean supportsBlockSize() { return false; }
  public long defaultBlockSize() { return 0L; }
  public String getPath() { return null; }

  private static final class Counted extends PositionOutputStream {
    private final ByteArrayOutputStream bytes;
    Counted(ByteArrayOutputStream bytes) { this.bytes = bytes; }
    public long getPos() { return bytes.size(); }
    public void write(int value) { bytes.write(value); }
    public void write(byte[] values, int start, int length) { bytes.write(values, start, length); }
  }
}
"""


def parquet_bytes(spark: SparkSession, ddl: str, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A Parquet file (zstd) with the columns of a DDL text. Values are what JSON has; a timestamp is ISO-8601 text in UTC
    ("2024-01-31T08:00:00Z"), kept in microseconds; a column that a row does not have is NULL. Binary columns
    take base64."""
    jvm = cast("Any", spark._jvm)
    state = spark._jsparkSession.sessionState()
    schema = jvm.org.apache.spark.sql.types.StructType.fromDDL(ddl)
    parquet = jvm.org.apache.spark.sql.execution.datasources.parquet.SparkToParquetSchemaConverter(state.conf())
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file = compiled(spark, "QualityParquet", _SOURCE).newInstance(None)
    return bytes(file.write(parquet.convert(schema), lines, state.newHadoopConf()))
