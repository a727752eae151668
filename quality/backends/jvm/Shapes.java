package org.quality;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.spark.unsafe.Platform;

/**
 * The shapes of texts: `AB-1234` is `A{2}-9{4}`. The first LIMIT shapes are counted, texts of any other together; signs by their class
 * in all. How many texts
 * are whole numbers, fractions, truth values, dates or moments is counted for all: a shape tells it once for all its texts.
 */
final class Shapes {
  static final int LIMIT = 256;
  /** Runs of a shape that are told apart; what follows is in none. */
  private static final int RUNS = 24;
  private static final int LONGEST_RUN = 63;
  private static final int TEXT = 0, WHOLE = 1, FRACTION = 2, TRUTH = 3, DATE = 4, MOMENT = 5, MAYBE_TRUTH = 6;
  private static final int KINDS = 6;
  private static final byte DIGIT = 1, UPPER = 2, LOWER = 3, OTHER = 4, BLANK = 5, LATER = 6;
  private static final byte[] CLASSES = classes();
  private static final char[] SIGNS = {' ', '9', 'A', 'a', 'x', ' '};

  private final long[] kinds = new long[KINDS];
  private final long[] hashes = new long[2 * LIMIT];
  private final long[] counts = new long[2 * LIMIT];
  private final String[] texts = new String[2 * LIMIT];
  private final byte[] kindOf = new byte[2 * LIMIT];
  private int size;
  private long others;
  private boolean blank;
  /** Signs by their class. */
  private final long[] signs = new long[8];

  private static byte[] classes() {
    byte[] found = new byte[256];
    for (int i = 0; i < 256; i++) {
      if (i >= '0' && i <= '9') { found[i] = DIGIT; }
      else if (i >= 'A' && i <= 'Z') { found[i] = UPPER; }
      else if (i >= 'a' && i <= 'z') { found[i] = LOWER; }
      else if (i == ' ' || (i >= 9 && i <= 13)) { found[i] = BLANK; }
      else if (i >= 0xC0) { found[i] = OTHER; }
      else if (i >= 0x80) { found[i] = LATER; }
    }
    return found;
  }

  /** Whether the text added last is of white space alone. */
  boolean wasBlank() { return blank; }

  /** Counts a text; its length in characters. */
  int add(Object base, long offset, int size) {
    long hash = 1;
    int length = 0, runs = 0, run = 0, before = -1, within = 0;
    boolean white = true;
    for (int i = 0; i < size; i++) {
      int x = Platform.getByte(base, offset + i) & 0xFF;
      int kind = CLASSES[x];
      if (kind == LATER) { continue; }
      length++;
      white &= kind == BLANK;
      // a sign that is of no class is its own
      int sign = kind == 0 ? x : -kind - 1;
      if (sign == before) {
        run++;
      } else {
        if (runs <= RUNS) { hash = (hash ^ (((long) before << 8) + Math.min(run, LONGEST_RUN))) * 0x9E3779B97F4A7C15L; }
        signs[within] += run;
        runs++;
        run = 1;
        before = sign;
        within = kind;
      }
    }
    signs[within] += run;
    if (runs <= RUNS) { hash = (hash ^ (((long) before << 8) + Math.min(run, LONGEST_RUN))) * 0x9E3779B97F4A7C15L; }
    hash ^= hash >>> 32;
    blank = white && size > 0;
    count(hash, base, offset, size);
    return length;
  }

  private void count(long hash, Object base, long offset, int bytes) {
    int slot = slot(hash);
    if (texts[slot] == null && size < LIMIT) {
      byte[] text = new byte[Math.min(bytes, 512)];
      Platform.copyMemory(base, offset, text, Platform.BYTE_ARRAY_OFFSET, text.length);
      put(slot, hash, shape(text), kind(text, bytes));
    }
    int kind;
    if (texts[slot] != null) {
      counts[slot]++;
      kind = kindOf[slot];
    } else {
      others++;
      kind = mayBeMore(base, offset, bytes) ? kind(copied(base, offset, bytes), bytes) : TEXT;
    }
    if (kind == MAYBE_TRUTH) { kind = truth(copied(base, offset, bytes)) ? TRUTH : TEXT; }
    kinds[kind]++;
  }

  private static byte[] copied(Object base, long offset, int bytes) {
    byte[] text = new byte[Math.min(bytes, 64)];
    Platform.copyMemory(base, offset, text, Platform.BYTE_ARRAY_OFFSET, text.length);
    return text;
  }

  private static boolean mayBeMore(Object base, long offset, int bytes) {
    if (bytes == 0 || bytes > 64) { return false; }
    int first = Platform.getByte(base, offset);
    return (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.';
  }

  private void put(int slot, long hash, String text, int kind) {
    hashes[slot] = hash;
    texts[slot] = text;
    kindOf[slot] = (byte) kind;
    size++;
  }

  private int slot(long hash) {
    int mask = hashes.length - 1, slot = (int) hash & mask;
    while (texts[slot] != null && hashes[slot] != hash) { slot = (slot + 1) & mask; }
    return slot;
  }

  private static String shape(byte[] text) {
    StringBuilder found = new StringBuilder();
    int runs = 0, i = 0;
    while (i < text.length && runs < RUNS) {
      int x = text[i] & 0xFF, kind = CLASSES[x], run = 1;
      i++;
      while (i < text.length) {
        int next = text[i] & 0xFF, nextKind = CLASSES[next];
        if (nextKind != LATER) {
          if (kind == 0 ? next != x : nextKind != kind) { break; }
          run++;
        }
        i++;
      }
      found.append(kind == 0 ? (char) x : SIGNS[kind]);
      if (run > 1) {
        found.append('{').append(Math.min(run, LONGEST_RUN));
        if (run > LONGEST_RUN) { found.append('+'); }
        found.append('}');
      }
      runs++;
    }
    if (i < text.length) { found.append("..."); }
    return found.toString();
  }

  private static boolean truth(byte[] text) {
    String word = new String(text).toLowerCase();
    return word.equals("true") || word.equals("false");
  }

  private static int kind(byte[] text, int bytes) {
    if (bytes > text.length || bytes == 0) { return TEXT; }
    if (bytes == 4 || bytes == 5) {
      boolean letters = true;
      for (int i = 0; i < bytes; i++) { letters &= CLASSES[text[i] & 0xFF] == UPPER || CLASSES[text[i] & 0xFF] == LOWER; }
      if (letters) { return MAYBE_TRUTH; }
    }
    int end = digits(text, 0);
    if (end == 4 && bytes >= 10) { return date(text); }
    return number(text);
  }

  private static int number(byte[] text) {
    int start = text[0] == '-' || text[0] == '+' ? 1 : 0;
    int end = digits(text, start), whole = end - start, fraction = 0;
    if (end == text.length) { return whole > 0 ? WHOLE : TEXT; }
    if (text[end] == '.') {
      int from = end + 1;
      end = digits(text, from);
      fraction = end - from;
    }
    if (whole + fraction == 0) { return TEXT; }
    if (end < text.length && (text[end] == 'e' || text[end] == 'E')) {
      end++;
      if (end < text.length && (text[end] == '-' || text[end] == '+')) { end++; }
      int power = digits(text, end);
      if (power == end) { return TEXT; }
      end = power;
    }
    return end == text.length ? FRACTION : TEXT;
  }

  /** `YYYY-MM-DD`, and with a time after a blank or T. */
  private static int date(byte[] text) {
    if (text[4] != '-' || digits(text, 5) != 7 || text[7] != '-' || digits(text, 8) != 10) { return number(text); }
    if (text.length == 10) { return DATE; }
    if ((text[10] != ' ' && text[10] != 'T') || text.length < 16 || digits(text, 11) != 13 || text[13] != ':'
        || digits(text, 14) != 16) {
      return TEXT;
    }
    int end = 16;
    if (end < text.length && text[end] == ':') {
      if (digits(text, end + 1) != end + 3) { return TEXT; }
      end += 3;
      if (end < text.length && text[end] == '.') { end = digits(text, end + 1); }
    }
    return end == text.length || zone(text, end) ? MOMENT : TEXT;
  }

  private static boolean zone(byte[] text, int from) {
    if (text[from] == 'Z') { return from + 1 == text.length; }
    if (text[from] != '+' && text[from] != '-') { return false; }
    int hours = digits(text, from + 1);
    if (hours == text.length) { return hours - from == 3 || hours - from == 5; }
    return hours - from == 3 && text[hours] == ':' && digits(text, hours + 1) == text.length && text.length - hours == 3;
  }

  /** Where the digits that begin at `from` end. */
  private static int digits(byte[] text, int from) {
    int end = from;
    while (end < text.length && text[end] >= '0' && text[end] <= '9') { end++; }
    return end;
  }

  void merge(Shapes other) {
    for (int i = 0; i < KINDS; i++) { kinds[i] += other.kinds[i]; }
    for (int i = 0; i < signs.length; i++) { signs[i] += other.signs[i]; }
    others += other.others;
    for (int i = 0; i < other.hashes.length; i++) {
      if (other.texts[i] == null) { continue; }
      int slot = slot(other.hashes[i]);
      if (texts[slot] == null && size < LIMIT) { put(slot, other.hashes[i], other.texts[i], other.kindOf[i]); }
      if (texts[slot] != null) { counts[slot] += other.counts[i]; } else { others += other.counts[i]; }
    }
  }

  void write(DataOutputStream out) throws IOException {
    for (int i = 0; i < KINDS; i++) { out.writeLong(kinds[i]); }
    for (int i = DIGIT; i <= LOWER; i++) { out.writeLong(signs[i]); }
    out.writeLong(others);
    out.writeInt(size);
    for (int i = 0; i < hashes.length; i++) {
      if (texts[i] != null) {
        out.writeLong(hashes[i]);
        out.writeLong(counts[i]);
        out.writeByte(kindOf[i]);
        out.writeUTF(texts[i]);
      }
    }
  }

  void read(DataInputStream in) throws IOException {
    for (int i = 0; i < KINDS; i++) { kinds[i] = in.readLong(); }
    for (int i = DIGIT; i <= LOWER; i++) { signs[i] = in.readLong(); }
    others = in.readLong();
    int found = in.readInt();
    for (int i = 0; i < found; i++) {
      long hash = in.readLong(), times = in.readLong();
      int kind = in.readByte(), slot = slot(hash);
      put(slot, hash, in.readUTF(), kind);
      counts[slot] = times;
    }
  }
}
