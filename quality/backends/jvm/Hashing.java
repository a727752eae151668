package org.quality;

import org.apache.spark.sql.catalyst.expressions.XXH64;
import org.apache.spark.unsafe.Platform;

/** 64-bit hashes of values as text, so that a number counts as the same value whatever type its column has later. */
final class Hashing {
  static final long SEED = 42L;

  private Hashing() {}

  static long text(byte[] bytes, int from, int length) {
    return XXH64.hashUnsafeBytes(bytes, (long) Platform.BYTE_ARRAY_OFFSET + from, length, SEED);
  }

  static long text(Object base, long offset, int length) { return XXH64.hashUnsafeBytes(base, offset, length, SEED); }

  /** Spreads the bits of a number (the finalizer of MurmurHash3). */
  static long mix(long x) {
    x ^= x >>> 33;
    x *= 0xff51afd7ed558ccdL;
    x ^= x >>> 33;
    x *= 0xc4ceb9fe1a85ec53L;
    return x ^ (x >>> 33);
  }
}
