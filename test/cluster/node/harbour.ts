/** The harbour: two servers on two nodes and those who visit them, on which the network, its policies and streams are tried. */
import { afterAll, beforeAll } from "vitest";
import { makeNamespace } from "./cluster.ts";
import type { NodeCluster } from "./cluster.ts";
import { byHand, harbour, NAMESPACE } from "./network.ts";
import type { Addresses } from "./network.ts";

export interface Harbour {
  readonly cluster: NodeCluster;
  readonly at: Addresses;
  kubectl(...args: string[]): Promise<string>;
  /** What a script prints inside a Pod, whatever its end. */
  inside(pod: string, script: string): Promise<string>;
}

/** Has the harbour built before the tests of a describe block, and taken away after them. */
export function buildHarbour(theCluster: () => NodeCluster): Harbour {
  let at: Addresses;
  const kubectl = (...args: string[]): Promise<string> => theCluster().ok(["-n", NAMESPACE, ...args]);

  beforeAll(async () => {
    const cluster = theCluster();
    await makeNamespace(cluster, NAMESPACE);
    const objects = harbour(cluster.worker, cluster.master);
    await cluster.ok(["apply", "-f", "-"], objects.map((object) => JSON.stringify(object)).join("\n---\n"));
    await kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=240s");
    const address = (pod: string, field = "podIP"): Promise<string> =>
      kubectl("get", "pod", pod, "-o", `jsonpath={.status.${field}}`);
    at = {
      near: await address("near"),
      far: await address("far"),
      sailor: await address("sailor"),
      nearNode: await address("near", "hostIP"),
      farNode: await address("far", "hostIP"),
    };
    await cluster.ok(["apply", "-f", "-"], JSON.stringify(byHand(at.far)));
  }, 600_000);
  afterAll(() => kubectl("delete", "namespace", NAMESPACE, "--wait=false"));

  return {
    get cluster() {
      return theCluster();
    },
    get at() {
      return at;
    },
    kubectl,
    inside: async (pod, script) =>
      (await theCluster().kubectl(["-n", NAMESPACE, "exec", pod, "--", "sh", "-c", script])).stdout,
  };
}
