/** The steps that write: create, update, patch, delete, subresources, reviews. */
import { factsFor } from "../../../common/kube/facts/index.ts";
import {
  apiVersion,
  collectionPath,
  isDryRun,
  listQuery,
  readHeaders,
  withQuery,
  writeHeaders,
  writeQuery,
} from "./asks.ts";
import type { Ask, Kind } from "./asks.ts";
import { bodyOf, patchBody } from "./bodies.ts";
import type { Body } from "./bodies.ts";
import { Dice } from "./dice.ts";
import { Finding, checkWrite, isStruct, nameOf, parsed, sameText } from "./judge.ts";
import type { Struct, Tracked } from "./judge.ts";
import { isDangerous, isQuiet } from "./kinds.ts";
import type { Lane } from "./lane.ts";
import { mutate } from "./mutate.ts";
import { patchOf, patchTypes } from "./patches.ts";
import { read } from "./read-steps.ts";
import { seedOf } from "./seeds.ts";
import { anything, oddString } from "./values.ts";

function askOf(dice: Dice, method: string, target: string, body: Body | undefined): Ask {
  const headers = [...writeHeaders(dice), ...(body?.headers ?? [])];
  return { method, target, headers, ...(body ? { body: body.bytes } : {}) };
}

const objectOf = ({ text }: Tracked): Struct => JSON.parse(text ?? "{}") as Struct;

export async function create(lane: Lane, dice: Dice): Promise<void> {
  const kind = lane.kind(dice);
  if (!kind.verbs.includes("create")) return;
  const mark = lane.mark();
  const object = lane.fresh(kind, lane.name(dice), mark);
  const wanted = nameOf(object) ?? "";
  lane.change(dice, kind, object, mark, dice.chance(0.3) ? 0 : 3);
  if (isStruct(object["metadata"]) && dice.chance(0.05)) {
    delete object["metadata"]["name"];
    object["metadata"]["generateName"] = dice.chance(0.9) ? `${wanted}-` : oddString(dice);
  }
  const query = writeQuery(dice);
  const body = bodyOf(dice, object, isDangerous(kind));
  const collection = collectionPath(kind, lane.namespace);
  const tracked = await lane.track(kind, `${collection}/${wanted}`);
  const dryRun = isDryRun(query);
  const reply = await lane.write(askOf(dice, "POST", withQuery(collection, query), body), tracked, { mark, dryRun });
  const name = reply?.status === 201 && !dryRun ? nameOf(parsed(reply.body)) : undefined;
  // One that was made under another name (generateName, damage) is to be taken away, too.
  if (name !== undefined && name !== wanted) await lane.track(kind, `${collection}/${encodeURIComponent(name)}`);
}

export async function update(lane: Lane, dice: Dice): Promise<void> {
  const tracked = lane.one(dice);
  if (!tracked) return create(lane, dice);
  const { kind, path } = tracked;
  const object = objectOf(tracked);
  const mark = lane.mark();
  lane.change(dice, kind, object, mark, 3);
  if (isStruct(object["metadata"]) && dice.chance(0.3)) {
    if (dice.chance(0.7)) delete object["metadata"]["resourceVersion"];
    else object["metadata"]["resourceVersion"] = dice.pick(["1", "0", "abc", "99999999999"]);
  }
  const query = writeQuery(dice);
  const body = bodyOf(dice, object, isDangerous(kind));
  await lane.write(askOf(dice, "PUT", withQuery(path, query), body), tracked, { mark, dryRun: isDryRun(query) });
}

/** What GET shows, put back as it is in any encoding, is no change. */
export async function putBack(lane: Lane, dice: Dice): Promise<void> {
  // Protobuf cannot tell an empty list from none; policies may change or refuse what was there before them.
  const fit = ({ kind, text }: Tracked): boolean => isQuiet(kind, text) && !text?.includes("[]");
  const tracked = lane.one(dice, fit);
  if (!tracked) return create(lane, dice);
  if (lane.one(dice, ({ kind }) => kind.group === "admissionregistration.k8s.io")) return read(lane, dice);
  const before = tracked.text;
  const { bytes: body, headers } = bodyOf(dice, objectOf(tracked), true);
  const reply = await lane.write({ method: "PUT", target: tracked.path, headers, body }, tracked, { dryRun: false });
  if (headers.some(([name]) => name === "content-encoding")) return;
  if (reply?.status !== 200)
    throw new Finding(`what GET showed cannot be put back: ${reply?.status} ${reply?.body.toString()}\n${before}`);
  if (!sameText(before, tracked.text))
    throw new Finding(`what GET showed, put back, changed ${tracked.path}\nfrom ${before}\nto   ${tracked.text}`);
}

export async function patch(lane: Lane, dice: Dice): Promise<void> {
  const tracked = lane.one(dice, ({ kind }) => !isDangerous(kind));
  if (!tracked) return create(lane, dice);
  const { kind, path } = tracked;
  const part = dice.chance(0.15) && kind.subresources.length > 0 ? `/${dice.pick(kind.subresources).name}` : "";
  if (isEndless(part)) return;
  const mark = lane.mark();
  const type = dice.pick(patchTypes);
  const fresh = type === "application/apply-patch+yaml" && dice.chance(0.7);
  const object = fresh ? lane.fresh(kind, "x", mark) : objectOf(tracked);
  const body = patchBody(dice, patchOf(dice, type, object, factsFor(kind), mark), type);
  const query = writeQuery(dice, type);
  const ask = askOf(dice, "PATCH", withQuery(path + part, query), body);
  await lane.write(ask, tracked, { mark, dryRun: isDryRun(query) });
}

/** One, or all of its kind in the namespace. */
export async function remove(lane: Lane, dice: Dice): Promise<void> {
  const tracked = lane.one(dice);
  if (!tracked) return read(lane, dice);
  const { kind, path } = tracked;
  const all = dice.chance(0.15) && kind.namespaced;
  const query = deleteQuery(dice);
  if (all) query.push(...listQuery(dice, lane.tokens));
  const body = dice.chance(0.5) ? bodyOf(dice, deleteOptions(dice, kind)) : undefined;
  const target = withQuery(all ? path.replace(/\/[^/]*$/, "") : path, query);
  const reply = await lane.ask(askOf(dice, "DELETE", target, body));
  // What a body that was damaged says of dry runs is anybody's guess. A collection may be refused half way.
  const spared = isDryRun(query) && !body;
  const refused = !all && reply !== undefined && reply.status >= 400;
  for (const one of all ? lane.all((other) => other.kind === kind) : [tracked]) {
    const before = one.text;
    one.text = await lane.get(one.path);
    if (reply && (spared || refused)) checkWrite(one, before, reply, false);
  }
}

function deleteQuery(dice: Dice): [string, string][] {
  const query: [string, string][] = [];
  const grace = ["0", "1", "-1", "abc", "1e9", "99999999999999999999"];
  if (dice.chance(0.2)) query.push(["dryRun", dice.chance(0.9) ? "All" : "x"]);
  if (dice.chance(0.3)) query.push(["gracePeriodSeconds", dice.pick(grace)]);
  if (dice.chance(0.3)) query.push(["propagationPolicy", dice.pick(["Orphan", "Foreground", "Background", "x"])]);
  return query;
}

function deleteOptions(dice: Dice, kind: Kind): Struct {
  const options: Struct = {
    apiVersion: dice.pick(["v1", "meta.k8s.io/v1", apiVersion(kind), "x"]),
    kind: dice.pick(["DeleteOptions", "DeleteOptions", "Pod"]),
  };
  const odd = dice.chance(0.2);
  if (dice.chance(0.3)) options["gracePeriodSeconds"] = odd ? anything(dice, 3) : 0;
  if (dice.chance(0.3))
    options["propagationPolicy"] = odd ? anything(dice, 3) : dice.pick(["Orphan", "Foreground", "Background"]);
  if (dice.chance(0.2)) options["preconditions"] = odd ? anything(dice, 3) : { uid: "other" };
  if (dice.chance(0.1)) options["preconditions"] = { resourceVersion: anything(dice, 3) };
  if (dice.chance(0.1)) options["dryRun"] = odd ? anything(dice, 2) : ["All"];
  if (dice.chance(0.05)) options["orphanDependents"] = anything(dice, 3);
  return options;
}

export async function subresource(lane: Lane, dice: Dice): Promise<void> {
  const tracked = lane.one(dice, ({ kind }) => kind.subresources.length > 0);
  if (!tracked) return create(lane, dice);
  const { kind, path } = tracked;
  const part = dice.pick(kind.subresources);
  const name = dice.chance(0.97) ? part.name : oddString(dice);
  if (isEndless(`/${name}`)) return;
  const target = `${path}/${encodeURIComponent(name.toWellFormed())}`;
  if (dice.chance(0.2)) {
    const method = dice.pick(["GET", "GET", "HEAD", "DELETE", "OPTIONS"]);
    await lane.ask({ method, target, headers: readHeaders(dice) });
    tracked.text = await lane.get(path);
    return;
  }
  const own = { group: part.group, version: "v1", kind: part.kind };
  const object: Struct = part.kind === kind.kind ? objectOf(tracked) : bodyFor(own, nameOf(objectOf(tracked)) ?? "");
  const mark = lane.mark();
  for (let count = dice.below(3); count > 0; count -= 1) mutate(dice, object, factsFor(own));
  lane.change(dice, kind, object, mark, 1);
  const query = writeQuery(dice);
  const body = bodyOf(dice, object, isDangerous(kind));
  const ask = askOf(dice, dice.pick(["PUT", "PUT", "POST"]), withQuery(target, query), body);
  await lane.write(ask, tracked, { dryRun: isDryRun(query), mark });
}

const bodyFor = (gvk: { group: string; version: string; kind: string }, name: string): Struct =>
  ({ apiVersion: apiVersion(gvk), kind: gvk.kind, metadata: { name }, ...seedOf(gvk.group, gvk.kind) }) as Struct;

/** Kinds that are only answered, never kept. */
export async function review(lane: Lane, dice: Dice): Promise<void> {
  const kind = dice.pick(lane.ground.kinds.filter(({ verbs }) => !verbs.includes("list")));
  const object = bodyFor(kind, "");
  for (let count = dice.below(3); count > 0; count -= 1) mutate(dice, object, factsFor(kind));
  const target = withQuery(collectionPath(kind, lane.namespace), writeQuery(dice));
  await lane.ask(askOf(dice, "POST", target, bodyOf(dice, object)));
}

/** Answered by a kubelet, as long as it likes: these have steps of their own. */
const isEndless = (part: string): boolean => /^\/(log|exec|attach|portforward|proxy)$/.test(part);
