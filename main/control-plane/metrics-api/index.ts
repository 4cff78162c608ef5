/** metrics.k8s.io/v1beta1: what `kubectl top` and the HorizontalPodAutoscaler ask. Computed, never stored. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { parseLabelSelector } from "../../../common/kube/selector.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { ComputedQuery, ResourceDefinition } from "../resources/definition.ts";
import { define, shows, table } from "../resources/define.ts";
import type { TableColumn } from "../resources/define.ts";
import type { Reader } from "../resources/reader.ts";
import type { NodeUsage, Usage } from "./source.ts";

const GROUP = { group: "metrics.k8s.io", version: "v1beta1" } as const;
const API_VERSION = "metrics.k8s.io/v1beta1";
const CPU_UNIT = "n";
const MEMORY_UNIT = "Ki";

export interface MetricsApi {
  /** undefined: the node does not say. */
  source: { usage(node: Node): Promise<NodeUsage | undefined> };
  reader: Reader;
}

type Amounts = Record<"cpu" | "memory", string>;
interface Shown {
  window: string;
  usage?: Amounts;
  containers?: { usage: Amounts }[];
}

/** Of a Pod: of its containers together. The units are those of `amounts`. */
const amountColumn = (name: "cpu" | "memory", unit: string): TableColumn<Shown> =>
  shows(name, `Usage of ${name}`, ({ usage, containers = [] }) => {
    const all = usage ? [usage] : containers.map((one) => one.usage);
    return `${all.reduce((sum, one) => sum + Number.parseInt(one[name], 10), 0)}${unit}`;
  });

/** As metrics-server's: NAME CPU MEMORY WINDOW. */
const usageTable = table<KubeObject & Shown>(
  amountColumn("cpu", CPU_UNIT),
  amountColumn("memory", MEMORY_UNIT),
  shows("Window", "What the usage is the average of", ({ window }) => window),
);

/** `api` is asked at each request: it is made after the definitions. */
export function metricsDefinitions(api: () => MetricsApi): ResourceDefinition[] {
  return [
    define({
      ...GROUP,
      kind: "NodeMetrics",
      resource: "nodes",
      singular: "",
      namespaced: false,
      verbs: ["get", "list"],
      virtual: true,
      table: usageTable,
      computed: {
        get: async (_namespace, name) => {
          const [found] = await nodeMetrics(api(), (node) => node.metadata.name === name);
          return found ?? missing("nodemetrics", name);
        },
        list: (_namespace, query) => nodeMetrics(api(), wanted(query)),
      },
    }),
    define({
      ...GROUP,
      kind: "PodMetrics",
      resource: "pods",
      singular: "",
      namespaced: true,
      verbs: ["get", "list"],
      virtual: true,
      table: usageTable,
      computed: {
        get: async (namespace, name) => {
          const [found] = await podMetrics(api(), namespace, (pod) => pod.metadata.name === name);
          return found ?? missing("podmetrics", `${namespace}/${name}`);
        },
        list: (namespace, query) => podMetrics(api(), namespace, wanted(query)),
      },
    }),
  ];
}

function missing(what: string, name: string): never {
  throw new StatusError("NotFound", `${what}.metrics.k8s.io ${JSON.stringify(name)} not found`);
}

function wanted({ labelSelector, fieldSelector }: ComputedQuery): (object: KubeObject) => boolean {
  const labels = parseLabelSelector(labelSelector ?? "");
  const name = /^metadata\.name==?(.+)$/.exec(fieldSelector ?? "")?.[1];
  if (fieldSelector && name === undefined)
    throw new StatusError("BadRequest", `field label not supported: ${fieldSelector}`);
  return ({ metadata }) => labels.matches(metadata.labels) && (name === undefined || metadata.name === name);
}

async function nodeMetrics(
  { reader, source }: MetricsApi,
  matches: (object: KubeObject) => boolean,
): Promise<KubeObject[]> {
  const nodes = ([...reader.list("nodes")] as Node[]).filter(matches);
  const usages = await Promise.all(nodes.map((node) => source.usage(node)));
  return nodes.flatMap((node, index) => {
    const usage = usages[index];
    return usage ? [{ ...head("NodeMetrics", node, usage), usage: amounts(usage.node) } as KubeObject] : [];
  });
}

async function podMetrics(
  { reader, source }: MetricsApi,
  namespace: string | undefined,
  matches: (object: KubeObject) => boolean,
): Promise<KubeObject[]> {
  const pods = ([...reader.list("pods", namespace)] as Pod[]).filter(
    (pod) => pod.spec?.nodeName !== undefined && pod.status?.phase === "Running" && matches(pod),
  );
  const names = [...new Set(pods.map(({ spec }) => spec?.nodeName as string))];
  const usages = new Map(
    await Promise.all(
      names.map(async (name): Promise<[string, NodeUsage | undefined]> => {
        const node = reader.get("nodes", undefined, name) as Node | undefined;
        return [name, node && (await source.usage(node))];
      }),
    ),
  );
  return pods.flatMap((pod) => {
    const usage = usages.get(pod.spec?.nodeName as string);
    const containers = usage?.pods.get(`${pod.metadata.namespace}/${pod.metadata.name}`);
    if (!usage || !containers) return [];
    return [
      {
        ...head("PodMetrics", pod, usage),
        containers: [...containers].map(([name, each]) => ({ name, usage: amounts(each) })),
      } as KubeObject,
    ];
  });
}

function head(kind: string, { metadata }: KubeObject, usage: NodeUsage): KubeObject {
  const { name, namespace, labels } = metadata;
  const at = new Date(usage.at).toISOString().replace(/\.\d+Z$/, "Z");
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: { name, ...(namespace ? { namespace } : {}), ...(labels ? { labels } : {}), creationTimestamp: at },
    timestamp: at,
    window: `${usage.window.toFixed(3)}s`,
  } as KubeObject;
}

/** Quantities: nanocores, kibibytes. */
function amounts({ cpu, memoryBytes }: Usage): Amounts {
  return { cpu: `${cpu}${CPU_UNIT}`, memory: `${Math.ceil(memoryBytes / 1024)}${MEMORY_UNIT}` };
}
