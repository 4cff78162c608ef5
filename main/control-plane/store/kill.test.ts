/** A process that writes is killed with SIGKILL at random moments: whatever it was told is done must be there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteStore } from "./sqlite.ts";

const ROUNDS = 4;
const STORE = fileURLToPath(new URL("./sqlite.ts", import.meta.url));
/** Writes, overwrites and deletes some keys from eight hands, and prints each write once it was acknowledged. */
const WRITER = `
import { openSqliteStore } from ${JSON.stringify(STORE)};
const store = await openSqliteStore({ directory: process.argv[2] });
let number = 0;
async function hand(name) {
  for (;;) {
    const key = "/k/" + name + "/" + (number++ % 5);
    const old = await store.get(key);
    const remove = old && number % 7 === 0;
    const value = String(number);
    const result = remove ? await store.delete(key, old.modRevision) : await store.put(key, new TextEncoder().encode(value), old?.modRevision ?? 0);
    if (result.ok) process.stdout.write(JSON.stringify({ revision: result.revision, key, value: remove ? null : value }) + "\\n");
  }
}
await Promise.all(Array.from({ length: 8 }, (_, at) => hand(at)));
`;

interface Acknowledged {
  revision: number;
  key: string;
  value: string | null;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("no acknowledged write is lost, and no revision is used twice", { timeout: 60_000 }, async () => {
  const script = join(folder, "writer.ts");
  await writeFile(script, WRITER);
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const enough = 40 + Math.floor(Math.random() * 200);
    let count = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(JSON.parse(line) as Acknowledged);
      if ((count += 1) === enough) child.kill("SIGKILL");
    }
    await exited;
    const store = await openSqliteStore({ directory: folder });
    const last = new Map<string, Acknowledged>();
    for (const one of acknowledged) if ((last.get(one.key)?.revision ?? 0) < one.revision) last.set(one.key, one);
    expect(store.revision()).toBeGreaterThanOrEqual(Math.max(...acknowledged.map(({ revision }) => revision)));
    for (const { key, revision, value } of last.values()) {
      const there = await store.get(key);
      // A write that was on its way when the process died may be there too, and is newer.
      if ((there?.modRevision ?? 0) > revision || (there === undefined && value === null)) continue;
      const gone = there === undefined ? await deletedAfter(store, key, revision) : undefined;
      expect(gone ?? new TextDecoder().decode(there?.value)).toBe(gone ?? value);
    }
    await store.close();
  }
  expect(new Set(acknowledged.map(({ revision }) => revision)).size).toBe(acknowledged.length);
});

/** Whether the key's life ended by a later write that was not acknowledged any more. */
async function deletedAfter(
  store: Awaited<ReturnType<typeof openSqliteStore>>,
  key: string,
  revision: number,
): Promise<boolean> {
  const to = store.revision();
  let result = false;
  const subscription = store.watch(key, revision, {
    events: (batch) => {
      result ||= batch.some((event) => event.key === key && event.type === "delete");
    },
    end: () => undefined,
  });
  while (subscription.delivered() < to) await new Promise((resolve) => setImmediate(resolve));
  subscription.close();
  expect(result).toBe(true);
  return result;
}
