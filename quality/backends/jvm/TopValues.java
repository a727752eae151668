package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Arrays;

/**
 * The most frequent values with their counts. Exact up to `limit` different values. Past it one row in SAMPLE is looked at, and
 * whenever the table is full the median count is taken off every value (Misra and Gries 1982): counts are then estimates that
 * are too low by at most `error`, sampling aside.
 */
final class TopValues {
  private final int limit;
  static final int SAMPLE = 16;
  private long[] hashes = new long[32];
  private long[] counts = new long[32];
  private byte[][] texts = new byte[32][];
  private int size;
  private long error;
  private boolean sampled;
  private int turn;

  TopValues(int limit) { this.limit = limit; }

  /** Whether this row is to be looked at: asked before its text is made. */
  boolean wants() { return !sampled || (turn++ & (SAMPLE - 1)) == 0; }

  /** Counts a value that is known already; false when it is not, and must be inserted with its text. */
  boolean count(long hash) {
    int slot = slot(hash);
    if (texts[slot] == null) { return false; }
    counts[slot] += sampled ? SAMPLE : 1;
    return true;
  }

  void insert(long hash, byte[] text) { insert(hash, text, sampled ? SAMPLE : 1); }

  private void insert(long hash, byte[] text, long times) {
    if (size >= limit) {
      sampled = true;
      purge();
    }
    if (2 * (size + 1) > hashes.length) { rebuild(2 * hashes.length, 0); }
    put(hash, text, times);
  }

  private void put(long hash, byte[] text, long times) {
    int slot = slot(hash);
    if (texts[slot] == null) {
      hashes[slot] = hash;
      texts[slot] = text;
      size++;
    }
    counts[slot] += times;
  }

  private int slot(long hash) {
    int mask = hashes.length - 1, slot = (int) hash & mask;
    while (texts[slot] != null && hashes[slot] != hash) { slot = (slot + 1) & mask; }
    return slot;
  }

  private void purge() {
    long[] sorted = new long[size];
    int found = 0;
    for (int i = 0; i < counts.length; i++) {
      if (texts[i] != null) { sorted[found++] = counts[i]; }
    }
    Arrays.sort(sorted);
    long off = sorted[size / 2];
    error += off;
    rebuild(hashes.length, off);
  }

  private void rebuild(int slots, long off) {
    long[] oldHashes = hashes, oldCounts = counts;
    byte[][] oldTexts = texts;
    hashes = new long[slots];
    counts = new long[slots];
    texts = new byte[slots][];
    size = 0;
    for (int i = 0; i < oldHashes.length; i++) {
      if (oldTexts[i] != null && oldCounts[i] > off) { put(oldHashes[i], oldTexts[i], oldCounts[i] - off); }
    }
  }

  void merge(TopValues other) {
    error += other.error;
    sampled |= other.sampled;
    for (int i = 0; i < other.hashes.length; i++) {
      if (other.texts[i] == null) { continue; }
      int slot = slot(other.hashes[i]);
      if (texts[slot] != null) {
        counts[slot] += other.counts[i];
      } else {
        insert(other.hashes[i], other.texts[i], other.counts[i]);
      }
    }
  }

  void write(DataOutputStream out) throws IOException {
    out.writeLong(error);
    out.writeBoolean(sampled);
    out.writeInt(size);
    for (int i = 0; i < hashes.length; i++) {
      if (texts[i] != null) {
        out.writeLong(hashes[i]);
        out.writeLong(counts[i]);
        out.writeInt(texts[i].length);
        out.write(texts[i], 0, texts[i].length);
      }
    }
  }

  void read(DataInputStream in) throws IOException {
    error = in.readLong();
    sampled = in.readBoolean();
    int count = in.readInt();
    for (int i = 0; i < count; i++) {
      long hash = in.readLong(), times = in.readLong();
      byte[] text = new byte[in.readInt()];
      in.readFully(text);
      if (2 * (size + 1) > hashes.length) { rebuild(2 * hashes.length, 0); }
      put(hash, text, times);
    }
  }
}
