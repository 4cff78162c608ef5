/** `drydock explain pod/web-1`: why a Pod is where it is, what would help it, and who changed an object because of what. */
import { stringify } from "yaml";
import type { History, PodScheduling } from "../../common/kube/explain.ts";
import { UsageError } from "./exit.ts";
import { print, printJSON, table } from "./output.ts";
import { clusterNamed, withEngine } from "./session.ts";

export interface ExplainOptions {
  cluster?: string;
  namespace: string;
  output?: "json" | "yaml";
}

const GROUP = "/apis/explain.drydock.dev/v1alpha1";

/** Short forms of kinds, as kubectl knows them. */
const KINDS: Record<string, string> = {
  po: "pod",
  pods: "pod",
  deploy: "deployment",
  rs: "replicaset",
  sts: "statefulset",
  ds: "daemonset",
  svc: "service",
  cm: "configmap",
  no: "node",
  ns: "namespace",
  pvc: "persistentvolumeclaim",
  pv: "persistentvolume",
};

/** "pod/web-1", "deploy/web" → kind and name. Throws UsageError. */
export function readObject(text: string): { kind: string; name: string } {
  const match = /^([A-Za-z]+)[./](.+)$/.exec(text);
  if (!match) throw new UsageError(`say what to explain as KIND/NAME, e.g. pod/web-1 (not ${JSON.stringify(text)})`);
  const given = (match[1] as string).toLowerCase();
  return { kind: KINDS[given] ?? given.replace(/(?<=[a-z]{3})s$/, ""), name: match[2] as string };
}

export function explain(text: string, options: ExplainOptions): Promise<void> {
  const { kind, name } = readObject(text);
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, options.cluster);
    const read = async <T>(path: string): Promise<T | undefined> => {
      const headers = { accept: "application/json" };
      const { status, body } = await client.kube.request({ cluster: cluster.name, method: "GET", path, headers });
      if (status === 404) return undefined;
      if (status >= 400)
        throw new Error((JSON.parse(body) as { message?: string }).message ?? `the API answered ${status}`);
      return JSON.parse(body) as T;
    };
    const inNamespace = `${GROUP}/namespaces/${encodeURIComponent(options.namespace)}`;
    const entry = encodeURIComponent(`${kind}.${name}`);
    const [scheduling, history] = await Promise.all([
      kind === "pod" ? read<PodScheduling>(`${inNamespace}/podschedulings/${encodeURIComponent(name)}`) : undefined,
      read<History>(`${inNamespace}/histories/${entry}`).then(
        (found) => found ?? read<History>(`${GROUP}/clusterhistories/${entry}`),
      ),
    ]);
    if (!scheduling && !history)
      throw new UsageError(`nothing is known of ${kind}/${name} in namespace ${options.namespace}`);
    const found = { ...(scheduling ? { scheduling } : {}), ...(history ? { history } : {}) };
    if (options.output === "json") printJSON(found);
    else if (options.output === "yaml") print(stringify(found).trimEnd());
    else
      print([...(scheduling ? schedulingText(scheduling) : []), ...(history ? historyText(history) : [])].join("\n"));
  });
}

const MOST_NODES = 20;

export function schedulingText({ metadata, status }: PodScheduling): string[] {
  const lines = [`Pod ${metadata.namespace}/${metadata.name}: ${status.state}`, `  ${status.summary}`];
  const { queue, attempts = 0 } = status;
  if (queue) lines.push(`  in the queue: ${queue}, after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`);
  if (status.nominatedNode) lines.push(`  room is being made on ${status.nominatedNode}`);
  if (status.remedies.length > 0) {
    lines.push("", "What would help (each was tried):");
    for (const { text, nodes } of status.remedies) {
      const named = nodes.length === 1 ? text.split(/[ ,]/).includes(nodes[0] as string) : nodes.length === 0;
      const names = `${nodes.slice(0, 3).join(", ")}${nodes.length > 3 ? ", …" : ""}`;
      const where = nodes.length > 1 ? `${nodes.length} nodes: ${names}` : names;
      lines.push(`  - ${text}${named ? "" : `  (${where})`}`);
    }
  }
  const weights = new Map(status.nodes.flatMap(({ scores }) => scores.map(({ plugin, weight }) => [plugin, weight])));
  const plugins = [...weights.keys()];
  if (status.nodes.length > 0) {
    const rows = status.nodes
      .slice(0, MOST_NODES)
      .map(({ name, fits, refusals, scores, total }) => [
        name,
        fits ? "yes" : "no",
        fits ? String(total) : "",
        ...plugins.map((plugin) => String(scores.find((one) => one.plugin === plugin)?.score ?? "")),
        refusals.map(({ plugin, reasons }) => `${plugin}: ${reasons.join(", ")}`).join("; "),
      ]);
    lines.push(
      "",
      table(
        [
          "NODE",
          "FITS",
          "TOTAL",
          ...plugins.map((plugin) => shortName(plugin) + timesOf(weights.get(plugin))),
          "REFUSED BY",
        ],
        rows,
      ),
    );
    if (status.considered > MOST_NODES) lines.push(`… of ${status.considered} nodes`);
  }
  return [...lines, ""];
}

/** How often a score goes into the total. */
const timesOf = (weight = 1): string => (weight === 1 ? "" : ` ×${weight}`);

/** "NodeResourcesFit" → "RESOURCES FIT": what a column's head has room for. */
function shortName(plugin: string): string {
  return plugin
    .replace(/^Node(?=[A-Z])|^Pod(?=[A-Z])/, "")
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ")
    .toUpperCase();
}

export function historyText({ object, chain, entries, exists }: History): string[] {
  const name = `${object.kind} ${object.namespace ? `${object.namespace}/` : ""}${object.name}`;
  const time = (text: string): string => text.slice(11, 19);
  const lines = [`How ${name} came to be as it is${exists ? "" : " (deleted)"}:`];
  chain.forEach(({ time: at, object: of, by, what }, index) => {
    const words = `${of.kind} ${of.name} ${what}`;
    lines.push(`  ${time(at)} ${"  ".repeat(index)}${index > 0 ? "└ " : ""}${shorten(words)}  by ${by}`);
  });
  lines.push("", "All that is remembered of it:");
  for (const { time: at, what, by, because, count } of entries) {
    lines.push(`  ${time(at)} ${shorten(what)}${count > 1 ? ` (${count}×)` : ""}  by ${by.actor}`);
    if (because) lines.push(`           because ${shorten(because)}`);
  }
  return lines;
}

function shorten(text: string): string {
  return text.length > 110 ? `${text.slice(0, 109)}…` : text;
}
