/** The kinds the pretended API server serves, with the columns its Tables have. */
import type { KubeObject } from "../../common/kube/object.ts";
import { humanDuration } from "../kube/age.ts";
import { at } from "./kube.ts";

type Cell = (object: KubeObject) => unknown;

export interface FakeKind {
  apiVersion: string;
  kind: string;
  resource: string;
  namespaced: boolean;
  shortNames: string[];
  columns: [title: string, cell: Cell, priority?: number][];
}

const field =
  (path: string, otherwise: unknown = "<none>"): Cell =>
  (object) =>
    at(object, path) ?? otherwise;
const name: [string, Cell] = ["Name", (object) => object.metadata.name];
const age: [string, Cell] = [
  "Age",
  (object) => humanDuration(Date.now() - Date.parse(object.metadata.creationTimestamp ?? "")),
];
const count =
  (path: string): Cell =>
  (object) =>
    Object.keys((at(object, path) as object | undefined) ?? {}).length;

interface FakeContainer {
  ready?: boolean;
  restartCount?: number;
  state?: { waiting?: { reason?: string } };
}

const containers = (object: KubeObject): FakeContainer[] =>
  (at(object, "status.containerStatuses") as FakeContainer[] | undefined) ?? [];
const podStatus: Cell = (object) =>
  object.metadata.deletionTimestamp
    ? "Terminating"
    : (containers(object).find((entry) => entry.state?.waiting?.reason)?.state?.waiting?.reason ??
      at(object, "status.phase"));
const nodeStatus: Cell = (object) => {
  const conditions = (at(object, "status.conditions") as { type: string; status: string }[] | undefined) ?? [];
  const ready = conditions.find((entry) => entry.type === "Ready")?.status === "True" ? "Ready" : "NotReady";
  return at(object, "spec.unschedulable") ? `${ready},SchedulingDisabled` : ready;
};

function kind(
  apiVersion: string,
  kindName: string,
  resource: string,
  namespaced: boolean,
  shortNames: string[],
  columns: FakeKind["columns"],
): FakeKind {
  return { apiVersion, kind: kindName, resource, namespaced, shortNames, columns: [name, ...columns, age] };
}

export const KINDS: FakeKind[] = [
  kind("v1", "Namespace", "namespaces", false, ["ns"], [["Status", field("status.phase", "Active")]]),
  kind(
    "v1",
    "Node",
    "nodes",
    false,
    ["no"],
    [
      ["Status", nodeStatus],
      [
        "Roles",
        (object) =>
          "node-role.kubernetes.io/control-plane" in (object.metadata.labels ?? {}) ? "control-plane" : "<none>",
      ],
      ["Version", field("status.nodeInfo.kubeletVersion")],
    ],
  ),
  kind(
    "v1",
    "Pod",
    "pods",
    true,
    ["po"],
    [
      [
        "Ready",
        (object) =>
          `${containers(object).filter((entry) => entry.ready).length}/${(at(object, "spec.containers") as unknown[]).length}`,
      ],
      ["Status", podStatus],
      ["Restarts", (object) => containers(object).reduce((sum, entry) => sum + (entry.restartCount ?? 0), 0)],
      ["IP", field("status.podIP"), 1],
      ["Node", field("spec.nodeName"), 1],
    ],
  ),
  kind(
    "v1",
    "Service",
    "services",
    true,
    ["svc"],
    [
      ["Type", field("spec.type", "ClusterIP")],
      ["Cluster-IP", field("spec.clusterIP")],
      [
        "Port(s)",
        (object) =>
          ((at(object, "spec.ports") as { port: number; protocol?: string }[] | undefined) ?? [])
            .map((port) => `${port.port}/${port.protocol ?? "TCP"}`)
            .join(","),
      ],
    ],
  ),
  kind("v1", "ConfigMap", "configmaps", true, ["cm"], [["Data", count("data")]]),
  kind(
    "v1",
    "Secret",
    "secrets",
    true,
    [],
    [
      ["Type", field("type", "Opaque")],
      ["Data", count("data")],
    ],
  ),
  kind("v1", "ServiceAccount", "serviceaccounts", true, ["sa"], []),
  {
    ...kind("v1", "Event", "events", true, ["ev"], []),
    columns: [
      ["Last Seen", field("lastTimestamp")],
      ["Type", field("type")],
      ["Reason", field("reason")],
      [
        "Object",
        (object) =>
          `${String(at(object, "involvedObject.kind")).toLowerCase()}/${String(at(object, "involvedObject.name"))}`,
      ],
      ["Message", field("message")],
      ["Name", (object) => object.metadata.name, 1],
    ],
  },
  kind(
    "apps/v1",
    "Deployment",
    "deployments",
    true,
    ["deploy"],
    [
      [
        "Ready",
        (object) => `${Number(at(object, "status.readyReplicas") ?? 0)}/${Number(at(object, "spec.replicas") ?? 1)}`,
      ],
      ["Up-to-date", field("status.updatedReplicas", 0)],
      ["Available", field("status.availableReplicas", 0)],
    ],
  ),
  kind(
    "apps/v1",
    "ReplicaSet",
    "replicasets",
    true,
    ["rs"],
    [
      ["Desired", field("spec.replicas", 0)],
      ["Ready", field("status.readyReplicas", 0)],
    ],
  ),
  kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true, [], []),
  kind("coordination.k8s.io/v1", "Lease", "leases", true, [], [["Holder", field("spec.holderIdentity")]]),
];
