package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.LocalDate;
import org.apache.spark.sql.catalyst.InternalRow;

/** Dates (days) and moments (microseconds), from 1970: smallest and largest, evenly wide bins. */
abstract class TemporalTally extends ValueTally {
  private long smallest = Long.MAX_VALUE;
  private long largest = Long.MIN_VALUE;
  private final Bins bins = new Bins(true);
  private final byte[] day = new byte[10];
  private long dayKnown = Long.MIN_VALUE;

  TemporalTally(int limit) { super(limit); }

  protected final void moment(long x) {
    count++;
    if (x < smallest) { smallest = x; }
    if (x > largest) { largest = x; }
    bins.add(x);
    see(x);
  }

  /** Writes YYYY-MM-DD so that it ends at `end`; years beyond four digits in full, where they fit. */
  protected final int writeDay(long days, int end) {
    if (days != dayKnown) {
      String text = LocalDate.ofEpochDay(days).toString();
      if (text.length() != 10) {
        int from = Math.max(0, end - text.length());
        for (int i = 0; from + i < end; i++) { digits[from + i] = (byte) text.charAt(i); }
        return from;
      }
      for (int i = 0; i < 10; i++) { day[i] = (byte) text.charAt(i); }
      dayKnown = days;
    }
    System.arraycopy(day, 0, digits, end - 10, 10);
    return end - 10;
  }

  void merge(ColumnTally column) {
    super.merge(column);
    TemporalTally other = (TemporalTally) column;
    smallest = Math.min(smallest, other.smallest);
    largest = Math.max(largest, other.largest);
    bins.merge(other.bins);
  }

  void write(DataOutputStream out) throws IOException {
    super.write(out);
    out.writeLong(smallest);
    out.writeLong(largest);
    bins.write(out);
  }

  void read(DataInputStream in) throws IOException {
    super.read(in);
    smallest = in.readLong();
    largest = in.readLong();
    bins.read(in);
  }
}

final class DateTally extends TemporalTally {
  DateTally(int limit) { super(limit); }

  void add(InternalRow row, int ordinal) { moment(row.getInt(ordinal)); }

  int write(long key) { return writeDay(key, digits.length); }
}

/** Moments; their text is that of UTC, with microseconds only where there are some. */
final class MomentTally extends TemporalTally {
  private static final long DAY = 86400000000L;

  MomentTally(int limit) { super(limit); }

  void add(InternalRow row, int ordinal) { moment(row.getLong(ordinal)); }

  int write(long key) {
    long days = Math.floorDiv(key, DAY), rest = key - days * DAY;
    int seconds = (int) (rest / 1000000), micros = (int) (rest % 1000000);
    int end = digits.length;
    if (micros != 0) {
      for (int i = 0; i < 6; i++) {
        digits[end - 1 - i] = (byte) ('0' + micros % 10);
        micros /= 10;
      }
      end -= 6;
      digits[--end] = '.';
    }
    writeTwo(seconds % 60, end);
    digits[end - 3] = ':';
    writeTwo(seconds / 60 % 60, end - 3);
    digits[end - 6] = ':';
    writeTwo(seconds / 3600, end - 6);
    digits[end - 9] = ' ';
    return writeDay(days, end - 9);
  }
}
