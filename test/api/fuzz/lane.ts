/**
 * One client that does one thing after another, in a namespace of its own, and keeps a model of what it made: what
 * was refused must have changed nothing, what was accepted must be there.
 */
import { factsFor } from "../../../common/kube/facts/index.ts";
import { apiVersion, bytesOf } from "./asks.ts";
import type { Ask, Kind } from "./asks.ts";
import { Dice } from "./dice.ts";
import { Finding, checkReply, checkWrite, isStruct, outcomeOf } from "./judge.ts";
import type { Outcome, Struct, Tracked } from "./judge.ts";
import { guard, isDangerous } from "./kinds.ts";
import { mutate } from "./mutate.ts";
import { seedOf } from "./seeds.ts";
import { Wire, WireProblem } from "./wire.ts";
import type { Endpoint, Reply } from "./wire.ts";

/** What all lanes share. */
export interface Ground {
  endpoint: Endpoint;
  kinds: readonly Kind[];
  /** The path of a Pod that a kubelet answers for. */
  pod: string;
  /** Marks of writes that were refused or only tried, with what they were. */
  refused: Map<string, string>;
  counts: { requests: number; writes: number; outcomes: Map<Outcome, number> };
}

export interface Glance {
  /** How long the beginning of an answer is waited for. */
  millis?: number;
  /** Whether there must be one. */
  must?: boolean;
  /** What is sent then. */
  after?: Buffer;
  /** Ends our half of the connection then. */
  half?: boolean;
}

/** One thing to do. */
export type Step = (lane: Lane, dice: Dice) => Promise<void>;

export class Lane {
  readonly ground: Ground;
  readonly namespace: string;
  /** Without a client certificate. */
  readonly stranger: Wire;
  /** Continue tokens that were handed out lately. */
  tokens: string[] = [];
  readonly #number: number;
  readonly #wire: Wire;
  #serial = 0;
  #tracked: Tracked[] = [];
  #trace: string[] = [];

  constructor(ground: Ground, number: number, namespace: string) {
    this.ground = ground;
    this.namespace = namespace;
    this.#number = number;
    this.#wire = new Wire(ground.endpoint);
    const { certificate: _c, key: _k, ...anonymous } = ground.endpoint;
    this.stranger = new Wire(anonymous);
  }

  close(): void {
    this.#wire.close();
    this.stranger.close();
  }

  /** Does what the seeds say, and takes away what came of it. Throws Finding. */
  async script(seeds: readonly number[], step: Step): Promise<void> {
    this.#serial += 1;
    this.#trace = [];
    try {
      for (const seed of seeds) await step(this, new Dice(seed));
    } catch (error) {
      if (!(error instanceof WireProblem || error instanceof Finding)) throw error;
      throw new Finding(`${error.message}\nafter:\n${this.#trace.slice(-6).join("\n")}`);
    } finally {
      await this.#tidy();
    }
  }

  // Asking

  async ask(ask: Ask, { wire = this.#wire, chunked = false } = {}): Promise<Reply | undefined> {
    const { method, target, headers, body } = ask;
    const head = method === "HEAD";
    this.ground.counts.requests += 1;
    this.#trace.push(
      `${method} ${target.slice(0, 300)} ${JSON.stringify(headers)} ${body?.toString("utf8", 0, 1500) ?? ""}`,
    );
    const reply = await wire.ask(bytesOf(ask, chunked), head);
    this.#trace.push(`  → ${reply?.status} ${reply?.body.toString("utf8", 0, 300)}`);
    if (!reply) return undefined;
    this.#count(reply.status);
    checkReply(reply, head);
    return reply;
  }

  /** For what may never end, or is no request at all: looks at how the answer begins, says something more, and leaves. */
  async glance(bytes: Buffer, options: Glance = {}): Promise<void> {
    const { millis = 15_000, must = true, after, half = false } = options;
    this.ground.counts.requests += 1;
    this.#trace.push(JSON.stringify(bytes.toString("latin1", 0, 400)));
    const wire = new Wire(this.ground.endpoint);
    try {
      await wire.send(bytes);
      const head = (await wire.take(millis)).toString("latin1");
      this.#trace.push(`  → ${head.slice(0, 300)}`);
      this.#count(outcomeOf(head, wire.closed, must));
      if (!after) return;
      await wire.send(after);
      if (half) wire.halfClose();
      await wire.take(5);
    } finally {
      wire.close();
    }
  }

  #count(outcome: Outcome): void {
    const { outcomes } = this.ground.counts;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  async get(path: string): Promise<string | undefined> {
    this.ground.counts.requests += 1;
    const reply = await this.#wire.ask(bytesOf({ method: "GET", target: path, headers: [] }));
    if (reply?.status === 404) return undefined;
    if (reply?.status !== 200)
      throw new Finding(`GET ${path}: ${reply?.status} ${reply?.body.toString("utf8", 0, 500)}`);
    return reply.body.toString();
  }

  /** Sends a write and holds what is there afterwards against what was there before. */
  async write(
    ask: Ask,
    tracked: Tracked | undefined,
    { mark, dryRun }: { mark?: string; dryRun: boolean },
  ): Promise<Reply | undefined> {
    const reply = await this.ask(ask);
    if (!reply) return undefined;
    const effect = reply.status < 300 && !dryRun;
    if (mark !== undefined && !effect && reply.status !== 504)
      this.ground.refused.set(mark, this.#trace.slice(-2).join("\n"));
    if (!tracked) return reply;
    const before = tracked.text;
    tracked.text = await this.get(tracked.path);
    checkWrite(tracked, before, reply, effect);
    return reply;
  }

  // What there is

  /** undefined for kinds that are not kept. */
  async track(kind: Kind, path: string): Promise<Tracked | undefined> {
    if (!kind.verbs.includes("get")) return undefined;
    const known = this.#tracked.find((one) => one.path === path);
    if (known) return known;
    const tracked = { kind, path, text: await this.get(path) };
    this.#tracked.push(tracked);
    return tracked;
  }

  /** Something that is there; undefined where nothing is yet. */
  one(dice: Dice, fit: (tracked: Tracked) => boolean = () => true): Tracked | undefined {
    const there = this.all(fit).filter(({ text }) => text !== undefined);
    return there.length === 0 ? undefined : dice.pick(there);
  }

  all(fit: (tracked: Tracked) => boolean): Tracked[] {
    return this.#tracked.filter(fit);
  }

  kind(dice: Dice): Kind {
    return (dice.chance(0.15) ? this.#ownKind(dice) : undefined) ?? dice.pick(this.ground.kinds);
  }

  /** A custom kind that this script has made, with the schema that mutation left it. */
  #ownKind(dice: Dice): Kind | undefined {
    const definition = this.one(dice, ({ kind }) => kind.kind === "CustomResourceDefinition");
    if (!definition) return undefined;
    const { spec } = JSON.parse(definition.text ?? "{}") as { spec: Definition };
    const { group, names, scope, versions } = spec;
    return {
      group,
      version: dice.pick(versions).name,
      resource: names.plural,
      kind: names.kind,
      namespaced: scope === "Namespaced",
      verbs: ["create", "get", "list", "watch"],
      subresources: ["status", "scale"].map((name) => ({ name, verbs: [], group, kind: names.kind })),
    };
  }

  // Making objects

  /** Ends in a check, so that a body whose bits were turned does not bear another's mark. */
  mark(): string {
    const number = (this.ground.counts.writes += 1);
    return `mark-${number}-${(Math.imul(number, 0x9e3779b1) >>> 0).toString(16)}-`;
  }

  name(dice: Dice): string {
    return `f${this.#number}-${this.#serial}-${dice.pick(["a", "b", "c", "d", "web"])}`;
  }

  /** A good one. */
  fresh(kind: Kind, name: string, mark: string): Struct {
    const custom = kind.group.endsWith(".example.com");
    const seed = custom ? seedOf("widgets", "Widget") : seedOf(kind.group, kind.kind);
    const metadata: Struct = { name, labels: { app: "web", lane: this.#label }, annotations: { fuzz: mark } };
    if (kind.namespaced) metadata["namespace"] = this.namespace;
    const object = { apiVersion: apiVersion(kind), kind: kind.kind, metadata, ...seed } as Struct;
    const spec = object["spec"] as Struct | undefined;
    if (kind.kind === "CustomResourceDefinition" && spec) {
      spec["group"] = `${name}.example.com`;
      metadata["name"] = `widgets.${name}.example.com`;
    }
    if (spec?.["policyName"] === "$other") spec["policyName"] = name;
    return object;
  }

  /** Changed in so many places at most; still marked, and harmless to others. */
  change(dice: Dice, kind: Kind, object: Struct, mark: string, most: number): void {
    const facts = factsFor(kind);
    for (let count = dice.below(most + 1); count > 0; count -= 1) mutate(dice, object, facts);
    const { metadata } = object;
    if (isStruct(metadata)) {
      const { annotations } = metadata;
      if (isStruct(annotations)) annotations["fuzz"] = mark;
      else if (annotations === undefined) metadata["annotations"] = { fuzz: mark };
    }
    if (isDangerous(kind)) guard(object, this.#label);
  }

  get #label(): string {
    return `l${this.#number}`;
  }

  /** Takes away what the script made, finalizers or not. */
  async #tidy(): Promise<void> {
    const type: [string, string] = ["content-type", "application/merge-patch+json"];
    const body = Buffer.from('{"metadata":{"finalizers":null}}');
    for (const { path, kind } of this.#tracked) {
      const text = await this.get(path);
      if (text === undefined) continue;
      // Those keep themselves until what is in them is gone.
      const keeps = kind.kind === "Namespace" || kind.kind === "CustomResourceDefinition";
      if (text.includes('"finalizers"') && !keeps)
        await this.ask({ method: "PATCH", target: path, headers: [type], body });
      const target = `${path}?gracePeriodSeconds=0&propagationPolicy=Background`;
      await this.ask({ method: "DELETE", target, headers: [] });
    }
    this.#tracked = [];
    this.tokens = [];
  }
}

interface Definition {
  group: string;
  scope: string;
  names: { plural: string; kind: string };
  versions: { name: string }[];
}
