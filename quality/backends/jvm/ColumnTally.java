package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DateType;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.FloatType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.TimestampNTZType;
import org.apache.spark.sql.types.TimestampType;
import org.apache.spark.unsafe.types.UTF8String;

/** What is kept of the values of one column that are not NULL. This one counts them. */
class ColumnTally {
  protected long count;
  /** 64 bits that tell the value added last: equal values have equal ones. Of a column that is only counted it is not known. */
  protected long last;

  /** `limit` is how many values are counted by themselves; 0 keeps what a metric needs, and neither distinct nor
   *  frequent values, bins or shapes. */
  static ColumnTally of(DataType type, int limit) {
    if (type instanceof LongType || type instanceof IntegerType || type instanceof ShortType || type instanceof ByteType) {
      return new WholeTally(type, limit);
    }
    if (type instanceof DoubleType) { return new FractionTally(false, limit); }
    if (type instanceof FloatType) { return new FractionTally(true, limit); }
    if (type instanceof DecimalType) { return new DecimalTally((DecimalType) type, limit); }
    if (type instanceof StringType) { return new TextTally(limit); }
    if (type instanceof BooleanType) { return new BooleanTally(); }
    if (type instanceof DateType) { return new DateTally(limit); }
    if (type instanceof TimestampType || type instanceof TimestampNTZType) { return new MomentTally(limit); }
    if (type instanceof ArrayType || type instanceof MapType) { return new SizeTally(type, limit); }
    return new OtherTally(type);
  }

  void add(InternalRow row, int ordinal) { count++; }

  void merge(ColumnTally other) { count += other.count; }

  void write(DataOutputStream out) throws IOException { out.writeLong(count); }

  void read(DataInputStream in) throws IOException { count = in.readLong(); }
}

/** Structs and bytes are counted, which is all there is of them. */
final class OtherTally extends ColumnTally {
  private final DataType type;

  OtherTally(DataType type) { this.type = type; }

  void add(InternalRow row, int ordinal) {
    count++;
    last = Hashing.nested(row.get(ordinal, type), type);
  }
}

final class BooleanTally extends ColumnTally {
  private long trues;

  void add(InternalRow row, int ordinal) {
    count++;
    last = 0;
    if (row.getBoolean(ordinal)) {
      trues++;
      last = 1;
    }
  }

  void merge(ColumnTally other) {
    super.merge(other);
    trues += ((BooleanTally) other).trues;
  }

  void write(DataOutputStream out) throws IOException {
    super.write(out);
    out.writeLong(trues);
  }

  void read(DataInputStream in) throws IOException {
    super.read(in);
    trues = in.readLong();
  }
}

/** Values that can be counted by their text: how many are distinct, which are frequent. */
abstract class ValueTally extends ColumnTally {
  private static final int MEMO = 1024;
  protected final boolean lean;
  protected final Distinct distinct = new Distinct();
  protected final TopValues top;
  private long[] memoKeys;
  private long[] memoHashes;
  protected final byte[] digits = new byte[32];

  ValueTally(int limit) {
    lean = limit == 0;
    top = new TopValues(limit);
  }

  /** Counts a value known by 64 bits; its text is made when it has not just been seen. */
  protected final void see(long key) {
    if (lean) { return; }
    last = key;
    if (memoKeys == null) {
      memoKeys = new long[MEMO];
      memoHashes = new long[MEMO];
    }
    int slot = (int) ((key * 0x9E3779B97F4A7C15L) >>> 54);
    long hash = memoHashes[slot];
    int from = -1;
    if (memoKeys[slot] != key || hash == 0) {
      from = write(key);
      hash = Hashing.text(digits, from, digits.length - from);
      memoKeys[slot] = key;
      memoHashes[slot] = hash;
      distinct.add(hash);
    }
    if (top.wants() && !top.count(hash)) {
      if (from < 0) { from = write(key); }
      byte[] text = new byte[digits.length - from];
      System.arraycopy(digits, from, text, 0, text.length);
      top.insert(hash, text);
    }
  }

  /** Writes the text of a value to the end of `digits` and returns where it begins. */
  abstract int write(long key);

  protected final int writeWhole(long x) { return writeWhole(x, digits.length); }

  protected final int writeWhole(long x, int end) {
    if (x == Long.MIN_VALUE) { return copy("-9223372036854775808"); }
    boolean negative = x < 0;
    if (negative) { x = -x; }
    int place = end;
    do {
      long rest = x / 10;
      digits[--place] = (byte) ('0' + (int) (x - 10 * rest));
      x = rest;
    } while (x != 0);
    if (negative) { digits[--place] = '-'; }
    return place;
  }

  /** A number as whole units of its last decimal. */
  protected final int writeScaled(long scaled, int decimals) {
    boolean negative = scaled < 0;
    long x = Math.abs(scaled);
    int place = digits.length;
    for (int i = 0; i < decimals; i++) {
      digits[--place] = (byte) ('0' + (int) (x % 10));
      x /= 10;
    }
    digits[--place] = '.';
    place = writeWhole(x, place);
    if (negative) { digits[--place] = '-'; }
    return place;
  }

  /** Two digits that end at `end`. */
  protected final void writeTwo(int x, int end) {
    digits[end - 1] = (byte) ('0' + x % 10);
    digits[end - 2] = (byte) ('0' + x / 10);
  }

  protected final int copy(String text) {
    int from = digits.length - text.length();
    for (int i = 0; i < text.length(); i++) { digits[from + i] = (byte) text.charAt(i); }
    return from;
  }

  void merge(ColumnTally other) {
    super.merge(other);
    distinct.merge(((ValueTally) other).distinct);
    top.merge(((ValueTally) other).top);
  }

  void write(DataOutputStream out) throws IOException {
    super.write(out);
    distinct.write(out);
    top.write(out);
  }

  void read(DataInputStream in) throws IOException {
    super.read(in);
    distinct.read(in);
    top.read(in);
  }
}

/** Sizes of arrays or maps, as numbers. */
final class SizeTally extends NumberTally {
  private final DataType type;
  private final boolean map;

  SizeTally(DataType type, int limit) {
    super(limit);
    this.type = type;
    map = type instanceof MapType;
  }

  void add(InternalRow row, int ordinal) {
    int size = map ? row.getMap(ordinal).numElements() : row.getArray(ordinal).numElements();
    count++;
    whole(size);
    see(size);
    if (!lean) { last = Hashing.nested(row.get(ordinal, type), type); }
  }

  int write(long key) { return writeWhole(key); }
}
