/** Pods and nodes as the scheduler keeps them: what plug-ins ask for, worked out once. */
import { objectKey } from "../../../common/kube/object.ts";
import { selectNothing, selectorFromObject } from "../../../common/kube/selector.ts";
import type { LabelSelectorObject, Selector } from "../../../common/kube/selector.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { addTo, amounts, requestsOf, scoringRequestsOf } from "./resources.ts";
import type { Amounts } from "./resources.ts";

/** A term of Pod affinity or anti-affinity, ready to be matched. */
export interface AffinityTerm {
  topologyKey: string;
  selector: Selector;
  namespaces: ReadonlySet<string>;
  /** Namespaces are chosen by their labels (an empty selector: all). */
  namespaceSelector: Selector;
  /** Same id, same matches: for counting once. */
  id: string;
  /** For preferred terms. */
  weight: number;
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

export class PodInfo {
  /** As it was seen last; the rest is the same for all of its states that count as the same. */
  pod: Pod;
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Record<string, string>;
  readonly priority: number;
  readonly requests: Amounts;
  readonly scoringRequests: Amounts;
  readonly hostPorts: readonly HostPort[];
  readonly affinity: readonly AffinityTerm[];
  readonly antiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly AffinityTerm[];
  readonly preferredAntiAffinity: readonly AffinityTerm[];
  readonly hasAffinity: boolean;
  /** Names of the PersistentVolumeClaims it uses, those of its ephemeral volumes included. */
  readonly claims: readonly string[];
  /** uid of the controller that made it, for spreading siblings. */
  readonly owner: string | undefined;

  #shape: string | undefined;

  constructor(pod: Pod) {
    const { metadata, spec } = pod;
    this.pod = pod;
    this.key = objectKey(pod);
    this.uid = metadata.uid ?? "";
    this.namespace = metadata.namespace ?? "";
    this.labels = metadata.labels ?? {};
    this.priority = spec?.priority ?? 0;
    this.requests = requestsOf(pod);
    this.scoringRequests = scoringRequestsOf(pod);
    this.hostPorts = hostPortsOf(pod);
    const affinity = spec?.affinity as PodAffinities | undefined;
    const { podAffinity, podAntiAffinity } = affinity ?? {};
    this.affinity = terms(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution, this);
    this.antiAffinity = terms(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution, this);
    this.preferredAffinity = weighted(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution, this);
    this.preferredAntiAffinity = weighted(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution, this);
    this.hasAffinity =
      this.affinity.length +
        this.antiAffinity.length +
        this.preferredAffinity.length +
        this.preferredAntiAffinity.length >
      0;
    this.claims = claimsOf(pod);
    this.owner = metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
  }

  /** All that plug-ins which look at a node alone read of a Pod. */
  get shape(): string {
    const { nodeSelector, tolerations, affinity } = this.pod.spec ?? {};
    const nodeAffinity = (affinity as { nodeAffinity?: object } | undefined)?.nodeAffinity;
    this.#shape ??= JSON.stringify([
      this.requests,
      this.scoringRequests,
      this.hostPorts,
      nodeSelector,
      tolerations,
      nodeAffinity,
    ]);
    return this.#shape;
  }
}

interface RawTerm {
  topologyKey: string;
  labelSelector?: LabelSelectorObject;
  namespaces?: string[];
  namespaceSelector?: LabelSelectorObject;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

interface RawAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: RawTerm[];
  preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; podAffinityTerm: RawTerm }[];
}

interface PodAffinities {
  podAffinity?: RawAffinity;
  podAntiAffinity?: RawAffinity;
}

function term(raw: RawTerm, pod: { namespace: string; labels: Record<string, string> }, weight: number): AffinityTerm {
  const expressions = [
    ...(raw.labelSelector?.matchExpressions ?? []),
    ...(raw.matchLabelKeys ?? [])
      .filter((key) => key in pod.labels)
      .map((key) => ({ key, operator: "In", values: [pod.labels[key] as string] })),
    ...(raw.mismatchLabelKeys ?? [])
      .filter((key) => key in pod.labels)
      .map((key) => ({ key, operator: "NotIn", values: [pod.labels[key] as string] })),
  ];
  const labelSelector = raw.labelSelector && { ...raw.labelSelector, matchExpressions: expressions };
  const own = (raw.namespaces ?? []).length === 0 && raw.namespaceSelector === undefined;
  const namespaces = own ? [pod.namespace] : (raw.namespaces ?? []);
  return {
    topologyKey: raw.topologyKey,
    selector: selectorFromObject(labelSelector),
    namespaces: new Set(namespaces),
    namespaceSelector: raw.namespaceSelector === undefined ? selectNothing : selectorFromObject(raw.namespaceSelector),
    id: JSON.stringify([labelSelector, namespaces, raw.namespaceSelector]),
    weight,
  };
}

function terms(raw: RawTerm[] | undefined, pod: PodInfo): AffinityTerm[] {
  return (raw ?? []).map((one) => term(one, pod, 0));
}

function weighted(raw: { weight: number; podAffinityTerm: RawTerm }[] | undefined, pod: PodInfo): AffinityTerm[] {
  return (raw ?? []).map(({ weight, podAffinityTerm }) => term(podAffinityTerm, pod, weight));
}

/** Whether a Pod with such labels may be among those a term speaks of; what labels its namespace has is not asked. */
export function mayMatchTerm(
  { namespaces, namespaceSelector, selector }: AffinityTerm,
  { namespace = "", labels }: { namespace?: string | undefined; labels?: Record<string, string> | undefined },
): boolean {
  return (namespaces.has(namespace) || namespaceSelector !== selectNothing) && selector.matches(labels ?? {});
}

/** Whether a Pod is among those a term speaks of; `labelsOf` gives a namespace's labels. */
export function matchesTerm(
  of: AffinityTerm,
  pod: PodInfo,
  labelsOf: (namespace: string) => Record<string, string> | undefined,
): boolean {
  const inNamespace =
    of.namespaces.has(pod.namespace) ||
    (of.namespaceSelector !== selectNothing && of.namespaceSelector.matches(labelsOf(pod.namespace) ?? {}));
  return inNamespace && of.selector.matches(pod.labels);
}

export function claimsOf(pod: Pod): string[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
    persistentVolumeClaim ? [persistentVolumeClaim.claimName] : ephemeral ? [`${pod.metadata.name}-${name}`] : [],
  );
}

export function hostPortsOf(pod: Pod): HostPort[] {
  const ports: HostPort[] = [];
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    for (const { hostPort, hostIP, protocol } of container.ports ?? []) {
      if (hostPort) ports.push({ ip: hostIP || "0.0.0.0", protocol: protocol ?? "TCP", port: hostPort });
    }
  }
  return ports;
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

let versions = 0;

/** A node with what runs there, or is about to. */
export class NodeInfo {
  readonly name: string;
  /** Another with every change; no two states of any nodes have the same. */
  version = 0;
  node: Node;
  labels: Record<string, string> = {};
  taints: readonly Taint[] = [];
  /** Cordoned. Here, because every Pod asks every node: the object itself lies far away in memory. */
  unschedulable = false;
  allocatable: Amounts = {};
  allowedPods = 0;
  imageSizes = new Map<string, number>();
  readonly pods = new Map<string, PodInfo>();
  readonly requested: Amounts = {};
  readonly scoringRequested: Amounts = {};

  constructor(node: Node) {
    this.name = node.metadata.name ?? "";
    this.node = node;
    this.setNode(node);
  }

  setNode(node: Node): void {
    this.version = versions += 1;
    this.node = node;
    this.labels = node.metadata.labels ?? {};
    this.taints = (node.spec?.taints ?? []) as Taint[];
    this.unschedulable = node.spec?.unschedulable ?? false;
    const { pods = 0, ...rest } = amounts(
      (node.status?.allocatable ?? node.status?.capacity) as Record<string, string> | undefined,
    );
    this.allocatable = rest;
    this.allowedPods = pods;
    this.imageSizes = new Map(
      (node.status?.images ?? []).flatMap(({ names = [], sizeBytes = 0 }) =>
        names.map((name) => [name, Number(sizeBytes)] as const),
      ),
    );
  }

  add(pod: PodInfo): void {
    if (this.pods.has(pod.uid)) this.remove(pod.uid);
    this.pods.set(pod.uid, pod);
    this.#count(pod, 1);
  }

  remove(uid: string): PodInfo | undefined {
    const pod = this.pods.get(uid);
    if (!pod) return undefined;
    this.pods.delete(uid);
    this.#count(pod, -1);
    return pod;
  }

  /** A copy whose Pods can be taken away for a try. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.node);
    for (const pod of this.pods.values()) copy.add(pod);
    return copy;
  }

  #count(pod: PodInfo, sign: 1 | -1): void {
    this.version = versions += 1;
    addTo(this.requested, pod.requests, sign);
    addTo(this.scoringRequested, pod.scoringRequests, sign);
  }
}
