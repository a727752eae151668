package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/**
 * How many values lie in each bin of a line of bins, kept as a window that grows. Three kinds of lines:
 * numbers by sign, exponent and the first six bits of the fraction of their double, so that a bin is at most 1/64 wide
 * relative to its values and its middle is off by under 1 %; moments and other evenly spread numbers by 2^shift, the shift
 * growing so that there are never more than LIMIT bins.
 */
final class Bins {
  static final int LIMIT = 4096;
  private static final int LINE = 52 - 6;
  private final boolean even;
  private int shift;
  private long base;
  private long[] counts = new long[0];
  /** Negative numbers, by size: from -1 to 1 there are 130,000 bins. */
  private Bins negative;

  Bins(boolean even) { this.even = even; }

  /** A finite number. Zero is the bin 0, negative numbers have negative bins. */
  void add(double x) {
    long bits = Double.doubleToRawLongBits(x);
    long bin = (bits & Long.MAX_VALUE) >>> LINE;
    count(bits < 0 ? -bin : bin, 1);
  }

  void add(long x) { count(x >> shift, 1); }

  private void count(long bin, long times) {
    if (bin < 0 && !even) {
      if (negative == null) { negative = new Bins(false); }
      negative.count(-bin, times);
      return;
    }
    long place = bin - base;
    if (place < 0 || place >= counts.length) {
      bin = makeRoom(bin);
      place = bin - base;
    }
    counts[(int) place] += times;
  }

  /** Grows the window, or widens the bins, so that the bin is in it; the bin as it is called afterwards. */
  private long makeRoom(long bin) {
    if (counts.length == 0) {
      counts = new long[16];
      base = bin - 8;
      return bin;
    }
    long low = Math.min(bin, base), high = Math.max(bin, base + counts.length - 1);
    // unsigned: the span of a bigint column may be more than a bigint holds
    while (even && (high - low < 0 || high - low >= LIMIT)) {
      widen();
      bin >>= 1;
      low = Math.min(bin, base);
      high = Math.max(bin, base + counts.length - 1);
    }
    if (bin >= base && bin < base + counts.length) { return bin; }
    long spare = Math.min(counts.length, high - low + 1);
    long from = bin < base && low - spare < low ? low - spare : low, to = bin > base && high + spare > high ? high + spare : high;
    long[] grown = new long[(int) (to - from + 1)];
    System.arraycopy(counts, 0, grown, (int) (base - from), counts.length);
    base = from;
    counts = grown;
    return bin;
  }

  private void widen() {
    long newBase = base >> 1, last = (base + counts.length - 1) >> 1;
    long[] merged = new long[(int) (last - newBase + 1)];
    for (int i = 0; i < counts.length; i++) { merged[(int) (((base + i) >> 1) - newBase)] += counts[i]; }
    counts = merged;
    base = newBase;
    shift++;
  }

  void merge(Bins other) {
    while (even && shift < other.shift) { if (counts.length == 0) { shift++; } else { widen(); } }
    for (int i = 0; i < other.counts.length; i++) {
      if (other.counts[i] != 0) { count((other.base + i) >> (shift - other.shift), other.counts[i]); }
    }
    if (other.negative != null) {
      if (negative == null) { negative = new Bins(false); }
      negative.merge(other.negative);
    }
  }

  void write(DataOutputStream out) throws IOException {
    out.writeInt(shift);
    out.writeInt(filled() + (negative == null ? 0 : negative.filled()));
    if (negative != null) {
      for (int i = negative.counts.length - 1; i >= 0; i--) { negative.write(out, i, -(negative.base + i)); }
    }
    for (int i = 0; i < counts.length; i++) { write(out, i, base + i); }
  }

  private int filled() {
    int found = 0;
    for (int i = 0; i < counts.length; i++) { if (counts[i] != 0) { found++; } }
    return found;
  }

  private void write(DataOutputStream out, int place, long bin) throws IOException {
    if (counts[place] != 0) {
      out.writeLong(bin);
      out.writeLong(counts[place]);
    }
  }

  void read(DataInputStream in) throws IOException {
    int written = in.readInt();
    int found = in.readInt();
    shift = written;
    for (int i = 0; i < found; i++) {
      long bin = in.readLong();
      // the window may have to widen its bins on the way
      count(bin >> (shift - written), in.readLong());
    }
  }
}
