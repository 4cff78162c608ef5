import { expect, test } from "vitest";
import type { Node } from "../../../../common/kube/types.ts";
import type { Endpoint } from "./decide.ts";
import {
  FEW_ENDPOINTS,
  INSUFFICIENT_NODES,
  NO_ZONE,
  ONE_ZONE,
  OVERLOADED,
  sharesOf,
  withTopologyHints,
} from "./topology.ts";

const node = (zone: string | undefined, cpu: string, labels: object = {}, ready = "True"): Node =>
  ({
    metadata: { labels: { ...(zone === undefined ? {} : { "topology.kubernetes.io/zone": zone }), ...labels } },
    status: { allocatable: { cpu }, conditions: [{ type: "Ready", status: ready }] },
  }) as unknown as Node;

/** "aab" is three ready endpoints, two in zone a; "-" has no zone, "!" is not ready. */
function hints(endpoints: string, nodes: Node[]): string {
  const all = Array.from(endpoints, (zone, at): Endpoint => {
    const ready = zone !== "!";
    const conditions = { ready, serving: ready, terminating: false };
    return { addresses: [`10.0.0.${at}`], conditions, ...(zone === "-" ? {} : { zone: ready ? zone : "a" }) };
  });
  const result = withTopologyHints([{ addressType: "IPv4", ports: [], endpoints: all }], sharesOf(nodes));
  if (typeof result === "string") return result;
  return (result[0]?.endpoints ?? []).map(({ hints: of }) => of?.forZones?.[0]?.name ?? "?").join("");
}

const EVEN = [node("a", "4"), node("b", "4"), node("c", "4")];
test.each([
  ["abc", EVEN, "abc"],
  ["abc!", EVEN, "abc?"],
  ["aaaabc", EVEN, "aacbbc"],
  ["aaa", EVEN, "acb"],
  ["ab", [node("a", "8"), node("b", "4")], OVERLOADED],
  ["aabbbb", [node("a", "8"), node("b", "4")], "aabbaa"],
  ["ab", EVEN, FEW_ENDPOINTS],
  ["abbbb-", EVEN, NO_ZONE],
  ["abc", [...EVEN, node(undefined, "4")], INSUFFICIENT_NODES],
  ["abc", [...EVEN, node("d", "4", { "node-role.kubernetes.io/control-plane": "" })], "abc"],
  ["aa", [node("a", "4"), node("b", "4", {}, "False")], ONE_ZONE],
])("endpoints in %s are for %j: %s", (endpoints, nodes, expected) => {
  expect(hints(endpoints, nodes)).toBe(expected);
});
