/** The cluster that the table's commands are run against: four simulated nodes, and one whose Pods are real processes. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ProcessNode } from "../streams/process-node.ts";
import { until } from "../support.ts";
import type { TestServer } from "../support.ts";
import { streams } from "./commands/operating.ts";
import { namespaceOf } from "./runner.ts";
import type { Section } from "./section.ts";

export interface Target {
  server: TestServer;
  /** Makes what a section's commands find there. */
  begin(section: Section): Promise<void>;
  stop(): Promise<void>;
}

export async function startTarget(): Promise<Target> {
  const node = await ProcessNode.start("--simulated-nodes=node-a,node-b,node-c,node-d");
  const { server } = node;
  const site = createServer((_request, response) => response.end("hello from the Pod\n")).listen(0, "127.0.0.1");
  await once(site, "listening");
  await until(
    () => server.ok("get nodes node-a node-b node-c node-d --no-headers"),
    (text) => (text.match(/\bReady\b/g) ?? []).length === 4,
  );
  // Two are the section's that drains them.
  await server.ok("taint nodes node-c node-d table=nodes:NoSchedule");
  await server.ok("label nodes node-c node-d table=nodes");
  return {
    server,
    begin: async (section) => {
      if (section !== streams) return;
      await node.pod("web", {
        namespace: namespaceOf(section),
        labels: { app: "web" },
        containers: {
          main: {
            command: ["sh", "-c", "echo begun; read line; echo got $line"],
            log: "one\ntwo\n",
            ports: [{ name: "http", containerPort: (site.address() as AddressInfo).port }],
          },
        },
      });
    },
    stop: async () => {
      site.closeAllConnections();
      site.close();
      await node.stop();
    },
  };
}
