/**
 * One client that does one thing after another, in a namespace of its own, and keeps a model of what it made: what
 * was refused must have changed nothing, what was accepted must be there.
 */
import { factsFor } from "../../../common/kube/facts/index.ts";
import {
  apiVersion,
  bytesOf,
  collectionPath,
  credentials,
  impersonation,
  listQuery,
  malformed,
  oddAsk,
  plainAsk,
  readHeaders,
  withQuery,
  writeHeaders,
  writeQuery,
} from "./asks.ts";
import type { Ask, Kind } from "./asks.ts";
import { bodyOf, patchBody } from "./bodies.ts";
import { Dice } from "./dice.ts";
import { guard, isDangerous, isQuiet } from "./kinds.ts";
import { mutate } from "./mutate.ts";
import { patchOf, patchTypes } from "./patches.ts";
import { seedOf } from "./seeds.ts";
import { frames, logQuery, upgradeAsk } from "./streams.ts";
import { anything, oddString } from "./values.ts";
import type { Json } from "./values.ts";
import { Wire, WireProblem } from "./wire.ts";
import type { Endpoint, Reply } from "./wire.ts";

type Struct = { [key: string]: Json };

/** Something the server should not have done, and the request that made it do so. */
export class Finding extends Error {}

interface Tracked {
  kind: Kind;
  path: string;
  /** As GET shows it; undefined: not there. */
  text: string | undefined;
}

/** What all lanes share. */
export interface Ground {
  endpoint: Endpoint;
  kinds: readonly Kind[];
  /** Marks of writes that were refused or only tried. */
  refused: Map<string, string>;
  /** The longest waits, for whoever looks for what holds the server up. */
  slowest: { millis: number; text: string }[];
  counts: { requests: number; writes: number; statuses: Map<number, number> };
}

/** Failures that are said to be the server's but have their cause elsewhere: a webhook, a kubelet. */
const WITH_CAUSE =
  /failed calling webhook|conversion webhook|error when converting|kubelet answered|no such container|"code":50[34]/;

export class Lane {
  readonly #ground: Ground;
  readonly #namespace: string;
  readonly #wire: Wire;
  readonly #stranger: Wire;
  readonly #number: number;
  #serial = 0;
  #tracked: Tracked[] = [];
  #tokens: string[] = [];
  #trace: string[] = [];
  readonly pod: string;

  constructor(ground: Ground, number: number, namespace: string, pod: string) {
    this.#ground = ground;
    this.#number = number;
    this.#namespace = namespace;
    this.pod = pod;
    this.#wire = new Wire(ground.endpoint);
    const { certificate: _c, key: _k, ...anonymous } = ground.endpoint;
    this.#stranger = new Wire(anonymous);
  }

  close(): void {
    this.#wire.close();
    this.#stranger.close();
  }

  /** Throws Finding. */
  async script(seeds: readonly number[]): Promise<void> {
    this.#serial += 1;
    this.#trace = [];
    try {
      for (const seed of seeds) await this.#step(new Dice(seed));
    } catch (error) {
      if (!(error instanceof WireProblem || error instanceof Finding)) throw error;
      throw new Finding(`${error.message}\nafter:\n${this.#trace.slice(-6).join("\n")}`);
    } finally {
      await this.#tidy();
    }
  }

  #step(dice: Dice): Promise<void> {
    const steps = [
      [20, () => this.#create(dice)],
      [12, () => this.#update(dice)],
      [3, () => this.#unchanged(dice)],
      [20, () => this.#patch(dice)],
      [8, () => this.#delete(dice)],
      [10, () => this.#subresource(dice)],
      [14, () => this.#read(dice)],
      [3, () => this.#watch(dice)],
      [7, () => this.#plain(dice)],
      [3, () => this.#review(dice)],
      [3, () => this.#odd(dice)],
      [2, () => this.#unknown(dice)],
      [1, () => this.#malformed(dice)],
      [2, () => this.#upgrade(dice)],
      [1, () => this.#log(dice)],
    ] as const;
    return dice.weighted(steps)();
  }

  // Sending

  async #ask(ask: Ask, { wire = this.#wire, chunked = false } = {}): Promise<Reply | undefined> {
    this.#ground.counts.requests += 1;
    const text = `${ask.method} ${ask.target.slice(0, 300)} ${JSON.stringify(ask.headers)} ${ask.body?.toString().slice(0, 1500) ?? ""}`;
    this.#trace.push(text);
    const began = performance.now();
    const reply = await wire.ask(bytesOf(ask, chunked), { head: ask.method === "HEAD" });
    this.#ground.slowest.push({ millis: performance.now() - began, text: text.slice(0, 200) });
    if (this.#ground.slowest.length > 1000)
      this.#ground.slowest = this.#ground.slowest.toSorted((a, b) => b.millis - a.millis).slice(0, 15);
    this.#trace.push(`  → ${reply?.status} ${reply?.body.toString().slice(0, 300)}`);
    this.#look(reply, ask.method === "HEAD");
    return reply;
  }

  #look(reply: Reply | undefined, head = false): void {
    if (!reply) return;
    const { statuses } = this.#ground.counts;
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    const { status, body, headers } = reply;
    if (status >= 500 && !(head && status > 500) && !WITH_CAUSE.test(body.toString()))
      throw new Finding(`${status}: ${body.toString().slice(0, 800)}`);
    const type = headers.get("content-type") ?? "";
    if (!head && status >= 400 && type.startsWith("application/json")) {
      const said = parsed(body);
      if (said?.["kind"] !== "Status" || said["code"] !== status || typeof said["message"] !== "string")
        throw new Finding(`${status} with a body that is no Status of it: ${body.toString().slice(0, 300)}`);
    }
    if (
      !head &&
      status < 300 &&
      type.startsWith("application/json") &&
      headers.get("content-encoding") === undefined &&
      body.length > 0 &&
      !parsed(body)
    )
      throw new Finding(`${status} with JSON that is none: ${body.toString().slice(0, 300)}`);
    if (
      /polluted|\[object Object\]/.test(body.toString("latin1", 0, 2000)) &&
      status < 300 &&
      /"polluted":true\}[^"]*$/.test(body.toString())
    )
      throw new Finding("a prototype was changed");
  }

  async #get(path: string): Promise<string | undefined> {
    this.#ground.counts.requests += 1;
    const reply = await this.#wire.ask(bytesOf({ method: "GET", target: path, headers: [] }));
    if (reply?.status === 404) return undefined;
    if (reply?.status !== 200)
      throw new Finding(`GET ${path} was answered ${reply?.status}: ${reply?.body.toString().slice(0, 300)}`);
    return reply.body.toString();
  }

  /** Sends a write and holds what is there afterwards against what was there before. */
  async #write(
    ask: Ask,
    tracked: Tracked | undefined,
    options: { mark?: string; dryRun: boolean; maySettle?: boolean },
  ): Promise<Reply | undefined> {
    const reply = await this.#ask(ask);
    if (!reply) return undefined;
    const effect = reply.status < 300 && !options.dryRun;
    if (options.mark !== undefined && !effect && reply.status !== 504)
      this.#ground.refused.set(options.mark, this.#trace.slice(-2).join("\n"));
    if (!tracked) return reply;
    const before = tracked.text;
    tracked.text = await this.#get(tracked.path);
    if (!isQuiet(tracked.kind, before ?? tracked.text)) return reply;
    if (!effect && !sameText(before, tracked.text))
      throw new Finding(
        `${options.dryRun ? "a dry run" : `what was refused with ${reply.status}`} changed ${tracked.path}\nfrom ${before}\nto   ${tracked.text}`,
      );
    const said =
      effect && ask.method !== "DELETE" && (reply.headers.get("content-type") ?? "").startsWith("application/json")
        ? parsed(reply.body)
        : undefined;
    const now = tracked.text === undefined ? undefined : parsed(Buffer.from(tracked.text));
    if (
      said?.["kind"] === tracked.kind.kind &&
      (said["metadata"] as Struct)["name"] === tracked.path.split("/").at(-1)
    ) {
      const revision = (said["metadata"] as Struct)["resourceVersion"];
      if (now && revision !== (now["metadata"] as Struct)["resourceVersion"])
        throw new Finding(`answered with resourceVersion ${String(revision)}, and stored is\n${tracked.text}`);
      if (
        now &&
        said["apiVersion"] === now["apiVersion"] &&
        JSON.stringify(said) !== JSON.stringify(now) &&
        !sameJson(said, now)
      )
        throw new Finding(`answered\n${reply.body.toString()}\nand stored is\n${tracked.text}`);
    }
    return reply;
  }

  // Steps

  /** Ends in a check, so that a body whose bits were turned does not bear another's mark. */
  #mark(): string {
    const number = (this.#ground.counts.writes += 1);
    return `mark-${number}-${(Math.imul(number, 0x9e3779b1) >>> 0).toString(16)}-`;
  }

  #name(dice: Dice): string {
    return `f${this.#number}-${this.#serial}-${dice.pick(["a", "b", "c", "d", "web"])}`;
  }

  #kind(dice: Dice): Kind {
    return (dice.chance(0.15) ? this.#ownKind(dice) : undefined) ?? dice.pick(this.#ground.kinds);
  }

  /** A custom kind that this script has made, with the schema that mutation left it. */
  #ownKind(dice: Dice): Kind | undefined {
    const definition = this.#one(dice, ({ kind }) => kind.kind === "CustomResourceDefinition");
    if (!definition) return undefined;
    const { spec } = JSON.parse(definition.text ?? "{}") as { spec: Definition };
    return {
      group: spec.group,
      version: dice.pick(spec.versions).name,
      resource: spec.names.plural,
      kind: spec.names.kind,
      namespaced: spec.scope === "Namespaced",
      verbs: ["create", "get", "list", "watch"],
      subresources: ["status", "scale"].map((name) => ({ name, verbs: [], group: spec.group, kind: spec.names.kind })),
    };
  }

  #fresh(kind: Kind, name: string, mark: string): Struct {
    const custom = kind.group.endsWith(".example.com");
    const object = {
      apiVersion: apiVersion(kind),
      kind: kind.kind,
      metadata: {},
      ...seedOf(custom ? "widgets" : kind.group, custom ? "Widget" : kind.kind),
    } as Struct;
    object["metadata"] = {
      name,
      ...(kind.namespaced ? { namespace: this.#namespace } : {}),
      labels: { app: "web", lane: `l${this.#number}` },
      annotations: { fuzz: mark },
    };
    if (kind.kind === "CustomResourceDefinition") {
      const group = `${name}.example.com`;
      (object["metadata"] as Struct)["name"] = `widgets.${group}`;
      (object["spec"] as Struct)["group"] = group;
    }
    const spec = object["spec"] as Struct | undefined;
    if (spec && spec["policyName"] === "$other") spec["policyName"] = name;
    return object;
  }

  #changed(dice: Dice, kind: Kind, object: Struct, mark: string, most: number): void {
    const facts = factsFor(kind);
    for (let count = dice.below(most + 1); count > 0; count -= 1) mutate(dice, object, facts);
    const metadata = object["metadata"];
    if (isStruct(metadata)) {
      if (isStruct(metadata["annotations"])) metadata["annotations"]["fuzz"] = mark;
      else if (metadata["annotations"] === undefined) metadata["annotations"] = { fuzz: mark };
    }
    if (isDangerous(kind)) guard(object, `l${this.#number}`);
  }

  async #create(dice: Dice): Promise<void> {
    const kind = this.#kind(dice);
    if (!kind.verbs.includes("create")) return;
    const mark = this.#mark();
    const object = this.#fresh(kind, this.#name(dice), mark);
    const wanted = String((object["metadata"] as Struct)["name"]);
    this.#changed(dice, kind, object, mark, dice.chance(0.3) ? 0 : 3);
    if (isStruct(object["metadata"]) && dice.chance(0.05)) {
      delete object["metadata"]["name"];
      object["metadata"]["generateName"] = dice.chance(0.9) ? `${wanted}-` : oddString(dice);
    }
    const query = writeQuery(dice);
    const body = bodyOf(dice, object, isDangerous(kind));
    const collection = collectionPath(kind, this.#namespace);
    const tracked = await this.#track(kind, `${collection}/${wanted}`);
    const ask = {
      method: "POST",
      target: withQuery(collection, query),
      headers: [...writeHeaders(dice), ...body.headers],
      body: body.bytes,
    };
    const reply = await this.#write(ask, tracked, { mark, dryRun: isDryRun(query) });
    const made = reply?.status === 201 ? parsed(reply.body) : undefined;
    const name = isStruct(made?.["metadata"]) ? made["metadata"]["name"] : undefined;
    // One that was made under another name (generateName, damage) is ours to take away, too.
    if (typeof name === "string" && name !== wanted && !isDryRun(query))
      await this.#track(kind, `${collection}/${encodeURIComponent(name)}`);
  }

  /** undefined for kinds that are not kept. */
  async #track(kind: Kind, path: string): Promise<Tracked | undefined> {
    if (!kind.verbs.includes("get")) return undefined;
    const known = this.#tracked.find((one) => one.path === path);
    if (known) return known;
    const tracked = { kind, path, text: await this.#get(path) };
    this.#tracked.push(tracked);
    return tracked;
  }

  /** Something that is there; undefined where nothing is yet. */
  #one(dice: Dice, fit: (tracked: Tracked) => boolean = () => true): Tracked | undefined {
    const there = this.#tracked.filter((tracked) => tracked.text !== undefined && fit(tracked));
    return there.length === 0 ? undefined : dice.pick(there);
  }

  async #update(dice: Dice): Promise<void> {
    const tracked = this.#one(dice);
    if (!tracked) return this.#create(dice);
    const { kind, path } = tracked;
    const object = JSON.parse(tracked.text ?? "{}") as Struct;
    const mark = this.#mark();
    this.#changed(dice, kind, object, mark, 3);
    if (isStruct(object["metadata"]) && dice.chance(0.3)) {
      if (dice.chance(0.7)) delete object["metadata"]["resourceVersion"];
      else object["metadata"]["resourceVersion"] = dice.pick(["1", "0", "abc", "99999999999"]);
    }
    const query = writeQuery(dice);
    const body = bodyOf(dice, object, isDangerous(kind));
    const ask = {
      method: "PUT",
      target: withQuery(path, query),
      headers: [...writeHeaders(dice), ...body.headers],
      body: body.bytes,
    };
    await this.#write(ask, tracked, { mark, dryRun: isDryRun(query) });
  }

  /** What GET shows, put back as it is in any encoding, is no change. */
  async #unchanged(dice: Dice): Promise<void> {
    // Protobuf cannot tell an empty list from none.
    const tracked = this.#one(dice, ({ kind, text }) => isQuiet(kind, text) && !text?.includes("[]"));
    if (!tracked) return this.#create(dice);
    // Policies may change or refuse what was there before them.
    if (this.#one(dice, ({ kind }) => kind.group === "admissionregistration.k8s.io")) return this.#read(dice);
    const before = tracked.text;
    const { bytes, headers } = bodyOf(new Dice(dice.below(2 ** 31)), JSON.parse(before ?? "{}") as object, true);
    if (headers.some(([name]) => name === "content-encoding") || !/json|yaml|protobuf/.test(String(headers[0]?.[1])))
      return;
    const reply = await this.#write({ method: "PUT", target: tracked.path, headers, body: bytes }, tracked, {
      dryRun: false,
    });
    if (reply?.status === 200 && !sameText(before, tracked.text) && !isLeaving(before))
      throw new Finding(`what GET showed, put back, changed ${tracked.path}\nfrom ${before}\nto   ${tracked.text}`);
    if (reply?.status !== 200 && reply?.status !== 415 && !isLeaving(before))
      throw new Finding(
        `what GET showed cannot be put back: ${reply?.status} ${reply?.body.toString().slice(0, 500)}\n${before}`,
      );
  }

  async #patch(dice: Dice): Promise<void> {
    const tracked = this.#one(dice, ({ kind }) => !isDangerous(kind));
    if (!tracked) return this.#create(dice);
    const { kind, path } = tracked;
    const mark = this.#mark();
    const type = dice.pick(patchTypes);
    const object =
      type === "application/apply-patch+yaml" && dice.chance(0.7)
        ? this.#fresh(kind, "x", mark)
        : (JSON.parse(tracked.text ?? "{}") as Struct);
    const patch = patchOf(dice, type, object, factsFor(kind), mark);
    const query = writeQuery(dice, type);
    const body = patchBody(dice, patch, type);
    const sub = dice.chance(0.15) && kind.subresources.length > 0 ? `/${dice.pick(kind.subresources).name}` : "";
    const ask = {
      method: "PATCH",
      target: withQuery(path + sub, query),
      headers: [...writeHeaders(dice), ...body.headers],
      body: body.bytes,
    };
    if (isEndless(sub)) return;
    await this.#write(ask, tracked, { mark, dryRun: isDryRun(query) });
  }

  async #delete(dice: Dice): Promise<void> {
    const tracked = this.#one(dice);
    if (!tracked) return this.#read(dice);
    const query: [string, string][] = [];
    if (dice.chance(0.2)) query.push(["dryRun", dice.chance(0.9) ? "All" : "x"]);
    if (dice.chance(0.3))
      query.push(["gracePeriodSeconds", dice.pick(["0", "1", "-1", "abc", "1e9", "99999999999999999999"])]);
    if (dice.chance(0.3)) query.push(["propagationPolicy", dice.pick(["Orphan", "Foreground", "Background", "x"])]);
    const options: Struct = {
      apiVersion: dice.pick(["v1", "meta.k8s.io/v1", apiVersion(tracked.kind), "x"]),
      kind: dice.pick(["DeleteOptions", "DeleteOptions", "Pod"]),
    };
    if (dice.chance(0.3)) options["gracePeriodSeconds"] = dice.chance(0.8) ? 0 : anything(dice, 3);
    if (dice.chance(0.3))
      options["propagationPolicy"] = dice.chance(0.8)
        ? dice.pick(["Orphan", "Foreground", "Background"])
        : anything(dice, 3);
    if (dice.chance(0.3))
      options["preconditions"] = dice.chance(0.7)
        ? { uid: "other" }
        : dice.chance(0.5)
          ? { resourceVersion: anything(dice, 3) }
          : anything(dice, 3);
    if (dice.chance(0.1)) options["dryRun"] = dice.chance(0.8) ? ["All"] : anything(dice, 2);
    if (dice.chance(0.05)) options["orphanDependents"] = anything(dice, 3);
    const whole = dice.chance(0.15) && tracked.kind.namespaced;
    const target = whole ? tracked.path.replace(/\/[^/]*$/, "") : tracked.path;
    const body = dice.chance(0.5) ? bodyOf(dice, options) : undefined;
    const ask = {
      method: "DELETE",
      target: withQuery(target, whole ? [...query, ...listQuery(dice, this.#tokens)] : query),
      headers: [...writeHeaders(dice), ...(body?.headers ?? [])],
      ...(body ? { body: body.bytes } : {}),
    };
    // A body that was damaged may say anything of dry runs; the query counts for what is certain.
    const reply = await this.#ask(ask);
    const certain = isDryRun(query) && !body;
    for (const one of whole ? this.#tracked.filter(({ kind }) => kind === tracked.kind) : [tracked]) {
      const before = one.text;
      one.text = await this.#get(one.path);
      if (
        ((reply && reply.status >= 400 && !whole) || certain) &&
        isQuiet(one.kind, before) &&
        !sameText(before, one.text)
      )
        throw new Finding(
          `${reply?.status}: refused or a dry run, yet changed ${one.path}\nfrom ${before}\nto   ${one.text}`,
        );
    }
  }

  async #subresource(dice: Dice): Promise<void> {
    const tracked = this.#one(dice, ({ kind }) => kind.subresources.length > 0);
    if (!tracked) return this.#create(dice);
    const { kind, path } = tracked;
    const subresource = dice.pick(kind.subresources);
    const name = dice.chance(0.97) ? subresource.name : oddString(dice);
    if (isEndless(`/${name}`)) return;
    const target = `${path}/${encodeURIComponent(name.toWellFormed())}`;
    if (dice.chance(0.2)) {
      await this.#ask({
        method: dice.pick(["GET", "GET", "HEAD", "DELETE", "OPTIONS"]),
        target,
        headers: readHeaders(dice),
      });
      tracked.text = await this.#get(path);
      return;
    }
    const own = subresource.kind !== kind.kind;
    const mark = this.#mark();
    const object = own
      ? ({
          apiVersion: apiVersion({ group: subresource.group, version: "v1" }),
          kind: subresource.kind,
          metadata: { name: path.split("/").at(-1), namespace: this.#namespace },
          ...seedOf(subresource.group, subresource.kind),
        } as Struct)
      : (JSON.parse(tracked.text ?? "{}") as Struct);
    const facts = factsFor({ group: subresource.group, version: "v1", kind: subresource.kind });
    for (let count = 1 + dice.below(3); count > 0; count -= 1) mutate(dice, object, facts);
    if (isDangerous(kind)) guard(object, `l${this.#number}`);
    const query = writeQuery(dice);
    const body = bodyOf(dice, object, isDangerous(kind));
    const ask = {
      method: dice.pick(["PUT", "PUT", "POST"]),
      target: withQuery(target, query),
      headers: [...writeHeaders(dice), ...body.headers],
      body: body.bytes,
    };
    await this.#write(ask, tracked, { dryRun: isDryRun(query), mark });
  }

  async #read(dice: Dice): Promise<void> {
    const tracked = this.#one(dice);
    const kind = tracked && dice.chance(0.7) ? tracked.kind : this.#kind(dice);
    const list = dice.chance(0.7) || !tracked;
    const target = list
      ? withQuery(collectionPath(kind, dice.chance(0.8) ? this.#namespace : undefined), listQuery(dice, this.#tokens))
      : tracked.path;
    const headers = [...readHeaders(dice), ...(dice.chance(0.06) ? impersonation(dice) : [])];
    const reply = await this.#ask({ method: dice.chance(0.97) ? "GET" : "HEAD", target, headers });
    const token = /"continue":"([^"]+)"/.exec(reply?.body.toString("latin1", 0, 600) ?? "")?.[1];
    if (token) this.#tokens = [...this.#tokens.slice(-5), token];
  }

  /** Begins a watch, looks at how it begins, and leaves. */
  async #watch(dice: Dice): Promise<void> {
    const kind = this.#kind(dice);
    const query: [string, string][] = [["watch", dice.pick(["true", "1", "yes"])], ...listQuery(dice, this.#tokens)];
    if (dice.chance(0.3)) query.push(["timeoutSeconds", dice.pick(["1", "0", "-1", "x", "1e99"])]);
    if (dice.chance(0.3))
      query.push(
        ["sendInitialEvents", "true"],
        ["resourceVersionMatch", "NotOlderThan"],
        ["allowWatchBookmarks", "true"],
      );
    const path = collectionPath(kind, dice.chance(0.7) ? this.#namespace : undefined);
    await this.#glance({ method: "GET", target: withQuery(path, query), headers: readHeaders(dice) });
  }

  /** For what may never end: the head must come within the time; then we leave. */
  async #glance(ask: Ask, after: Buffer = Buffer.alloc(0), half = false): Promise<void> {
    this.#ground.counts.requests += 1;
    this.#trace.push(`${ask.method} ${ask.target} ${JSON.stringify(ask.headers)}`);
    const wire = new Wire(this.#ground.endpoint);
    try {
      await wire.send(bytesOf(ask));
      const head = (await wire.take(ask.target.includes("silent") ? 20 : 15_000)).toString("latin1");
      this.#trace.push(`  → ${head.slice(0, 300)}`);
      if (head === "" && !wire.closed && !ask.target.includes("silent")) throw new Finding("no head of an answer came");
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
      this.#ground.counts.statuses.set(status, (this.#ground.counts.statuses.get(status) ?? 0) + 1);
      if (status >= 500 && status !== 503 && status !== 504 && !WITH_CAUSE.test(head))
        throw new Finding(head.slice(0, 600));
      if (after.length > 0) {
        await wire.send(after);
        if (half) wire.halfClose();
        await wire.take(5);
      }
    } catch (error) {
      // A connection that the other side has left already cannot be written to.
      if (!(error instanceof WireProblem)) throw error;
    } finally {
      wire.close();
    }
  }

  async #plain(dice: Dice): Promise<void> {
    await this.#ask(plainAsk(dice));
  }

  async #review(dice: Dice): Promise<void> {
    const kinds = this.#ground.kinds.filter(({ verbs }) => !verbs.includes("list"));
    const kind = dice.pick(kinds);
    const object = {
      apiVersion: apiVersion(kind),
      kind: kind.kind,
      metadata: {},
      ...seedOf(kind.group, kind.kind),
    } as Struct;
    for (let count = dice.below(3); count > 0; count -= 1) mutate(dice, object, factsFor(kind));
    const body = bodyOf(dice, object);
    await this.#ask({
      method: "POST",
      target: withQuery(collectionPath(kind, this.#namespace), writeQuery(dice)),
      headers: [...writeHeaders(dice), ...body.headers],
      body: body.bytes,
    });
  }

  async #odd(dice: Dice): Promise<void> {
    const ask = oddAsk(dice);
    if (/\/watch(\/|\?|$)|watch=|\/log/.test(ask.target)) await this.#glance(ask);
    else await this.#ask(ask, { chunked: dice.chance(0.3) });
  }

  /** Without a client certificate. */
  async #unknown(dice: Dice): Promise<void> {
    const kind = this.#kind(dice);
    const headers = [...readHeaders(dice), ...credentials(dice), ...(dice.chance(0.3) ? impersonation(dice) : [])];
    const reply = await this.#ask(
      { method: "GET", target: collectionPath(kind, this.#namespace), headers },
      { wire: this.#stranger },
    );
    if (reply && reply.status < 300) throw new Finding("a stranger was let in");
  }

  async #malformed(dice: Dice): Promise<void> {
    this.#ground.counts.requests += 1;
    const bytes = malformed(dice);
    this.#trace.push(`raw ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`);
    const wire = new Wire(this.#ground.endpoint);
    try {
      await wire.send(bytes);
      const answer = (await wire.take(bytes.includes("\r\n\r\n") ? 30 : 5)).toString("latin1");
      this.#trace.push(`  → ${answer.slice(0, 300)}`);
      if (/^HTTP\/1\.1 5(?!05|03)/.test(answer)) throw new Finding(answer.slice(0, 600));
    } catch (error) {
      if (!(error instanceof WireProblem)) throw error;
    } finally {
      wire.close();
    }
  }

  async #upgrade(dice: Dice): Promise<void> {
    const ask = upgradeAsk(dice, dice.chance(0.9) ? this.pod : `${this.pod}x`);
    await this.#glance(ask, frames(dice), dice.chance(0.3));
  }

  async #log(dice: Dice): Promise<void> {
    await this.#glance({
      method: "GET",
      target: withQuery(`${this.pod}/log`, logQuery(dice)),
      headers: readHeaders(dice),
    });
  }

  /** Takes away what the script made, finalizers or not. */
  async #tidy(): Promise<void> {
    for (const { path, kind } of this.#tracked) {
      const text = await this.#get(path);
      if (text === undefined) continue;
      const headers: [string, string][] = [["content-type", "application/merge-patch+json"]];
      const finalizers = Buffer.from('{"metadata":{"finalizers":null}}');
      const ask = (method: string, target: string, body?: Buffer): Promise<Reply | undefined> =>
        this.#ask({ method, target, headers: body ? headers : [], ...(body ? { body } : {}) });
      if (text.includes('"finalizers"') && kind.kind !== "Namespace" && kind.kind !== "CustomResourceDefinition")
        await ask("PATCH", path, finalizers);
      await ask("DELETE", `${path}?gracePeriodSeconds=0&propagationPolicy=Background`);
    }
    this.#tracked = [];
    this.#tokens = [];
  }
}

interface Definition {
  group: string;
  scope: string;
  names: { plural: string; kind: string };
  versions: { name: string }[];
}

const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parsed(bytes: Buffer): Struct | undefined {
  try {
    const value = JSON.parse(bytes.toString()) as unknown;
    return isStruct(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : isStruct(value)
      ? Object.fromEntries(
          Object.keys(value)
            .toSorted()
            .map((key) => [key, sorted(value[key])]),
        )
      : value;

const sameJson = (one: unknown, other: unknown): boolean =>
  JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

/** The order of fields says nothing. */
const sameText = (one: string | undefined, other: string | undefined): boolean =>
  one === other || (one !== undefined && other !== undefined && sameJson(JSON.parse(one), JSON.parse(other)));

const isDryRun = (query: readonly (readonly [string, string])[]): boolean =>
  query.some(([name, value]) => name === "dryRun" && value === "All");

const isLeaving = (text: string | undefined): boolean => text?.includes('"deletionTimestamp"') === true;

/** Answered by a kubelet, as long as it likes: these have steps of their own. */
const isEndless = (sub: string): boolean => /^\/(log|exec|attach|portforward|proxy)$/.test(sub);
