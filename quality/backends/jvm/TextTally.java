package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/** Texts: lengths in characters, empty and blank ones, their shapes, and what type their values would have. */
final class TextTally extends ValueTally {
  private final Bins lengths = new Bins(false);
  private long total;
  private long empty;
  private long blank;
  private int shortest = Integer.MAX_VALUE;
  private int longest = -1;
  private final Shapes shapes = new Shapes();

  TextTally(int limit) { super(limit); }

  void add(InternalRow row, int ordinal) {
    UTF8String value = row.getUTF8String(ordinal);
    Object base = value.getBaseObject();
    long offset = value.getBaseOffset();
    int size = value.numBytes();
    count++;
    int length = lean ? value.numChars() : shapes.add(base, offset, size);
    total += length;
    if (length < shortest) { shortest = length; }
    if (length > longest) { longest = length; }
    if (lean) { return; }
    lengths.add((double) length);
    if (size == 0) { empty++; } else if (shapes.wasBlank()) { blank++; }
    long hash = Hashing.text(base, offset, size);
    last = hash;
    distinct.add(hash);
    if (top.wants() && !top.count(hash)) { top.insert(hash, bytes(base, offset, size)); }
  }

  /** At most 256 bytes of a text, cut between characters. */
  private static byte[] bytes(Object base, long offset, int size) {
    int kept = Math.min(size, 256);
    while (kept < size && kept > 0 && (Platform.getByte(base, offset + kept) & 0xC0) == 0x80) { kept--; }
    byte[] found = new byte[kept];
    Platform.copyMemory(base, offset, found, Platform.BYTE_ARRAY_OFFSET, kept);
    return found;
  }

  int write(long key) { throw new IllegalStateException("texts are their own text"); }

  void merge(ColumnTally column) {
    super.merge(column);
    TextTally other = (TextTally) column;
    lengths.merge(other.lengths);
    total += other.total;
    empty += other.empty;
    blank += other.blank;
    shortest = Math.min(shortest, other.shortest);
    longest = Math.max(longest, other.longest);
    shapes.merge(other.shapes);
  }

  void write(DataOutputStream out) throws IOException {
    super.write(out);
    out.writeLong(total);
    out.writeLong(empty);
    out.writeLong(blank);
    out.writeInt(shortest);
    out.writeInt(longest);
    lengths.write(out);
    shapes.write(out);
  }

  void read(DataInputStream in) throws IOException {
    super.read(in);
    total = in.readLong();
    empty = in.readLong();
    blank = in.readLong();
    shortest = in.readInt();
    longest = in.readInt();
    lengths.read(in);
    shapes.read(in);
  }
}
