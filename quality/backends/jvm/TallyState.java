package org.quality;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;

/** What a Tally holds: rows, the bits of each rule word, which columns are NULL together, samples of the rows, and a ColumnTally
 *  for each column. */
final class TallyState {
  private static final int WIDE = 200, MANY_VALUES = 1000, FEW_VALUES = 100;
  /** Different rows that tell how many are doubled; and of which values are kept, in so many columns, so many in all. */
  private static final int COUNTED_ROWS = 8192, KEPT_ROWS = 2048, KEPT_COLUMNS = 64, KEPT_VALUES = 65536;
  private static final long NULL = 0x9FB21C651E98DF25L, STEP = 0x9E3779B97F4A7C15L;
  int[] ordinals;
  private final int words;
  private final int columns;
  private final boolean profiled;
  private long rows;
  private final long[] bits;
  private final ColumnTally[] tallies;
  private final long[] marks;
  private final NullPatterns patterns;
  private final RowSample counted;
  private final RowSample kept;
  private final long[] values;

  TallyState(String roles, DataType[] types) {
    int count = 0;
    while (count < roles.length() && roles.charAt(count) == 'm') { count++; }
    words = count;
    columns = roles.length() - count;
    profiled = roles.indexOf('p') >= 0;
    bits = new long[64 * words];
    tallies = new ColumnTally[columns];
    marks = new long[columns];
    patterns = new NullPatterns((columns + 63) / 64);
    int within = 0;
    for (int i = 0; i < columns && within < KEPT_COLUMNS; i++) { within += roles.charAt(words + i) == 'p' ? 1 : 0; }
    values = new long[columns];
    counted = new RowSample(COUNTED_ROWS, 0);
    kept = new RowSample(Math.min(KEPT_ROWS, KEPT_VALUES / Math.max(within, 1)), within);
    // a thousand columns must not take a thousand tables of a thousand values
    int limit = columns > WIDE ? FEW_VALUES : MANY_VALUES;
    for (int i = 0; i < columns; i++) {
      tallies[i] = roles.charAt(words + i) == 'n' ? new ColumnTally()
          : ColumnTally.of(types[words + i], roles.charAt(words + i) == 'q' ? 0 : limit);
      // of columns that are not profiled nothing is said
      marks[i] = roles.charAt(words + i) == 'p' ? Hashing.mix(i + 1) : 0L;
    }
  }

  void add(InternalRow row, int[] ordinals) {
    rows++;
    for (int i = 0; i < words; i++) {
      long word = row.getLong(ordinals == null ? i : ordinals[i]);
      while (word != 0) {
        bits[64 * i + Long.numberOfTrailingZeros(word)]++;
        word &= word - 1;
      }
    }
    if (columns == 0) { return; }
    long pattern = 0, whole = 0;
    for (int i = 0; i < columns; i++) {
      int ordinal = ordinals == null ? words + i : ordinals[words + i];
      long value = NULL;
      if (row.isNullAt(ordinal)) {
        pattern ^= marks[i];
      } else {
        tallies[i].add(row, ordinal);
        value = tallies[i].last;
      }
      if (marks[i] != 0) {
        values[i] = value;
        whole = (whole ^ value) * STEP;
        whole ^= whole >>> 29;
      }
    }
    if (!profiled) { return; }
    if (!patterns.count(pattern, 1)) { patterns.insert(pattern, nulls(row, ordinals), 1); }
    whole = Hashing.mix(whole);
    counted.add(whole, null);
    if (kept.wants(whole)) { kept.add(whole, kept.knows(whole) ? null : valuesOf(row, ordinals)); }
  }

  /** 32 bits of each value that is kept; 0 is NULL. */
  private int[] valuesOf(InternalRow row, int[] ordinals) {
    int[] found = new int[kept.width()];
    int place = 0;
    for (int i = 0; place < found.length; i++) {
      if (marks[i] != 0) {
        boolean missing = row.isNullAt(ordinals == null ? words + i : ordinals[words + i]);
        int bits = (int) (Hashing.mix(values[i] + STEP) >>> 32);
        found[place++] = missing ? 0 : bits == 0 ? 1 : bits;
      }
    }
    return found;
  }

  private long[] nulls(InternalRow row, int[] ordinals) {
    long[] found = new long[(columns + 63) / 64];
    for (int i = 0; i < columns; i++) {
      if (marks[i] != 0 && row.isNullAt(ordinals == null ? words + i : ordinals[words + i])) {
        found[i >> 6] |= 1L << (i & 63);
      }
    }
    return found;
  }

  void merge(TallyState other) {
    rows += other.rows;
    for (int i = 0; i < bits.length; i++) { bits[i] += other.bits[i]; }
    for (int i = 0; i < columns; i++) { tallies[i].merge(other.tallies[i]); }
    patterns.merge(other.patterns);
    counted.merge(other.counted);
    kept.merge(other.kept);
  }

  /** What a task hands on. */
  byte[] part() {
    TaskContext task = TaskContext.get();
    int tasks = task == null ? 1 : task.numPartitions();
    counted.shrink(tasks);
    kept.shrink(tasks);
    return toBytes();
  }

  byte[] toBytes() {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      out.writeLong(rows);
      for (int i = 0; i < bits.length; i++) { out.writeLong(bits[i]); }
      if (profiled) {
        patterns.write(out);
        counted.write(out);
        kept.write(out);
      }
      for (int i = 0; i < columns; i++) { tallies[i].write(out); }
      out.flush();
      return bytes.toByteArray();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  void fromBytes(byte[] bytes) {
    try {
      DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
      rows = in.readLong();
      for (int i = 0; i < bits.length; i++) { bits[i] = in.readLong(); }
      if (profiled) {
        patterns.read(in);
        counted.read(in);
        kept.read(in);
      }
      for (int i = 0; i < columns; i++) { tallies[i].read(in); }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}

/** How many rows have exactly these columns NULL. Past LIMIT different sets, rows with further ones are counted together. */
final class NullPatterns {
  private static final int LIMIT = 512;
  private final int width;
  private long[] keys = new long[16];
  private long[] counts = new long[16];
  private long[][] sets = new long[16][];
  private int size;
  private long others;

  NullPatterns(int width) { this.width = width; }

  /** Counts rows of a set that is known already; false when it is not. */
  boolean count(long key, long times) {
    int slot = slot(key);
    if (sets[slot] == null) { return false; }
    counts[slot] += times;
    return true;
  }

  void insert(long key, long[] set, long times) {
    if (size >= LIMIT) {
      others += times;
      return;
    }
    if (2 * (size + 1) > keys.length) { grow(); }
    int slot = slot(key);
    keys[slot] = key;
    counts[slot] = times;
    sets[slot] = set;
    size++;
  }

  private int slot(long key) {
    int mask = keys.length - 1, slot = (int) Hashing.mix(key) & mask;
    while (sets[slot] != null && keys[slot] != key) { slot = (slot + 1) & mask; }
    return slot;
  }

  private void grow() {
    long[] oldKeys = keys, oldCounts = counts;
    long[][] oldSets = sets;
    keys = new long[2 * oldKeys.length];
    counts = new long[keys.length];
    sets = new long[keys.length][];
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldSets[i] != null) {
        int slot = slot(oldKeys[i]);
        keys[slot] = oldKeys[i];
        counts[slot] = oldCounts[i];
        sets[slot] = oldSets[i];
      }
    }
  }

  void merge(NullPatterns other) {
    others += other.others;
    for (int i = 0; i < other.keys.length; i++) {
      if (other.sets[i] != null && !count(other.keys[i], other.counts[i])) {
        insert(other.keys[i], other.sets[i], other.counts[i]);
      }
    }
  }

  void write(DataOutputStream out) throws IOException {
    out.writeLong(others);
    out.writeInt(size);
    for (int i = 0; i < keys.length; i++) {
      if (sets[i] != null) {
        out.writeLong(keys[i]);
        out.writeLong(counts[i]);
        for (int j = 0; j < width; j++) { out.writeLong(sets[i][j]); }
      }
    }
  }

  void read(DataInputStream in) throws IOException {
    others = in.readLong();
    int count = in.readInt();
    for (int i = 0; i < count; i++) {
      long key = in.readLong(), times = in.readLong();
      long[] set = new long[width];
      for (int j = 0; j < width; j++) { set[j] = in.readLong(); }
      insert(key, set, times);
    }
  }
}
