package org.quality;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Arrays;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.aggregate.ImperativeAggregate;
import org.apache.spark.sql.catalyst.expressions.aggregate.TypedImperativeAggregate;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import scala.collection.IndexedSeq;
import scala.collection.Seq;

/**
 * Counts the keys of a bigint column that is sorted, or made of few sorted runs, without a shuffle: within a run equal keys are
 * neighbours, and runs whose ranges do not meet share none. Where that does not hold the result is no more than that.
 */
public final class KeyRuns extends TypedImperativeAggregate implements java.io.Serializable {
  private final Seq inputs;
  private final int mutableOffset;
  private final int inputOffset;

  public KeyRuns(Seq inputs, int mutableOffset, int inputOffset) {
    this.inputs = inputs;
    this.mutableOffset = mutableOffset;
    this.inputOffset = inputOffset;
  }

  public Object createAggregationBuffer() { return new KeyRunsState(); }

  public Object update(Object buffer, InternalRow row) {
    KeyRunsState state = (KeyRunsState) buffer;
    if (state.sorted) {
      Object key = ((Expression) inputs.apply(0)).eval(row);
      if (key != null) { state.add(((Long) key).longValue()); }
    }
    return state;
  }

  public Object merge(Object buffer, Object other) {
    ((KeyRunsState) buffer).merge((KeyRunsState) other);
    return buffer;
  }

  public Object eval(Object buffer) {
    ((KeyRunsState) buffer).settle();
    return serialize(buffer);
  }

  public byte[] serialize(Object buffer) { return ((KeyRunsState) buffer).toBytes(); }

  public Object deserialize(byte[] bytes) {
    KeyRunsState state = new KeyRunsState();
    state.fromBytes(bytes);
    return state;
  }

  public int mutableAggBufferOffset() { return mutableOffset; }

  public int inputAggBufferOffset() { return inputOffset; }

  public ImperativeAggregate withNewMutableAggBufferOffset(int offset) { return new KeyRuns(inputs, offset, inputOffset); }

  public ImperativeAggregate withNewInputAggBufferOffset(int offset) { return new KeyRuns(inputs, mutableOffset, offset); }

  public boolean nullable() { return false; }

  public DataType dataType() { return DataTypes.BinaryType; }

  public Seq children() { return inputs; }

  public Expression withNewChildrenInternal(IndexedSeq children) {
    return new KeyRuns(children, mutableOffset, inputOffset);
  }

  public int productArity() { return 1; }

  public Object productElement(int place) { return inputs; }

  public boolean canEqual(Object other) { return other instanceof KeyRuns; }

  public boolean equals(Object other) { return other instanceof KeyRuns && ((KeyRuns) other).inputs.equals(inputs); }

  public int hashCode() { return inputs.hashCode() + 17; }
}

/** Runs as first and last key, and the keys that occur more than once with their counts. */
final class KeyRunsState {
  private static final int RUNS = 1000;
  private static final int DOUBLED = 100000;
  private static final double LEAP = 1000.0;
  boolean sorted = true;
  private long rows;
  private long keys;
  private long[] starts = new long[4];
  private long[] ends = new long[4];
  private int runs;
  private long[] doubled = new long[4];
  private long[] times = new long[4];
  private int found;
  private long last;
  private long repeated;
  private long gaps;
  private double span;

  void add(long key) {
    rows++;
    if (runs > 0 && key == last) {
      repeated++;
      return;
    }
    note();
    keys++;
    if (runs == 0 || key < last || leaps(key)) { begin(key, key); }
    ends[runs - 1] = key;
    last = key;
    repeated = 1;
  }

  /** Whether the key is far from the one before: a task reads several files one after another, and between their keys lie
   *  those of a file that another task reads. */
  private boolean leaps(long key) {
    double gap = (double) key - last;
    if (gaps > 0 && gap > LEAP * (span / gaps)) { return true; }
    gaps++;
    span += gap;
    return false;
  }

  private void begin(long start, long end) {
    // a run for each partition that is sorted is fine; a column without order has a run for every other row
    if (runs == RUNS) {
      giveUp();
      return;
    }
    if (runs == starts.length) {
      starts = Arrays.copyOf(starts, 2 * runs);
      ends = Arrays.copyOf(ends, 2 * runs);
    }
    starts[runs] = start;
    ends[runs] = end;
    runs++;
  }

  /** Keeps the key that was read last when it occurred more than once. */
  private void note() {
    if (repeated > 1) { note(last, repeated); }
    repeated = 0;
  }

  private void note(long key, long count) {
    if (found == DOUBLED) {
      giveUp();
      return;
    }
    if (found == doubled.length) {
      doubled = Arrays.copyOf(doubled, 2 * found);
      times = Arrays.copyOf(times, 2 * found);
    }
    doubled[found] = key;
    times[found++] = count;
  }

  private void giveUp() {
    sorted = false;
    runs = 1;
    found = 0;
  }

  void merge(KeyRunsState other) {
    note();
    other.note();
    rows += other.rows;
    keys += other.keys;
    sorted = sorted && other.sorted;
    for (int i = 0; i < other.runs && sorted; i++) { begin(other.starts[i], other.ends[i]); }
    for (int i = 0; i < other.found && sorted; i++) { note(other.doubled[i], other.times[i]); }
  }

  /** Whether no two runs meet is known when all are there. */
  void settle() {
    note();
    if (!sorted) { return; }
    long[] first = Arrays.copyOf(starts, runs), until = Arrays.copyOf(ends, runs);
    Arrays.sort(first);
    Arrays.sort(until);
    // runs that do not meet are in the same order by their starts as by their ends
    for (int i = 1; i < runs; i++) { sorted = sorted && until[i - 1] < first[i]; }
  }

  byte[] toBytes() {
    note();
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      out.writeBoolean(sorted);
      out.writeLong(rows);
      out.writeLong(keys);
      write(out, starts, ends, sorted ? runs : 0);
      write(out, doubled, times, sorted ? found : 0);
      out.flush();
      return bytes.toByteArray();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void write(DataOutputStream out, long[] left, long[] right, int count) throws IOException {
    out.writeInt(count);
    for (int i = 0; i < count; i++) {
      out.writeLong(left[i]);
      out.writeLong(right[i]);
    }
  }

  void fromBytes(byte[] bytes) {
    try {
      DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
      sorted = in.readBoolean();
      rows = in.readLong();
      keys = in.readLong();
      for (int count = in.readInt(); count > 0; count--) {
        long start = in.readLong();
        begin(start, in.readLong());
      }
      for (int count = in.readInt(); count > 0; count--) {
        long key = in.readLong();
        note(key, in.readLong());
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
