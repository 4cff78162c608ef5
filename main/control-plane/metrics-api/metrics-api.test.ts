import { Readable } from "node:stream";
import type { IncomingMessage } from "node:http";
import { expect, it } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { ResourceDefinition } from "../resources/definition.ts";
import type { Reader } from "../resources/reader.ts";
import { metricsDefinitions } from "./index.ts";
import { parseSummary, UsageSource, usageBetween } from "./source.ts";
import type { Summary } from "./source.ts";

const stats = (seconds: number, bytes: number): object => ({
  cpu: { usageCoreNanoSeconds: seconds * 1e9 },
  memory: { workingSetBytes: bytes },
});
const summary = (seconds: number, containers = ["a"]): Summary =>
  ({
    node: stats(seconds * 2, 4096),
    pods: [
      {
        podRef: { name: "p", namespace: "n" },
        containers: containers.map((name) => ({ name, ...stats(seconds, 2048) })),
      },
    ],
  }) as Summary;

it("takes rates between two looks, and leaves out what has none yet", () => {
  const usage = usageBetween(parseSummary(summary(1), 0), parseSummary(summary(2), 4000));
  expect(usage.node).toEqual({ cpu: 0.5e9, memoryBytes: 4096 });
  expect(usage.pods.get("n/p")?.get("a")).toEqual({ cpu: 0.25e9, memoryBytes: 2048 });
  expect(usageBetween(parseSummary(summary(1), 0), parseSummary(summary(2, ["a", "b"]), 4000)).pods.size).toBe(0);
  expect(usageBetween(parseSummary(summary(2), 0), parseSummary(summary(1), 4000)).pods.size).toBe(0);
});

interface Asked {
  asked: () => number;
  advance(by: number): void;
  list(of: string): Promise<KubeObject[]>;
  /** Each as kubectl prints it. */
  rows(of: string): Promise<unknown[]>;
}

function api(): Asked {
  let now = 1_000_000;
  let asked = 0;
  const kubelets = {
    get: async (target: { address: string }): Promise<IncomingMessage> => {
      if (target.address === "10.0.0.2") throw new Error("unreachable");
      asked++;
      const body = Readable.from([Buffer.from(JSON.stringify(summary(now / 10_000)))]);
      return Object.assign(body, { statusCode: 200 }) as unknown as IncomingMessage;
    },
  };
  const node = (name: string, address: string): KubeObject =>
    ({
      metadata: { name, labels: { name } },
      status: { addresses: [{ type: "InternalIP", address }] },
    }) as unknown as KubeObject;
  const nodes = [node("w1", "10.0.0.1"), node("w2", "10.0.0.2")];
  const pods = ["w1", "w2"].map((nodeName, index) => ({
    metadata: { name: index ? "q" : "p", namespace: "n" },
    spec: { nodeName },
    status: { phase: "Running" },
  }));
  const reader = {
    list: (resource: string) => (resource === "nodes" ? nodes : pods),
    get: (_resource: string, _namespace: undefined, name: string) =>
      nodes.find(({ metadata }) => metadata.name === name),
  } as unknown as Reader;
  const source = new UsageSource(
    kubelets,
    () => now,
    async (milliseconds) => {
      now += milliseconds;
    },
  );
  const definitions = metricsDefinitions(() => ({ source, reader }));
  const definition = (of: string): ResourceDefinition => definitions.find(({ resource }) => resource === of)!;
  const list = async (of: string): Promise<KubeObject[]> => (await definition(of).computed?.list("n", {})) ?? [];
  return {
    asked: () => asked,
    advance: (by) => (now += by),
    list,
    rows: async (of) => (await list(of)).map((one) => definition(of).table?.cells(one, new Date(now))),
  };
}

it("answers with what is known, and is silent of nodes that do not answer", async () => {
  const of = api();
  expect(await of.list("nodes")).toMatchObject([
    { kind: "NodeMetrics", metadata: { name: "w1" }, window: "2.000s", usage: { cpu: "200000000n", memory: "4Ki" } },
  ]);
  expect(await of.list("pods")).toMatchObject([
    {
      kind: "PodMetrics",
      metadata: { name: "p", namespace: "n" },
      containers: [{ name: "a", usage: { cpu: "100000000n" } }],
    },
  ]);
  expect(await of.rows("nodes")).toEqual([["w1", "200000000n", "4Ki", "2.000s"]]);
  expect(await of.rows("pods")).toEqual([["p", "100000000n", "2Ki", "2.000s"]]);
});

it("asks a kubelet at most every ten seconds, and once when the last answer is still a start", async () => {
  const of = api();
  await of.list("nodes");
  await of.list("pods");
  expect(of.asked()).toBe(2);
  of.advance(15_000);
  expect(await of.list("nodes")).toMatchObject([{ window: "15.000s" }]);
  expect(of.asked()).toBe(3);
});
