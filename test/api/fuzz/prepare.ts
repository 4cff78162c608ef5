/** What must be there before the first request: the kinds that are served, custom ones, a Pod with a kubelet behind it. */
import type { HttpClient, Transport } from "../../../common/kube/http-client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Kind } from "./asks.ts";
import { manners } from "./kubelet.ts";
import { seedOf } from "./seeds.ts";

interface Discovered {
  items: {
    metadata: { name?: string };
    versions: {
      version: string;
      resources?: {
        resource: string;
        responseKind: { kind: string };
        scope: string;
        verbs: string[];
        subresources?: { subresource: string; responseKind: { group: string; kind: string }; verbs: string[] }[];
      }[];
    }[];
  }[];
}

/** Every resource that discovery tells of. */
export async function readKinds(transport: Transport): Promise<Kind[]> {
  const kinds: Kind[] = [];
  for (const path of ["/api", "/apis"]) {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const { items } = (await readJson(transport, path, accept)) as Discovered;
    for (const { metadata, versions } of items)
      for (const { version, resources = [] } of versions)
        for (const { resource, responseKind, scope, verbs, subresources = [] } of resources)
          kinds.push({
            group: metadata.name ?? "",
            version,
            resource,
            kind: responseKind.kind,
            namespaced: scope === "Namespaced",
            verbs,
            subresources: subresources.map(({ subresource, responseKind: own, verbs: may }) => ({
              name: subresource,
              verbs: may,
              group: own.group,
              kind: own.kind,
            })),
          });
  }
  return kinds;
}

export async function readJson(transport: Transport, path: string, accept = "application/json"): Promise<unknown> {
  const answer = await transport({ method: "GET", path, query: {}, headers: { accept } });
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body) chunks.push(chunk as Uint8Array);
  const text = Buffer.concat(chunks).toString();
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as unknown;
}

export const CUSTOM_GROUP = "fuzz.example.com";

/** A custom kind with rules, lists of every type, defaults, status and scale. */
export async function makeCustomKind(client: HttpClient): Promise<void> {
  const seed = seedOf("apiextensions.k8s.io", "CustomResourceDefinition");
  (seed["spec"] as { group: string }).group = CUSTOM_GROUP;
  await client.create(
    {
      group: "apiextensions.k8s.io",
      version: "v1",
      resource: "customresourcedefinitions",
      name: `widgets.${CUSTOM_GROUP}`,
    },
    {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `widgets.${CUSTOM_GROUP}` },
      ...seed,
    } as KubeObject,
  );
}

export async function makeNamespace(client: HttpClient, name: string): Promise<void> {
  const object = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
  await client.create({ group: "", version: "v1", resource: "namespaces", name }, object as KubeObject);
}

/** A Node whose kubelet listens at the port, and a Pod on it with a container for each of its manners. Its path. */
export async function makePod(client: HttpClient, kubeletPort: number): Promise<string> {
  const node = "fuzz-node";
  const nodes = { group: "", version: "v1", resource: "nodes", name: node };
  await client.create(nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: node },
    status: {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    },
  } as KubeObject);
  await client.create({ group: "", version: "v1", resource: "pods", namespace: "kube-system", name: "stream" }, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "stream", namespace: "kube-system" },
    spec: {
      nodeName: node,
      // The Node never becomes ready, and its Pods are to stay.
      tolerations: [{ operator: "Exists" }],
      containers: manners.map((name) => ({ name, image: "drydock.local/busybox" })),
    },
  } as unknown as KubeObject);
  return "/api/v1/namespaces/kube-system/pods/stream";
}
