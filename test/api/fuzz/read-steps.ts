/** The steps that only read, and those that are hardly requests: watches, streams, strangers, malformed HTTP. */
import {
  bytesOf,
  collectionPath,
  credentials,
  impersonation,
  listQuery,
  oddAsk,
  plainAsk,
  readHeaders,
  withQuery,
} from "./asks.ts";
import type { Dice } from "./dice.ts";
import { Finding } from "./judge.ts";
import type { Lane } from "./lane.ts";
import { malformed } from "./malformed.ts";
import { frames, logQuery, upgradeAsk } from "./streams.ts";

export async function read(lane: Lane, dice: Dice): Promise<void> {
  const tracked = lane.one(dice);
  const kind = tracked && dice.chance(0.7) ? tracked.kind : lane.kind(dice);
  const list = !tracked || dice.chance(0.7);
  const collection = collectionPath(kind, dice.chance(0.8) ? lane.namespace : undefined);
  const target = list ? withQuery(collection, listQuery(dice, lane.tokens)) : tracked.path;
  const headers = [...readHeaders(dice), ...(dice.chance(0.06) ? impersonation(dice) : [])];
  const reply = await lane.ask({ method: dice.chance(0.97) ? "GET" : "HEAD", target, headers });
  const token = /"continue":"([^"]+)"/.exec(reply?.body.toString("latin1", 0, 600) ?? "")?.[1];
  if (token) lane.tokens = [...lane.tokens.slice(-5), token];
}

export async function watch(lane: Lane, dice: Dice): Promise<void> {
  const query: [string, string][] = [["watch", dice.pick(["true", "1", "yes"])], ...listQuery(dice, lane.tokens)];
  if (dice.chance(0.3)) query.push(["timeoutSeconds", dice.pick(["1", "0", "-1", "x", "1e99"])]);
  if (dice.chance(0.3))
    query.push(
      ["sendInitialEvents", "true"],
      ["resourceVersionMatch", "NotOlderThan"],
      ["allowWatchBookmarks", "true"],
    );
  const path = collectionPath(lane.kind(dice), dice.chance(0.7) ? lane.namespace : undefined);
  await lane.glance(bytesOf({ method: "GET", target: withQuery(path, query), headers: readHeaders(dice) }));
}

/** Discovery, OpenAPI, health, metrics. */
export async function plain(lane: Lane, dice: Dice): Promise<void> {
  await lane.ask(plainAsk(dice));
}

export async function odd(lane: Lane, dice: Dice): Promise<void> {
  const ask = oddAsk(dice);
  if (/\/watch(\/|\?|$)|watch=|\/log/.test(ask.target)) await lane.glance(bytesOf(ask));
  else await lane.ask(ask, { chunked: dice.chance(0.3) });
}

export async function stranger(lane: Lane, dice: Dice): Promise<void> {
  const headers = [...readHeaders(dice), ...credentials(dice), ...(dice.chance(0.3) ? impersonation(dice) : [])];
  const target = collectionPath(lane.kind(dice), lane.namespace);
  const reply = await lane.ask({ method: "GET", target, headers }, { wire: lane.stranger });
  if (reply && reply.status < 300) throw new Finding("a stranger was let in");
}

export async function noHttp(lane: Lane, dice: Dice): Promise<void> {
  const bytes = malformed(dice);
  // Of half a request the rest is waited for, longer than we do.
  await lane.glance(bytes, { must: false, millis: bytes.includes("\r\n\r\n") ? 30 : 5 });
}

export async function upgrade(lane: Lane, dice: Dice): Promise<void> {
  const ask = upgradeAsk(dice, dice.chance(0.9) ? lane.ground.pod : `${lane.ground.pod}x`);
  await lane.glance(bytesOf(ask), { ...patience(ask.target), after: frames(dice), half: dice.chance(0.3) });
}

export async function log(lane: Lane, dice: Dice): Promise<void> {
  const target = withQuery(`${lane.ground.pod}/log`, logQuery(dice));
  await lane.glance(bytesOf({ method: "GET", target, headers: readHeaders(dice) }), patience(target));
}

/** A kubelet that says nothing is not waited for. */
const patience = (target: string): { must: boolean; millis: number } =>
  target.includes("silent") ? { must: false, millis: 20 } : { must: true, millis: 15_000 };
