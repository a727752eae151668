package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/**
 * A sample of rows that has all copies of each of its rows: those whose hash ends in `level` zero bits, counted (adaptive sampling,
 * Flajolet 1990). Whenever it has more different rows than `most`, the level rises and half of them go. Which rows are
 * left does not depend on how the batch was divided, unless into more than FEW_TASKS parts of very unlike sizes. With a width, each
 * row has so many numbers beside it.
 */
final class RowSample {
  /** Tasks up to which each hands on all it has; of more the driver could not hold what all of them have. */
  private static final int FEW_TASKS = 64, LEAST = 8;
  private final int most;
  private final int width;
  private int level;
  private long mask;
  private int size;
  private long[] hashes = new long[64];
  /** 0: the slot is free. */
  private long[] counts = new long[64];
  private int[][] values;

  RowSample(int most, int width) {
    this.most = most;
    this.width = width;
    values = width == 0 ? null : new int[64][];
  }

  int width() { return width; }

  boolean wants(long hash) { return (hash & mask) == 0; }

  boolean knows(long hash) { return counts[slot(hash)] != 0; }

  /** Counts a row; `beside` is needed when it is not known. */
  void add(long hash, int[] beside) { if ((hash & mask) == 0) { add(hash, 1, beside); } }

  private void add(long hash, long times, int[] beside) {
    int slot = slot(hash);
    if (counts[slot] == 0) {
      hashes[slot] = hash;
      if (width > 0) { values[slot] = beside; }
      size++;
    }
    counts[slot] += times;
    if (size > most) { raise(level + 1); } else if (2 * size > counts.length) { rebuild(2 * counts.length); }
  }

  private int slot(long hash) {
    // the last bits are those that all have in common
    int last = counts.length - 1, slot = (int) (hash >>> 32) & last;
    while (counts[slot] != 0 && hashes[slot] != hash) { slot = (slot + 1) & last; }
    return slot;
  }

  private void raise(int to) {
    level = to;
    mask = (1L << level) - 1;
    rebuild(counts.length);
    if (size > most) { raise(level + 1); }
  }

  private void rebuild(int slots) {
    long[] oldHashes = hashes, oldCounts = counts;
    int[][] oldValues = values;
    hashes = new long[slots];
    counts = new long[slots];
    values = width == 0 ? null : new int[slots][];
    size = 0;
    for (int i = 0; i < oldCounts.length; i++) {
      if (oldCounts[i] != 0 && wants(oldHashes[i])) {
        int slot = slot(oldHashes[i]);
        hashes[slot] = oldHashes[i];
        counts[slot] = oldCounts[i];
        if (width > 0) { values[slot] = oldValues[i]; }
        size++;
      }
    }
  }

  void merge(RowSample other) {
    if (other.level > level) { raise(other.level); }
    for (int i = 0; i < other.counts.length; i++) {
      if (other.counts[i] != 0 && wants(other.hashes[i])) {
        add(other.hashes[i], other.counts[i], width == 0 ? null : other.values[i]);
      }
    }
  }

  /** Makes do with this task's part of what all tasks together need, or with an eighth of it where rows may lie unevenly. */
  void shrink(int tasks) {
    int few = tasks <= FEW_TASKS ? most : Math.max(most / LEAST, (int) ((long) most * FEW_TASKS / tasks));
    while (size > few) { raise(level + 1); }
  }

  /** Level, number of rows, their hashes, the places and counts of those that occur more than once, and values row by row. */
  void write(DataOutputStream out) throws IOException {
    out.writeInt(level);
    out.writeInt(size);
    for (int i = 0; i < counts.length; i++) { if (counts[i] != 0) { out.writeLong(hashes[i]); } }
    int doubled = 0, place = 0;
    for (int i = 0; i < counts.length; i++) { if (counts[i] > 1) { doubled++; } }
    out.writeInt(doubled);
    for (int i = 0; i < counts.length; i++) {
      if (counts[i] > 1) {
        out.writeLong(place);
        out.writeLong(counts[i]);
      }
      if (counts[i] != 0) { place++; }
    }
    for (int i = 0; width > 0 && i < counts.length; i++) {
      for (int j = 0; counts[i] != 0 && j < width; j++) { out.writeInt(values[i][j]); }
    }
  }

  void read(DataInputStream in) throws IOException {
    raise(in.readInt());
    int rows = in.readInt();
    long[] of = new long[rows], times = new long[rows];
    for (int i = 0; i < rows; i++) { of[i] = in.readLong(); }
    java.util.Arrays.fill(times, 1L);
    for (int doubled = in.readInt(); doubled > 0; doubled--) {
      int place = (int) in.readLong();
      times[place] = in.readLong();
    }
    for (int i = 0; i < rows; i++) {
      int[] beside = width == 0 ? null : new int[width];
      for (int j = 0; j < width; j++) { beside[j] = in.readInt(); }
      add(of[i], times[i], beside);
    }
  }
}
