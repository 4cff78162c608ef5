/**
 * Log lines in bounded memory: a ring that forgets the oldest. Lines carry the Pod they are from and,
 * where the server wrote one, their time.
 */

export interface LogLine {
  /** Rises by one per line; stays with the line. */
  id: number;
  source: string;
  /** RFC 3339 as the server wrote it, or "". */
  time: string;
  text: string;
}

export class LogBuffer {
  readonly capacity: number;
  private lines: LogLine[] = [];
  private next = 0;
  /** How many were forgotten. */
  dropped = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  push(source: string, raw: string): void {
    const { time, text } = splitTime(raw);
    this.lines.push({ id: this.next, source, time, text });
    this.next += 1;
    // Cut in pieces: shifting one by one would cost as much as all the lines together.
    if (this.lines.length > this.capacity * 1.1) {
      const surplus = this.lines.length - this.capacity;
      this.lines = this.lines.slice(surplus);
      this.dropped += surplus;
    }
  }

  /** The lines, merged in time order when several sources wrote them. */
  all(): LogLine[] {
    const several = new Set(this.lines.map((line) => line.source)).size > 1;
    if (!several) return this.lines.slice();
    return this.lines.toSorted((a, b) => (a.time && b.time ? compareTimes(a.time, b.time) : 0) || a.id - b.id);
  }

  clear(): void {
    this.lines = [];
    this.dropped = 0;
  }
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/;

export function splitTime(raw: string): { time: string; text: string } {
  const match = TIME.exec(raw);
  return match ? { time: match[1] ?? "", text: raw.slice(match[0].length) } : { time: "", text: raw };
}

/** Nanoseconds matter between replicas, and trailing zeros are left out: compare instants, then fractions. */
export function compareTimes(a: string, b: string): number {
  const [wholeA, fractionA] = instant(a);
  const [wholeB, fractionB] = instant(b);
  return wholeA - wholeB || fractionA.localeCompare(fractionB);
}

function instant(time: string): [seconds: number, fraction: string] {
  const match = /^(.{19})(?:\.(\d+))?(.*)$/.exec(time);
  return [Date.parse(`${match?.[1] ?? ""}${match?.[3] ?? ""}`), (match?.[2] ?? "").padEnd(9, "0")];
}

/** Without the escapes that colour a terminal. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.includes("\u001B") ? text.replaceAll(/\u001B\[[0-9;?]*[A-Za-z]/g, "") : text;
}

export interface Piece {
  text: string;
  hit: boolean;
}

/** Splits a line at the places where `needle` (lower case) stands. */
export function highlight(text: string, needle: string): Piece[] {
  if (!needle) return [{ text, hit: false }];
  const pieces: Piece[] = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, from)) {
    if (at > from) pieces.push({ text: text.slice(from, at), hit: false });
    pieces.push({ text: text.slice(at, at + needle.length), hit: true });
    from = at + needle.length;
  }
  if (from < text.length || pieces.length === 0) pieces.push({ text: text.slice(from), hit: false });
  return pieces;
}
