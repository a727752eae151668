package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;

/**
 * Numbers: smallest and largest, central moments up to the fourth, bins for quantiles. NaN and the infinite ones are counted and
 * are in nothing else. Moments are taken block by block, exactly about the block's own mean, and blocks are put together by
 * the formulas of Pebay (SAND2008-6212).
 */
abstract class NumberTally extends ValueTally {
  private static final int BLOCK = 256;
  private long zeros;
  private long negatives;
  private long nans;
  private long above;
  private long below;
  private final Bins bins = new Bins(false);
  private double[] block;
  private int filled;
  private double n;
  private double mean;
  private double m2;
  private double m3;
  private double m4;
  private double smallest = Double.POSITIVE_INFINITY;
  private double largest = Double.NEGATIVE_INFINITY;

  NumberTally(int limit) { super(limit); }

  protected final void number(double x) {
    if (x != x) {
      nans++;
      return;
    }
    if (x == Double.POSITIVE_INFINITY) {
      above++;
      return;
    }
    if (x == Double.NEGATIVE_INFINITY) {
      below++;
      return;
    }
    whole(x);
  }

  /** A number that is finite. */
  protected final void whole(double x) {
    if (x <= 0) { if (x == 0) { zeros++; x = 0.0; } else { negatives++; } }
    if (!lean) { bins.add(x); }
    if (block == null) { block = new double[BLOCK]; }
    block[filled++] = x;
    if (filled == BLOCK) { settle(); }
  }

  private void settle() {
    if (filled == 0) { return; }
    double sum = 0, low = block[0], high = block[0];
    for (int i = 0; i < filled; i++) {
      double x = block[i];
      sum += x;
      if (x < low) { low = x; }
      if (x > high) { high = x; }
    }
    double middle = sum / filled, s2 = 0, s3 = 0, s4 = 0;
    for (int i = 0; i < filled; i++) {
      double d = block[i] - middle, square = d * d;
      s2 += square;
      s3 += square * d;
      s4 += square * square;
    }
    smallest = Math.min(smallest, low);
    largest = Math.max(largest, high);
    int size = filled;
    filled = 0;
    join(size, middle, s2, s3, s4);
  }

  private void join(double nb, double meanB, double s2, double s3, double s4) {
    if (nb == 0) { return; }
    double na = n, d = meanB - mean, all = na + nb;
    double d2 = d * d, d3 = d2 * d, d4 = d2 * d2;
    m4 += s4 + d4 * na * nb * (na * na - na * nb + nb * nb) / (all * all * all)
        + 6 * d2 * (na * na * s2 + nb * nb * m2) / (all * all) + 4 * d * (na * s3 - nb * m3) / all;
    m3 += s3 + d3 * na * nb * (na - nb) / (all * all) + 3 * d * (na * s2 - nb * m2) / all;
    m2 += s2 + d2 * na * nb / all;
    mean += d * nb / all;
    n = all;
  }

  void merge(ColumnTally column) {
    super.merge(column);
    NumberTally other = (NumberTally) column;
    settle();
    other.settle();
    zeros += other.zeros;
    negatives += other.negatives;
    nans += other.nans;
    above += other.above;
    below += other.below;
    smallest = Math.min(smallest, other.smallest);
    largest = Math.max(largest, other.largest);
    bins.merge(other.bins);
    join(other.n, other.mean, other.m2, other.m3, other.m4);
  }

  void write(DataOutputStream out) throws IOException {
    settle();
    super.write(out);
    out.writeLong(zeros);
    out.writeLong(negatives);
    out.writeLong(nans);
    out.writeLong(above);
    out.writeLong(below);
    out.writeDouble(n);
    out.writeDouble(mean);
    out.writeDouble(m2);
    out.writeDouble(m3);
    out.writeDouble(m4);
    out.writeDouble(smallest);
    out.writeDouble(largest);
    bins.write(out);
  }

  void read(DataInputStream in) throws IOException {
    super.read(in);
    zeros = in.readLong();
    negatives = in.readLong();
    nans = in.readLong();
    above = in.readLong();
    below = in.readLong();
    n = in.readDouble();
    mean = in.readDouble();
    m2 = in.readDouble();
    m3 = in.readDouble();
    m4 = in.readDouble();
    smallest = in.readDouble();
    largest = in.readDouble();
    bins.read(in);
  }
}

/** Whole numbers. */
final class WholeTally extends NumberTally {
  private final int width;

  WholeTally(DataType type, int limit) {
    super(limit);
    width = type instanceof LongType ? 8 : type instanceof IntegerType ? 4 : type instanceof ByteType ? 1 : 2;
  }

  void add(InternalRow row, int ordinal) {
    long x = width == 8 ? row.getLong(ordinal) : width == 4 ? (long) row.getInt(ordinal)
        : width == 2 ? (long) row.getShort(ordinal) : (long) row.getByte(ordinal);
    count++;
    whole(x);
    see(x);
  }

  int write(long key) { return writeWhole(key); }
}

/** Numbers of type double or float. */
final class FractionTally extends NumberTally {
  /** Decimals that are tried before the general and slow way to write a double. */
  private static final int DECIMALS = 4;
  private static final double[] POWERS = {1, 10, 100, 1000, 10000};
  private final boolean single;

  FractionTally(boolean single, int limit) {
    super(limit);
    this.single = single;
  }

  void add(InternalRow row, int ordinal) {
    count++;
    if (single) {
      float x = row.getFloat(ordinal);
      number(x);
      // minus zero is zero
      see(Float.floatToIntBits(x + 0.0f));
    } else {
      double x = row.getDouble(ordinal);
      number(x);
      see(Double.doubleToLongBits(x + 0.0));
    }
  }

  int write(long key) {
    if (single) { return copy(Float.toString(Float.intBitsToFloat((int) key))); }
    double x = Double.longBitsToDouble(key);
    double size = Math.abs(x);
    if (size >= 1e-3 && size < 1e7) {
      for (int decimals = 1; decimals <= DECIMALS; decimals++) {
        long scaled = Math.round(x * POWERS[decimals]);
        if (scaled / POWERS[decimals] == x) { return writeScaled(scaled, decimals); }
      }
    }
    return copy(Double.toString(x));
  }
}

/** Decimals: those of up to 18 digits by their digits, longer ones by way of BigDecimal. */
final class DecimalTally extends NumberTally {
  /** Bits that a double keeps, and digits after the point for which there is room and an exact power of ten. */
  private static final int EXACT = 53, LONGEST_SCALE = 20;
  private final int precision;
  private final int scale;
  private final double power;

  DecimalTally(DecimalType type, int limit) {
    super(limit);
    precision = type.precision();
    scale = type.scale();
    power = Math.pow(10, scale);
  }

  void add(InternalRow row, int ordinal) {
    count++;
    if (precision <= 18) {
      long unscaled = row.getDecimal(ordinal, precision, scale).toUnscaledLong();
      // 10^18 and digits up to 2^53 are exact as doubles: the quotient is then the double nearest to the decimal
      whole(unscaled / power);
      see(unscaled);
    } else {
      BigDecimal x = row.getDecimal(ordinal, precision, scale).toJavaBigDecimal();
      if (scale <= LONGEST_SCALE && x.unscaledValue().bitLength() <= EXACT) {
        // a type with room for many digits mostly holds few
        long unscaled = x.unscaledValue().longValue();
        whole(unscaled / power);
        see(unscaled);
        return;
      }
      whole(x.doubleValue());
      if (lean) { return; }
      String plain = x.toPlainString();
      byte[] text = new byte[plain.length()];
      for (int i = 0; i < text.length; i++) { text[i] = (byte) plain.charAt(i); }
      long hash = Hashing.text(text, 0, text.length);
      last = hash;
      distinct.add(hash);
      if (top.wants() && !top.count(hash)) { top.insert(hash, text); }
    }
  }

  int write(long key) { return scale == 0 ? writeWhole(key) : writeScaled(key, scale); }
}
