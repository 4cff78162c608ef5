/** The FlowSchemas and PriorityLevelConfigurations every cluster has. Facts: Kubernetes' mandatory and suggested ones. */
import type { KubeObject } from "../../../common/kube/object.ts";

const apiVersion = "flowcontrol.apiserver.k8s.io/v1";

/** Name, shares, percent that may be lent, queues, hand size; without queues what does not fit is refused. */
const levels: readonly [string, number, number, number?, number?][] = [
  ["system", 30, 33, 64, 6],
  ["node-high", 40, 25, 64, 6],
  ["leader-election", 10, 0, 16, 4],
  ["workload-high", 40, 50, 128, 6],
  ["workload-low", 100, 90, 128, 6],
  ["global-default", 20, 50, 128, 6],
  ["catch-all", 5, 0],
];
const LONGEST_QUEUE = 50;

const everyone = ["Group:system:authenticated", "Group:system:unauthenticated"];
const kubeSystem = "ServiceAccount:kube-system/*";
const anything = "* *.*";

/** Name, precedence, level, how flows are told apart, subjects, and "verbs resources.group" or "verbs /path" each. */
const schemas: readonly [
  string,
  number,
  string,
  "ByUser" | "ByNamespace" | "",
  readonly string[],
  readonly string[],
][] = [
  ["exempt", 1, "exempt", "", ["Group:system:masters"], [anything, "* /*"]],
  ["probes", 2, "exempt", "", everyone, ["get /healthz,/readyz,/livez"]],
  [
    "system-leader-election",
    100,
    "leader-election",
    "ByUser",
    ["User:system:kube-controller-manager", "User:system:kube-scheduler", kubeSystem],
    ["get,create,update leases.coordination.k8s.io"],
  ],
  [
    "endpoint-controller",
    150,
    "workload-high",
    "ByUser",
    [
      "User:system:kube-controller-manager",
      "ServiceAccount:kube-system/endpoint-controller",
      "ServiceAccount:kube-system/endpointslicemirroring-controller",
    ],
    ["get,create,update endpoints"],
  ],
  [
    "workload-leader-election",
    200,
    "leader-election",
    "ByUser",
    [kubeSystem],
    ["get,create,update leases.coordination.k8s.io"],
  ],
  [
    "system-node-high",
    400,
    "node-high",
    "ByUser",
    ["Group:system:nodes"],
    ["* nodes,nodes/status", "* leases.coordination.k8s.io"],
  ],
  ["system-nodes", 500, "system", "ByUser", ["Group:system:nodes"], [anything, "* /*"]],
  [
    "kube-controller-manager",
    800,
    "workload-high",
    "ByNamespace",
    ["User:system:kube-controller-manager"],
    [anything, "* /*"],
  ],
  ["kube-scheduler", 800, "workload-high", "ByNamespace", ["User:system:kube-scheduler"], [anything, "* /*"]],
  ["kube-system-service-accounts", 900, "workload-high", "ByNamespace", [kubeSystem], [anything, "* /*"]],
  ["service-accounts", 9000, "workload-low", "ByUser", ["Group:system:serviceaccounts"], [anything, "* /*"]],
  ["global-default", 9900, "global-default", "ByUser", everyone, [anything, "* /*"]],
  ["catch-all", 10000, "catch-all", "ByUser", everyone, [anything, "* /*"]],
];

const metadata = (name: string): KubeObject["metadata"] => ({
  name,
  annotations: { "apf.kubernetes.io/autoupdate-spec": "true" },
});

function subject(text: string): object {
  const colon = text.indexOf(":");
  const name = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case "User":
      return { kind: "User", user: { name } };
    case "Group":
      return { kind: "Group", group: { name } };
    default: {
      const [namespace = "", account = ""] = name.split("/");
      return { kind: "ServiceAccount", serviceAccount: { namespace, name: account } };
    }
  }
}

function rules(lines: readonly string[]): object {
  const resourceRules: object[] = [];
  const nonResourceRules: object[] = [];
  for (const line of lines) {
    const [verbs = "", what = ""] = line.split(" ");
    if (what.startsWith("/")) {
      nonResourceRules.push({ verbs: verbs.split(","), nonResourceURLs: what === "/*" ? ["*"] : what.split(",") });
      continue;
    }
    const dot = what.indexOf(".");
    resourceRules.push({
      verbs: verbs.split(","),
      apiGroups: [dot < 0 ? "" : what.slice(dot + 1)],
      resources: (dot < 0 ? what : what.slice(0, dot)).split(","),
      clusterScope: true,
      namespaces: ["*"],
    });
  }
  return {
    ...(resourceRules.length > 0 ? { resourceRules } : {}),
    ...(nonResourceRules.length > 0 ? { nonResourceRules } : {}),
  };
}

/** In an order in which they can be created. */
export function fairnessObjects(): KubeObject[] {
  const exempt: KubeObject = {
    apiVersion,
    kind: "PriorityLevelConfiguration",
    metadata: metadata("exempt"),
    spec: { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  };
  const limited = levels.map(([name, nominalConcurrencyShares, lendablePercent, queues, handSize]): KubeObject => ({
    apiVersion,
    kind: "PriorityLevelConfiguration",
    metadata: metadata(name),
    spec: {
      type: "Limited",
      limited: {
        nominalConcurrencyShares,
        lendablePercent,
        limitResponse:
          queues === undefined
            ? { type: "Reject" }
            : { type: "Queue", queuing: { queues, handSize, queueLengthLimit: LONGEST_QUEUE } },
      },
    },
  }));
  const flows = schemas.map(([name, matchingPrecedence, level, type, subjects, lines]): KubeObject => ({
    apiVersion,
    kind: "FlowSchema",
    metadata: metadata(name),
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(type === "" ? {} : { distinguisherMethod: { type } }),
      rules: [{ subjects: subjects.map(subject), ...rules(lines) }],
    },
  }));
  return [exempt, ...limited, ...flows];
}
