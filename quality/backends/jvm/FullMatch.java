package org.quality;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Whether a whole text matches a regular expression, told byte by byte from a table of states: no String is made and nothing
 * is tried twice, however often the expression repeats. It holds for expressions that are regular in the strict sense (sets,
 * groups, alternatives, repetitions) and texts of ASCII; texts that hold other characters go to java.util.regex, whose answer it
 * is in every case.
 */
public final class FullMatch implements java.io.Serializable {
  private static final int STATES = 500;
  private final String expression;
  private final short[] table;
  private final boolean[] accepting;
  private transient Pattern pattern;

  private FullMatch(String expression, short[] table, boolean[] accepting) {
    this.expression = expression;
    this.table = table;
    this.accepting = accepting;
  }

  /** The table of an expression; null when it is of a kind that tables cannot tell, or would take too many states. */
  public static FullMatch of(String expression) {
    Nfa nfa = new Nfa();
    int start;
    try {
      start = nfa.build(new Parser(expression).whole(), nfa.accept());
    } catch (UnsupportedOperationException e) {
      return null;
    }
    Map numbers = new HashMap();
    List sets = new ArrayList();
    BitSet first = new BitSet();
    nfa.close(start, first);
    numbers.put(first, Integer.valueOf(1));
    sets.add(first);
    List rows = new ArrayList();
    for (int done = 0; done < sets.size(); done++) {
      if (sets.size() > STATES) { return null; }
      short[] row = new short[128];
      for (int sign = 0; sign < 128; sign++) {
        BitSet next = nfa.after((BitSet) sets.get(done), sign);
        if (next.isEmpty()) { continue; }
        Integer number = (Integer) numbers.get(next);
        if (number == null) {
          number = Integer.valueOf(sets.size() + 1);
          numbers.put(next, number);
          sets.add(next);
        }
        row[sign] = number.shortValue();
      }
      rows.add(row);
    }
    // state 0 is the one from which nothing matches
    short[] table = new short[128 * (sets.size() + 1)];
    boolean[] accepting = new boolean[sets.size() + 1];
    for (int i = 0; i < sets.size(); i++) {
      System.arraycopy((short[]) rows.get(i), 0, table, 128 * (i + 1), 128);
      accepting[i + 1] = ((BitSet) sets.get(i)).get(nfa.accept());
    }
    return new FullMatch(expression, table, accepting);
  }

  public boolean matches(UTF8String text) {
    Object base = text.getBaseObject();
    long offset = text.getBaseOffset();
    int state = 1, size = text.numBytes();
    for (int i = 0; i < size; i++) {
      int sign = Platform.getByte(base, offset + i);
      if (sign < 0) { return slowly(text); }
      state = table[(state << 7) + sign];
      if (state == 0) { return false; }
    }
    return accepting[state];
  }

  private boolean slowly(UTF8String text) {
    Pattern known = pattern;
    if (known == null) {
      known = Pattern.compile(expression);
      pattern = known;
    }
    return known.matcher(text.toString()).matches();
  }
}

/** A part of an expression: a set of signs, a sequence, alternatives, or a repetition of its only part. */
final class Part {
  static final int SIGNS = 0, SEQUENCE = 1, CHOICE = 2, REPEAT = 3;
  final int kind;
  boolean[] signs;
  List parts = new ArrayList();
  int least;
  int most;

  Part(int kind) { this.kind = kind; }
}

/** Reads the regular part of Java's expressions. Raises UnsupportedOperationException for all else. */
final class Parser {
  private static final int DEPTH = 40, NO_END = -1;
  private final String text;
  private int place;
  private int depth;

  Parser(String text) { this.text = text; }

  Part whole() {
    Part part = choice();
    if (place < text.length()) { throw refused(); }
    return part;
  }

  private static UnsupportedOperationException refused() { return new UnsupportedOperationException(); }

  private boolean at(char sign) { return place < text.length() && text.charAt(place) == sign; }

  private char next() {
    if (place >= text.length()) { throw refused(); }
    return text.charAt(place++);
  }

  private Part choice() {
    if (++depth > DEPTH) { throw refused(); }
    Part found = new Part(Part.CHOICE);
    found.parts.add(sequence());
    while (at('|')) {
      place++;
      found.parts.add(sequence());
    }
    depth--;
    return found;
  }

  private Part sequence() {
    Part found = new Part(Part.SEQUENCE);
    while (place < text.length() && !at('|') && !at(')')) { found.parts.add(repeated(atom())); }
    return found;
  }

  private Part atom() {
    char sign = next();
    if (sign == '(') {
      if (at('?')) {
        place++;
        if (next() != ':') { throw refused(); }
      }
      Part inner = choice();
      if (next() != ')') { throw refused(); }
      return inner;
    }
    Part part = new Part(Part.SIGNS);
    if (sign == '[') { part.signs = set(); }
    else if (sign == '\\') { part.signs = escaped(next()); }
    else if (sign == '.') {
      part.signs = all();
      part.signs['\n'] = false;
      part.signs['\r'] = false;
    } else if (sign == '^' || sign == '$' || sign == '*' || sign == '+' || sign == '?' || sign == '{') { throw refused(); }
    else { part.signs = only(sign); }
    return part;
  }

  private Part repeated(Part part) {
    int least = 1, most = 1;
    if (at('*')) { least = 0; most = NO_END; place++; }
    else if (at('+')) { most = NO_END; place++; }
    else if (at('?')) { least = 0; place++; }
    else if (at('{')) {
      place++;
      least = number();
      most = least;
      if (at(',')) {
        place++;
        most = at('}') ? NO_END : number();
      }
      if (next() != '}' || (most != NO_END && most < least)) { throw refused(); }
    } else { return part; }
    // how eager a repetition is does not change what a whole text matches; a possessive one does
    if (at('?')) { place++; }
    if (at('+') || at('*') || at('{') || at('?')) { throw refused(); }
    Part found = new Part(Part.REPEAT);
    found.parts.add(part);
    found.least = least;
    found.most = most;
    return found;
  }

  private int number() {
    int from = place, value = 0;
    while (place < text.length() && text.charAt(place) >= '0' && text.charAt(place) <= '9' && place - from < 4) {
      value = 10 * value + text.charAt(place++) - '0';
    }
    if (place == from) { throw refused(); }
    return value;
  }

  private boolean[] set() {
    boolean[] found = new boolean[128];
    boolean negated = at('^');
    if (negated) { place++; }
    if (at(']')) { throw refused(); }
    while (!at(']')) {
      char sign = next();
      if (sign == '[' || (sign == '&' && at('&')) || sign == '^') { throw refused(); }
      boolean[] signs = sign == '\\' ? escaped(next()) : only(sign);
      if (at('-') && place + 1 < text.length() && text.charAt(place + 1) != ']') {
        place++;
        char last = next();
        if (last == '[' || (last == '\\' && Character.isLetterOrDigit(last = next()))) { throw refused(); }
        signs = range(single(signs), last);
      }
      for (int i = 0; i < 128; i++) { found[i] |= signs[i]; }
    }
    place++;
    if (negated) { for (int i = 0; i < 128; i++) { found[i] = !found[i]; } }
    return found;
  }

  private static int single(boolean[] signs) {
    int found = -1;
    for (int i = 0; i < 128; i++) {
      if (signs[i]) {
        if (found >= 0) { throw refused(); }
        found = i;
      }
    }
    if (found < 0) { throw refused(); }
    return found;
  }

  private static boolean[] range(int first, int last) {
    if (last > 127 || first > last) { throw refused(); }
    boolean[] found = new boolean[128];
    for (int i = first; i <= last; i++) { found[i] = true; }
    return found;
  }

  private static boolean[] only(int sign) { return range(sign, sign); }

  private static boolean[] all() { return range(0, 127); }

  private static boolean[] escaped(char sign) {
    boolean[] found = new boolean[128];
    char lower = Character.toLowerCase(sign);
    if (lower == 'd' || lower == 'w' || lower == 's') {
      for (int i = 0; i < 128; i++) {
        boolean digit = i >= '0' && i <= '9';
        boolean word = digit || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') || i == '_';
        boolean blank = i == ' ' || (i >= 9 && i <= 13);
        boolean in = lower == 'd' ? digit : lower == 'w' ? word : blank;
        found[i] = in == (sign == lower);
      }
      return found;
    }
    if (sign == 't') { return only('\t'); }
    if (sign == 'n') { return only('\n'); }
    if (sign == 'r') { return only('\r'); }
    if (sign == 'f') { return only('\f'); }
    if (Character.isLetterOrDigit(sign)) { throw refused(); }
    return only(sign);
  }
}

/** States that a text may be in at once: Thompson's construction, built from the end. */
final class Nfa {
  private static final int STATES = 4000;
  private final List signs = new ArrayList();
  private final List targets = new ArrayList();

  Nfa() { add(null, new int[0]); }

  int accept() { return 0; }

  private int add(boolean[] set, int[] next) {
    if (signs.size() >= STATES) { throw new UnsupportedOperationException(); }
    signs.add(set);
    targets.add(next);
    return signs.size() - 1;
  }

  int build(Part part, int next) {
    if (part.kind == Part.SIGNS) { return add(part.signs, new int[] {next}); }
    if (part.kind == Part.SEQUENCE) {
      for (int i = part.parts.size() - 1; i >= 0; i--) { next = build((Part) part.parts.get(i), next); }
      return next;
    }
    if (part.kind == Part.CHOICE) {
      int[] starts = new int[part.parts.size()];
      for (int i = 0; i < starts.length; i++) { starts[i] = build((Part) part.parts.get(i), next); }
      return starts.length == 1 ? starts[0] : add(null, starts);
    }
    Part inner = (Part) part.parts.get(0);
    int end = next;
    if (part.most < 0) {
      end = add(null, new int[0]);
      targets.set(end, new int[] {build(inner, end), next});
    } else {
      for (int i = part.least; i < part.most; i++) { end = add(null, new int[] {build(inner, end), next}); }
    }
    for (int i = 0; i < part.least; i++) { end = build(inner, end); }
    return end;
  }

  void close(int state, BitSet found) {
    if (found.get(state)) { return; }
    int[] stack = new int[signs.size() + 1];
    int size = 0;
    stack[size++] = state;
    found.set(state);
    while (size > 0) {
      int one = stack[--size];
      if (signs.get(one) != null) { continue; }
      int[] next = (int[]) targets.get(one);
      for (int i = 0; i < next.length; i++) {
        if (!found.get(next[i])) {
          found.set(next[i]);
          stack[size++] = next[i];
        }
      }
    }
  }

  BitSet after(BitSet states, int sign) {
    BitSet found = new BitSet();
    for (int state = states.nextSetBit(0); state >= 0; state = states.nextSetBit(state + 1)) {
      boolean[] set = (boolean[]) signs.get(state);
      if (set != null && set[sign]) { close(((int[]) targets.get(state))[0], found); }
    }
    return found;
  }
}
