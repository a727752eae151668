package org.quality;

import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.expressions.UnsafeMapData;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.catalyst.expressions.XXH64;
import org.apache.spark.sql.catalyst.expressions.XxHash64Function;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.unsafe.Platform;

/** 64-bit hashes of values as text, so that a number counts as the same value whatever type its column has later. */
final class Hashing {
  static final long SEED = 42L;

  private Hashing() {}

  static long text(byte[] bytes, int from, int length) {
    return XXH64.hashUnsafeBytes(bytes, (long) Platform.BYTE_ARRAY_OFFSET + from, length, SEED);
  }

  static long text(Object base, long offset, int length) { return XXH64.hashUnsafeBytes(base, offset, length, SEED); }

  /** Of arrays, maps, structs and bytes. Equal maps whose keys stand in another order differ. */
  static long nested(Object value, DataType type) {
    if (value instanceof UnsafeArrayData) {
      UnsafeArrayData array = (UnsafeArrayData) value;
      return XXH64.hashUnsafeBytes(array.getBaseObject(), array.getBaseOffset(), array.getSizeInBytes(), SEED);
    }
    if (value instanceof UnsafeMapData) {
      UnsafeMapData map = (UnsafeMapData) value;
      return XXH64.hashUnsafeBytes(map.getBaseObject(), map.getBaseOffset(), map.getSizeInBytes(), SEED);
    }
    if (value instanceof UnsafeRow) {
      UnsafeRow row = (UnsafeRow) value;
      return XXH64.hashUnsafeBytes(row.getBaseObject(), row.getBaseOffset(), row.getSizeInBytes(), SEED);
    }
    return XxHash64Function.hash(value, type, SEED);
  }

  /** Spreads the bits of a number (the finalizer of MurmurHash3). */
  static long mix(long x) {
    x ^= x >>> 33;
    x *= 0xff51afd7ed558ccdL;
    x ^= x >>> 33;
    x *= 0xc4ceb9fe1a85ec53L;
    return x ^ (x >>> 33);
  }
}
