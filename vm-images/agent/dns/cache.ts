/**
 * Answers from elsewhere, kept for as long as they say, at most half a minute: whole messages, handed out with the asker's id and
 * with lives that have run on (RFC 1035 §4.1.3; RFC 2308 for names that are not there).
 */
import { decode } from "dns-packet";
import { monotonicNow } from "../monotonic.ts";

const LONGEST_SECONDS = 30;
const KEPT = 1000;
const HEADER = 12;
const NXDOMAIN = 3;
const OPT = 41;
const SOA = 6;

interface Entry {
  message: Buffer;
  /** Where in the message the records' times to live are. */
  lives: number[];
  at: number;
  until: number;
}

export class DnsCache {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;

  constructor(now: () => number = monotonicNow) {
    this.#now = now;
  }

  /** What is known of the query's question, as an answer to the query. `asked`: whom; others may say something else. */
  get(query: Buffer, asked = ""): Buffer | undefined {
    const key = keyOf(query, asked);
    const entry = key === undefined ? undefined : this.#entries.get(key);
    if (key === undefined || !entry) return undefined;
    const now = this.#now();
    if (now >= entry.until) {
      this.#entries.delete(key);
      return undefined;
    }
    const answer = Buffer.from(entry.message);
    answer.writeUInt16BE(query.readUInt16BE(0), 0);
    const passed = Math.floor((now - entry.at) / 1000);
    for (const offset of entry.lives) answer.writeUInt32BE(Math.max(0, answer.readUInt32BE(offset) - passed), offset);
    return answer;
  }

  put(query: Buffer, answer: Buffer, asked = ""): void {
    const key = keyOf(query, asked);
    const read = key === undefined ? undefined : livesOf(answer);
    if (key === undefined || !read || read.seconds <= 0) return;
    const at = this.#now();
    if (this.#entries.size >= KEPT) this.#entries.delete(this.#entries.keys().next().value as string);
    const until = at + Math.min(read.seconds, LONGEST_SECONDS) * 1000;
    this.#entries.set(key, { message: Buffer.from(answer), lives: read.offsets, at, until });
  }
}

/** The question and what was asked for beside it: two askers with the same key may have the same answer. */
function keyOf(query: Buffer, asked: string): string | undefined {
  try {
    const { questions = [], additionals = [], flags = 0 } = decode(query);
    const [question] = questions;
    if (!question || questions.length !== 1) return undefined;
    const options = additionals.find(({ type }) => type === "OPT") as { flags?: number } | undefined;
    return [
      asked,
      question.name.toLowerCase(),
      question.type,
      question.class,
      options?.flags ?? "",
      flags & 0x0110,
    ].join("|");
  } catch {
    return undefined;
  }
}

/** How long the answer may be kept, and where it says so; undefined for one that must not be kept (cut off, or an error). */
function livesOf(message: Buffer): { seconds: number; offsets: number[] } | undefined {
  const flags = message.readUInt16BE(2);
  const code = flags & 15;
  const truncated = (flags & 0x0200) !== 0;
  if (truncated || (code !== 0 && code !== NXDOMAIN)) return undefined;
  const counts = [4, 6, 8, 10].map((offset) => message.readUInt16BE(offset)) as [number, number, number, number];
  const offsets: number[] = [];
  let seconds = Infinity;
  let said = false;
  try {
    let at = HEADER;
    for (let index = 0; index < counts[0]; index++) at = afterName(message, at) + 4;
    for (let index = 0; index < counts[1] + counts[2] + counts[3]; index++) {
      at = afterName(message, at);
      const type = message.readUInt16BE(at);
      const length = message.readUInt16BE(at + 8);
      if (type !== OPT) {
        const life = message.readUInt32BE(at + 4);
        offsets.push(at + 4);
        // Of an answer that has nothing, the zone's own record says how long that may be believed.
        const least = type === SOA && counts[1] === 0 ? message.readUInt32BE(at + 10 + length - 4) : life;
        if (index < counts[1] || type === SOA) {
          seconds = Math.min(seconds, life, least);
          said = true;
        }
      }
      at += 10 + length;
    }
  } catch {
    return undefined;
  }
  return said ? { seconds, offsets } : undefined;
}

/** The offset after a name, which ends with a zero or with a pointer. */
function afterName(message: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
}
