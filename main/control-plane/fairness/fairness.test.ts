import { beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { MemoryReader } from "../resources/reader.ts";
import { fairnessObjects } from "./bootstrap.ts";
import { FLOW_SCHEMAS, Fairness, PRIORITY_LEVELS, listWidth } from "./index.ts";
import type { Ticket } from "./index.ts";
import { deal, hash } from "./level.ts";

let reader: MemoryReader;

const put = (object: KubeObject): void => {
  const { name = "" } = object.metadata;
  const resource = object.kind === "FlowSchema" ? FLOW_SCHEMAS : PRIORITY_LEVELS;
  reader.put(resource, { ...object, metadata: { ...object.metadata, uid: name } });
};

beforeEach(() => {
  reader = new MemoryReader();
  for (const object of fairnessObjects()) put(object);
});

const user = (name: string, ...groups: string[]): { name: string; groups: string[] } => ({
  name,
  groups: [...groups, "system:authenticated"],
});
const get = { verb: "get", group: "", version: "v1", resource: "pods", namespace: "default", name: "a" };
const stays = (): (() => void) => () => undefined;

describe("classification", () => {
  const schemaOf = (who: { name: string; groups: string[] }, asked: object): string | undefined =>
    (new Fairness({ reader }).take(who, { ...get, ...asked } as never, 1, stays) as Ticket | undefined)?.schema;

  test.each([
    ["administrators", user("admin", "system:masters"), {}, "exempt"],
    [
      "probes",
      { name: "system:anonymous", groups: ["system:unauthenticated"] },
      { nonResourcePath: "/healthz" },
      "probes",
    ],
    [
      "a kubelet's lease",
      user("system:node:a", "system:nodes"),
      { group: "coordination.k8s.io", resource: "leases" },
      "system-node-high",
    ],
    ["a kubelet's Pods", user("system:node:a", "system:nodes"), {}, "system-nodes"],
    ["the scheduler", user("system:kube-scheduler"), {}, "kube-scheduler"],
    [
      "an add-on",
      user("system:serviceaccount:kube-system:dns", "system:serviceaccounts"),
      {},
      "kube-system-service-accounts",
    ],
    ["an operator", user("system:serviceaccount:app:op", "system:serviceaccounts"), {}, "service-accounts"],
    ["anybody", user("ann"), {}, "global-default"],
  ])("%s", (_, who, asked, schema) => {
    expect(schemaOf(who, asked)).toBe(schema);
  });
});

test("a hand is the flow's own, and of different queues", () => {
  const hand = [...deal(hash("ann"), 128, 6)];
  expect(new Set(hand).size).toBe(6);
  expect(hand).toEqual([...deal(hash("ann"), 128, 6)]);
  expect(hand).not.toEqual([...deal(hash("bob"), 128, 6)]);
  expect([listWidth(1), listWidth(250), listWidth(5000)]).toEqual([1, 3, 10]);
});

test("who asks for little goes before the many of another, and too many are refused", async () => {
  const fairness = new Fairness({ reader, seats: 20 });
  const order: string[] = [];
  const running: Ticket[] = [];
  const ask = (name: string): Promise<Ticket> | undefined => {
    const taken = fairness.take(user(name), get, 1, stays);
    if (taken instanceof Promise) {
      return taken.then((ticket) => {
        if (!ticket.refused) {
          order.push(name);
          running.push(ticket);
        }
        return ticket;
      });
    }
    if (taken) running.push(taken);
    return undefined;
  };
  const many = Array.from({ length: 500 }, () => ask("ann"));
  const refused = many.length - running.length - 300;
  expect(refused).toBeGreaterThan(0);
  const few = [ask("bob"), ask("bob")];
  for (;;) {
    const one = running.shift();
    if (!one) break;
    one.seat?.release();
    await Promise.resolve();
    await Promise.resolve();
  }
  const answers = await Promise.all([...many, ...few]);
  expect(answers.filter((ticket) => ticket?.refused)).toHaveLength(refused);
  // Ann's queues take turns with Bob's one: he is among the first.
  expect(order.indexOf("bob")).toBeLessThan(10);
  expect(order.lastIndexOf("bob")).toBeLessThan(25);
  expect(fairness.levels().every(({ used, waiting }) => used === 0 && waiting === 0)).toBe(true);
});

test("a level borrows what others do not use, and those get theirs back", () => {
  const fairness = new Fairness({ reader, seats: 100 });
  const { nominal } = fairness.levels().find(({ name }) => name === "global-default") ?? { nominal: 0 };
  expect(nominal).toBe(0);
  let taken = 0;
  while (!(fairness.take(user("ann"), get, 1, stays) instanceof Promise)) taken += 1;
  const own = fairness.levels().find(({ name }) => name === "global-default")?.nominal ?? 0;
  expect(taken).toBeGreaterThan(own);
  const operator = user("system:serviceaccount:app:op", "system:serviceaccounts");
  expect(fairness.take(operator, get, 1, stays)).toMatchObject({ schema: "service-accounts" });
});

test("a client that left waits no more", async () => {
  const fairness = new Fairness({ reader, seats: 1 });
  const first: Ticket[] = [];
  let leave: (() => void) | undefined;
  let last: Ticket | Promise<Ticket> | undefined;
  for (;;) {
    last = fairness.take(user("ann"), get, 1, (left) => {
      leave = left;
      return () => undefined;
    });
    if (last instanceof Promise || !last) break;
    first.push(last);
  }
  leave?.();
  expect(await last).toMatchObject({ refused: true });
});
