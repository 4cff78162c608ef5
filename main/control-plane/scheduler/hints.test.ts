/** An event wakes only the Pods that it can help: for each plug-in that refused, which events may. */
import { describe, expect, it } from "vitest";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { ClusterEvent } from "./framework.ts";
import { PodInfo } from "./model.ts";
import { defaultPlugins } from "./plugins/index.ts";

interface NodeWish {
  labels?: Record<string, string>;
  taints?: object[];
  unschedulable?: boolean;
  cpu?: string;
}
const node = ({ labels = {}, taints, unschedulable, cpu = "4" }: NodeWish = {}): Node =>
  ({
    metadata: { name: "n", labels },
    spec: { taints, unschedulable },
    status: { allocatable: { cpu, pods: "10" } },
  }) as unknown as Node;
const pod = (spec: object = {}, labels: Record<string, string> = {}, namespace = "default"): Pod =>
  ({ metadata: { name: "p", namespace, uid: "u", labels }, spec: { containers: [{ name: "c" }], ...spec } }) as Pod;

const added = (wish?: NodeWish): ClusterEvent => ({ type: "node added", node: node(wish) });
const updated = (old: NodeWish, now: NodeWish): ClusterEvent => ({
  type: "node updated",
  node: node(now),
  old: node(old),
});
const nodeGone = (wish: NodeWish): ClusterEvent => ({ type: "node gone", node: node(wish) });
const placed = (one: Pod): ClusterEvent => ({ type: "pod placed", pod: one });
const relabelled = (old: Pod, now: Pod): ClusterEvent => ({ type: "pod placed", pod: now, old });
const gone = (one: Pod): ClusterEvent => ({ type: "pod gone", pod: one });
const storage = (resource: string, name = "x", namespace = "default"): ClusterEvent => ({
  type: "other",
  resource,
  namespace,
  name,
});

const ZONE = "topology.kubernetes.io/zone";
const term = (app: string): object => ({ topologyKey: ZONE, labelSelector: { matchLabels: { app } } });
const near = (app: string): object => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app)] } },
});
const far = (app: string): object => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app)] } },
});
const spread = (more: object = {}): object => ({
  topologySpreadConstraints: [{ ...term("web"), maxSkew: 1, whenUnsatisfiable: "DoNotSchedule", ...more }],
});
const claims = (...names: string[]): object => ({
  volumes: names.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
});
const port = (hostPort: number): object => ({ containers: [{ name: "c", ports: [{ containerPort: 1, hostPort }] }] });
const disk = { volumes: [{ name: "d", gcePersistentDisk: { pdName: "d" } }] };
const ssd = { nodeSelector: { disk: "ssd" } };
const gpu = { key: "gpu", effect: "NoSchedule" };
const web = pod({}, { app: "web" });
const db = pod({}, { app: "db" });
const zoned = { labels: { [ZONE]: "a" } };
const asks = (cpu: string): object => ({ containers: [{ name: "c", resources: { requests: { cpu } } }] });

describe.each<[string, [string, object, ClusterEvent, boolean][]]>([
  [
    "NodeUnschedulable",
    [
      ["a new node", {}, added(), true],
      ["a new node that is cordoned", {}, added({ unschedulable: true }), false],
      ["one is uncordoned", {}, updated({ unschedulable: true }, {}), true],
      ["one is cordoned", {}, updated({}, { unschedulable: true }), false],
    ],
  ],
  [
    "TaintToleration",
    [
      ["a new node", {}, added(), true],
      ["a new node with a taint", {}, added({ taints: [gpu] }), false],
      ["the taint goes", {}, updated({ taints: [gpu] }, {}), true],
      ["a node without taints changes otherwise", {}, updated({}, { cpu: "8" }), false],
      ["a Pod goes", {}, gone(web), false],
    ],
  ],
  [
    "NodeAffinity",
    [
      ["a new node that fits", ssd, added({ labels: { disk: "ssd" } }), true],
      ["a new node that does not", ssd, added(), false],
      ["a node comes to fit", ssd, updated({}, { labels: { disk: "ssd" } }), true],
      [
        "a node that fits changes otherwise",
        ssd,
        updated({ labels: { disk: "ssd" } }, { labels: { disk: "ssd", a: "b" } }),
        false,
      ],
    ],
  ],
  [
    "NodePorts",
    [
      ["a Pod with that port goes", port(80), gone(pod(port(80))), true],
      ["a Pod with another port goes", port(80), gone(pod(port(81))), false],
      [
        "a sidecar's port is free",
        port(80),
        gone(pod({ initContainers: [{ name: "s", restartPolicy: "Always", ports: [{ hostPort: 80 }] }] })),
        true,
      ],
    ],
  ],
  [
    "NodeResourcesFit",
    [
      ["a Pod goes", asks("3"), gone(web), true],
      ["a new node that is large enough", asks("3"), added(), true],
      ["a new node that is too small", asks("5"), added(), false],
      ["a node grows", asks("5"), updated({ cpu: "4" }, { cpu: "6" }), true],
      ["a node shrinks", asks("3"), updated({ cpu: "6" }, { cpu: "4" }), false],
      ["a node grows, and not enough", asks("9"), updated({ cpu: "4" }, { cpu: "6" }), false],
      ["a label changes", asks("3"), updated({}, zoned), false],
    ],
  ],
  [
    "VolumeRestrictions",
    [
      ["a Pod with the claim goes", claims("a"), gone(pod(claims("a", "b"))), true],
      ["a Pod with another claim goes", claims("a"), gone(pod(claims("b"))), false],
      ["a Pod with that claim of another namespace goes", claims("a"), gone(pod(claims("a"), {}, "other")), false],
      ["a Pod with the disk goes", disk, gone(pod(disk)), true],
    ],
  ],
  [
    "NodeVolumeLimits",
    [
      ["a Pod with volumes goes", claims("a"), gone(pod(claims("b"))), true],
      ["a Pod without goes", claims("a"), gone(web), false],
      ["a driver says what it can hold", claims("a"), storage("csinodes"), true],
    ],
  ],
  ...["VolumeBinding", "VolumeZone"].map((plugin): [string, [string, object, ClusterEvent, boolean][]] => [
    plugin,
    [
      ["its claim changes", claims("a"), storage("persistentvolumeclaims", "a"), true],
      ["another claim changes", claims("a"), storage("persistentvolumeclaims", "b"), false],
      ["a claim of that name elsewhere changes", claims("a"), storage("persistentvolumeclaims", "a", "other"), false],
      ["a volume changes", claims("a"), storage("persistentvolumes"), true],
      ["a node changes its labels", claims("a"), updated({}, zoned), true],
      ["a node changes otherwise", claims("a"), updated({}, { cpu: "8" }), false],
    ],
  ]),
  [
    "PodTopologySpread",
    [
      ["a Pod that counts goes", spread(), gone(web), true],
      ["a Pod that does not count goes", spread(), gone(db), false],
      ["a Pod that counts comes: the emptiest domain is less empty", spread(), placed(web), true],
      ["a Pod counts no longer", spread(), relabelled(web, db), true],
      ["a Pod of another namespace goes", spread(), gone(pod({}, { app: "web" }, "other")), false],
      ["a node in a zone comes", spread(), added(zoned), true],
      ["a node outside of zones comes", spread(), added(), false],
      ["a node of a zone goes", spread(), nodeGone(zoned), true],
      ["a node outside of zones goes", spread(), nodeGone({}), false],
      ["a node changes zones", spread(), updated(zoned, { labels: { [ZONE]: "b" } }), true],
      ["a taint goes", spread(), updated({ ...zoned, taints: [gpu] }, zoned), false],
      [
        "a taint goes, and taints count",
        spread({ nodeTaintsPolicy: "Honor" }),
        updated({ ...zoned, taints: [gpu] }, zoned),
        true,
      ],
    ],
  ],
  [
    "InterPodAffinity",
    [
      ["a Pod it wants to be near comes", near("db"), placed(db), true],
      ["another comes", near("db"), placed(web), false],
      ["a Pod comes to be one it wants", near("db"), relabelled(web, db), true],
      ["a Pod it keeps away from goes", far("db"), gone(db), true],
      ["another goes", far("db"), gone(web), false],
      ["a Pod it keeps away from is relabelled", far("db"), relabelled(db, web), true],
      ["a Pod that keeps away from it goes", {}, gone(pod(far("web"), { app: "db" })), true],
      ["a Pod that keeps away from others goes", {}, gone(pod(far("db"), { app: "db" })), false],
      ["a node is relabelled", far("db"), updated({}, zoned), true],
      ["a node changes otherwise", far("db"), updated({}, { cpu: "8" }), false],
    ],
  ],
])("a Pod that %s refused", (name, cases) => {
  const plugin = defaultPlugins.find((one) => one.name === name);
  it.each(cases)("%s", (_, spec, event, expected) => {
    expect(plugin?.mayHelp?.(event, new PodInfo(pod(spec, { app: "web" })))).toBe(expected);
  });
});
