/**
 * Both engines against a model that keeps every revision there ever was: random writes, lists of the past, watches,
 * compactions and restarts. DRYDOCK_RUNS says how many of them; a failure names the seed that repeats it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openMemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CompactedError } from "./store.ts";
import type { Store } from "./store.ts";

const RUNS = Number(process.env["DRYDOCK_RUNS"]) || 6;
const STEPS = 120;
const PREFIXES = ["", "/a/", "/b/", "/a/1"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Numbers from 0 to below `most`, the same for the same seed. */
function dice(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % most;
  };
}

interface Written {
  revision: number;
  key: string;
  value: string | undefined;
}

/** What there was after a revision: key, value and the revision that wrote it. */
function then(log: readonly Written[], at: number, prefix: string): string[] {
  const state = new Map<string, string>();
  for (const { revision, key, value } of log) {
    if (revision > at) break;
    if (value === undefined) state.delete(key);
    else state.set(key, `${key}=${value}@${revision}`);
  }
  return [...state.keys()]
    .filter((key) => key.startsWith(prefix))
    .toSorted()
    .map((key) => state.get(key) as string);
}

const text = (value: Uint8Array): string => Buffer.from(value).toString();

async function listed(store: Store, prefix: string, at: number, page: number): Promise<string[]> {
  const found: string[] = [];
  let startAfter: string | undefined;
  for (;;) {
    const { items, more } = await store.list(prefix, { atRevision: at, limit: page, startAfter });
    found.push(...items.map(({ key, value, modRevision }) => `${key}=${text(value)}@${modRevision}`));
    if (!more) return found;
    startAfter = items.at(-1)?.key;
  }
}

/** What a watch tells up to now, or that it was refused. */
async function watched(
  store: Store,
  prefix: string,
  from: number,
  wanted: string | undefined,
): Promise<string[] | Error> {
  const seen: string[] = [];
  const ended = Promise.withResolvers<Error>();
  const to = store.revision();
  const subscription = store.watch(
    prefix,
    from,
    {
      events: (batch) => {
        for (const { key, value, revision, previous } of batch)
          seen.push(`${revision} ${key}=${value && text(value)} was ${previous && text(previous.value)}`);
      },
      end: (error) => ended.resolve(error ?? new Error("over")),
    },
    wanted === undefined ? undefined : { name: "value", value: wanted, of: ({ value }) => text(value) },
  );
  const done = (async () => {
    while (subscription.delivered() < to) await new Promise((resolve) => setImmediate(resolve));
    return seen;
  })();
  const result = await Promise.race([done, ended.promise]);
  subscription.close();
  return result;
}

function told(log: readonly Written[], prefix: string, from: number, wanted: string | undefined): string[] {
  const last = new Map<string, string | undefined>();
  const events: string[] = [];
  for (const { revision, key, value } of log) {
    const previous = last.get(key);
    last.set(key, value);
    if (revision <= from || !key.startsWith(prefix)) continue;
    if (wanted === undefined || previous === wanted || value === wanted)
      events.push(`${revision} ${key}=${value} was ${previous}`);
  }
  return events;
}

async function simulate(seed: number, open: () => Promise<Store>, restarts: boolean): Promise<number> {
  const roll = dice(seed);
  const log: Written[] = [];
  let store = await open();
  try {
    for (let step = 0; step < STEPS; step += 1) {
      const prefix = PREFIXES[roll(PREFIXES.length)] as string;
      const revision = store.revision();
      expect(revision).toBe(log.at(-1)?.revision ?? 0);
      const past = Math.max(store.compactRevision(), revision - roll(40));
      switch (roll(10)) {
        case 0: {
          expect(await listed(store, prefix, past, 1 + roll(6))).toEqual(then(log, past, prefix));
          break;
        }
        case 1: {
          const wanted = roll(2) === 0 ? undefined : `v${roll(4)}`;
          expect(await watched(store, prefix, past, wanted)).toEqual(told(log, prefix, past, wanted));
          break;
        }
        case 2: {
          if (roll(4) > 0) break;
          await store.compact(past);
          if (past > 0) expect(await watched(store, prefix, past - 1, undefined)).toBeInstanceOf(CompactedError);
          break;
        }
        case 3: {
          if (!restarts || roll(4) > 0) break;
          await store.close();
          store = await open();
          break;
        }
        case 4: {
          expect(await store.count(prefix)).toBe(then(log, revision, prefix).length);
          break;
        }
        default:
          await write(store, log, roll);
      }
    }
    return log.length;
  } finally {
    await store.close();
  }
}

/** A few at once, of which those for one key stand in each other's way. */
async function write(store: Store, log: Written[], roll: (most: number) => number): Promise<void> {
  const asked = Array.from({ length: 1 + roll(5) }, () => {
    const key = `/${"ab"[roll(2)]}/${roll(12)}`;
    const value = roll(4) === 0 ? undefined : `v${roll(4)}`;
    return { key, value };
  });
  const results = await Promise.all(
    asked.map(async ({ key, value }) => {
      const known = store.peek(key)?.modRevision ?? 0;
      const result = await (value === undefined ? store.delete(key, known) : store.put(key, Buffer.from(value), known));
      return result.ok ? [{ revision: result.revision, key, value }] : [];
    }),
  );
  log.push(...results.flat().toSorted((a, b) => a.revision - b.revision));
}

for (let seed = 1; seed <= RUNS; seed += 1) {
  test(`memory does as the model does (seed ${seed})`, async () => {
    expect(await simulate(seed, async () => openMemoryStore(), false)).toBeGreaterThan(STEPS / 4);
  });
  test(`SQLite does as the model does, over restarts (seed ${seed})`, async () => {
    const open = (): Promise<Store> => openSqliteStore({ directory: join(folder, String(seed)) });
    expect(await simulate(seed, open, true)).toBeGreaterThan(STEPS / 4);
  });
}
