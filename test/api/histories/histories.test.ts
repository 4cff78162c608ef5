/**
 * A control plane that is killed (SIGKILL) again and again while many hands write, read and watch: what it
 * acknowledged must be there, each key's history linearizable, every watch ordered, unique, complete and resumable.
 * DRYDOCK_RUNS says how often it is killed.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { HttpClient } from "../../../common/kube/http-client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import { TestServer, until } from "../support.ts";
import { checkOperations, checkWatch } from "./check.ts";
import type { Operation, Recorded } from "./check.ts";

const KILLS = Number(process.env["DRYDOCK_RUNS"]) || 4;
const KEYS = 12;
const HANDS = 8;
const SHARDS = 3;
/** The last write, by which everybody knows that there is nothing more to come. */
const LAST = "last";

const collection = { group: "", version: "v1", resource: "configmaps", namespace: "default" };

let server: TestServer;
let client: HttpClient;
beforeAll(async () => {
  server = await TestServer.start("--log-level=silent");
  client = await server.client();
});
afterAll(() => server?.stop());

const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));
const pick = (most: number): number => Math.floor(Math.random() * most);
const tagOf = (object: KubeObject): string => (object["data"] as { tag?: string } | undefined)?.tag ?? "";
const revisionOf = (object: KubeObject): number => Number(object.metadata.resourceVersion);
const keyed = (name: string): boolean => name.startsWith("h-") || name === LAST;
const shardOf = (name: string): string => String(Number(name.slice(2)) % SHARDS);

const made = (name: string, tag: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels: name === LAST ? {} : { shard: shardOf(name) } },
  data: { tag },
});

let serial = 0;
let over = false;
/** While the server is away nobody learns anything by asking. */
let up: Promise<void> = Promise.resolve();
const operations: Operation[] = [];
const acknowledgedWrites = (): number =>
  operations.filter(({ outcome }) => outcome.is === "written" || outcome.is === "deleted").length;

/** Does one thing at a time, with what it remembers of each key: sometimes that is old. */
async function hand(): Promise<void> {
  const known = new Map<string, KubeObject>();
  while (!over) {
    const key = `h-${pick(KEYS)}`;
    const old = known.get(key);
    const calls: Operation["call"][] = old ? ["update", "update", "delete", "get"] : ["create", "get"];
    const call = calls[pick(calls.length)] as Operation["call"];
    const tag = call === "create" || call === "update" ? `t${(serial += 1)}` : undefined;
    const expected = call === "update" || call === "delete" ? revisionOf(old as KubeObject) : undefined;
    const start = performance.now();
    const { outcome, object } = await attempt(call, key, tag, old);
    operations.push({
      key,
      start,
      end: outcome.is === "unknown" ? Number.POSITIVE_INFINITY : performance.now(),
      call,
      ...(tag === undefined ? {} : { tag }),
      ...(expected === undefined ? {} : { expected }),
      outcome,
    });
    if (object) known.set(key, object);
    else if (outcome.is !== "conflict" || Math.random() < 0.5) known.delete(key);
    if (outcome.is === "unknown") await up;
  }
}

async function attempt(
  call: Operation["call"],
  name: string,
  tag: string | undefined,
  old: KubeObject | undefined,
): Promise<{ outcome: Operation["outcome"]; object?: KubeObject }> {
  const ref = { ...collection, name };
  try {
    if (call === "get") {
      const object = await client.get(ref);
      return { outcome: { is: "seen", revision: revisionOf(object) }, object };
    }
    if (call === "delete") {
      await client.delete(ref, { preconditions: { resourceVersion: old?.metadata.resourceVersion ?? "" } });
      return { outcome: { is: "deleted" } };
    }
    const wanted = made(name, tag ?? "");
    const object =
      call === "create"
        ? await client.create(ref, wanted)
        : await client.update(ref, { ...(old as KubeObject), data: wanted["data"] });
    return { outcome: { is: "written", revision: revisionOf(object) }, object };
  } catch (error) {
    const reasons: Record<string, Operation["outcome"]["is"]> = {
      NotFound: "absent",
      AlreadyExists: "exists",
      Conflict: "conflict",
    };
    const is = error instanceof StatusError ? reasons[error.reason] : undefined;
    return { outcome: { is: (is ?? "unknown") as "unknown" } };
  }
}

interface Follower {
  name: string;
  from: number;
  seen: Recorded[];
  done: Promise<void>;
  resumptions: number;
}

/** Watches until the last write has come, from where it was each time the watch breaks. */
function follow(name: string, from: number, select: { labelSelector?: string; fieldSelector?: string }): Follower {
  const follower: Follower = { name, from, seen: [], resumptions: -1, done: Promise.resolve() };
  const run = async (): Promise<void> => {
    let at = from;
    for (;;) {
      follower.resumptions += 1;
      try {
        const events = client.watch(collection, { ...select, resourceVersion: String(at), allowWatchBookmarks: true });
        for await (const { type, object } of events) {
          if (type === "ERROR") throw new Error(JSON.stringify(object));
          const { name: key = "" } = object.metadata;
          if (type !== "BOOKMARK" && keyed(key))
            follower.seen.push({ revision: revisionOf(object), type, key, tag: tagOf(object) });
          at = revisionOf(object);
          if (key === LAST) return;
        }
      } catch (error) {
        // Only a connection that broke may be taken up again; a revision that is refused would be a gap.
        if (error instanceof StatusError && error.reason !== "Timeout") throw error;
      }
      await up;
      await pause(10);
    }
  };
  follower.done = run();
  // Looked at when all are done.
  follower.done.catch(() => undefined);
  return follower;
}

it(`keeps its promises over ${KILLS} kills`, { timeout: 120_000 + KILLS * 6000 }, async () => {
  const begun = Number((await client.list(collection)).metadata.resourceVersion);
  const followers = [
    follow("all", begun, {}),
    follow("shard 1", begun, { labelSelector: "shard=1" }),
    follow("h-2", begun, { fieldSelector: "metadata.name=h-2" }),
  ];
  const hands = Array.from({ length: HANDS }, hand);
  for (let kill = 0; kill < KILLS; kill += 1) {
    // By what was done, not by the clock alone: on a busy machine there is little to kill else.
    const enough = acknowledgedWrites() + 1 + pick(40);
    for (const deadline = Date.now() + 3000; acknowledgedWrites() < enough && Date.now() < deadline;) await pause(5);
    await pause(pick(20));
    const again = Promise.withResolvers<void>();
    await server.end("SIGKILL");
    up = again.promise;
    await server.launch();
    client = await server.client();
    again.resolve();
    if (kill % 10 === 5) {
      const from = Number((await client.list(collection)).metadata.resourceVersion);
      followers.push(follow(`all from ${from}`, from, {}));
    }
  }
  await pause(200);
  over = true;
  await Promise.all(hands);
  await client.create({ ...collection, name: LAST }, made(LAST, LAST));

  const whole = follow("the history itself", begun, {});
  await whole.done;
  const history = whole.seen;
  expect(
    checkOperations(
      history.filter(({ key }) => key !== LAST),
      operations,
    ),
  ).toEqual([]);
  const everything = followers.filter(({ name }) => name.startsWith("all"));
  await Promise.all(everything.map(({ done }) => done));
  const problems = everything.flatMap(({ name, from, seen }) => checkWatch(name, history, from, seen));
  const selected: [number, (event: Recorded) => boolean][] = [
    [1, ({ key }) => key !== LAST && shardOf(key) === "1"],
    [2, ({ key }) => key === "h-2"],
  ];
  for (const [at, wanted] of selected) {
    const { name, seen } = followers[at] as Follower;
    const those = history.filter(wanted);
    await until(
      async () => seen.length,
      (count) => count >= those.length,
    );
    problems.push(...checkWatch(name, those, begun, seen));
  }
  expect(problems).toEqual([]);
  const acknowledged = acknowledgedWrites();
  console.log(
    `${KILLS} kills, ${operations.length} operations (${acknowledged} acknowledged writes, ` +
      `${operations.filter(({ outcome }) => outcome.is === "unknown").length} unknown), ${history.length} events, ` +
      `${followers.reduce((sum, { resumptions }) => sum + resumptions, 0)} watches resumed`,
  );
  expect(acknowledged).toBeGreaterThan(KILLS * 5);
});
