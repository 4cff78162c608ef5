/** What every cluster holds from the start: namespaces, roles, and the `kubernetes` Service with its endpoint. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { parseApiVersion } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Client, ObjectRef } from "../../../common/kube/client.ts";
import { bootstrapObjects } from "../auth/bootstrap/index.ts";
import { same } from "../resources/validation/problems.ts";
import { FRONT_PROXY_CLIENT } from "../pki/index.ts";
import type { Pki } from "../pki/index.ts";
import type { Catalog } from "./catalog.ts";

export interface BootstrapOptions {
  client: Client;
  catalog: Catalog;
  pki: Pick<Pki, "ca" | "frontProxyCa">;
  /** Where this server is reached from inside the cluster. */
  advertiseAddress: string;
  port: number;
  /** The `kubernetes` Service's address. */
  serviceAddress: string;
}

/** Makes what is missing. Roles and bindings that users changed stay as they are. */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const { client, catalog } = options;
  const objects = bootstrapObjects();
  const namespaces = objects.filter(({ kind }) => kind === "Namespace");
  await Promise.all(namespaces.map((object) => ensure(client, catalog, object)));
  const others = objects.filter(({ kind }) => kind !== "Namespace");
  await Promise.all(others.map((object) => ensure(client, catalog, object)));
  await Promise.all(
    [...ownService(options), authenticationFacts(options)].map((object) => ensure(client, catalog, object, true)),
  );
}

function refOf(catalog: Catalog, object: KubeObject): ObjectRef {
  const { group, version } = parseApiVersion(object.apiVersion);
  const definition = catalog
    .all()
    .find((one) => one.group === group && one.version === version && one.kind === object.kind);
  if (!definition) throw new Error(`no resource is served for ${object.apiVersion} ${object.kind}`);
  const { namespace, name = "" } = object.metadata;
  return { group, version, resource: definition.resource, ...(namespace ? { namespace } : {}), name };
}

/** `keep`: brought back to what is given when it differs (the address may have changed since). */
async function ensure(client: Client, catalog: Catalog, object: KubeObject, keep = false): Promise<void> {
  const ref = refOf(catalog, object);
  const there = await client.get(ref).catch((error: unknown) => {
    if (isStatus(error, "NotFound")) return undefined;
    throw error;
  });
  if (!there) {
    await client.create(ref, object);
    return;
  }
  const wanted = object["subsets"] ?? object["endpoints"] ?? object["data"];
  const has = there["subsets"] ?? there["endpoints"] ?? there["data"];
  if (keep && wanted !== undefined && !same(wanted, has)) {
    await client.update(ref, { ...there, ...object, metadata: there.metadata });
  }
}

function ownService({ advertiseAddress, port, serviceAddress }: BootstrapOptions): KubeObject[] {
  const namespace = "default";
  const name = "kubernetes";
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace, labels: { component: "apiserver", provider: "kubernetes" } },
      spec: {
        type: "ClusterIP",
        clusterIP: serviceAddress,
        ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: port }],
      },
    },
    {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name, namespace, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
      subsets: [{ addresses: [{ ip: advertiseAddress }], ports: [{ name: "https", port, protocol: "TCP" }] }],
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      endpoints: [{ addresses: [advertiseAddress], conditions: { ready: true } }],
      ports: [{ name: "https", port, protocol: "TCP" }],
    },
  ];
}

/** What other API servers (APIService) must know to believe us and the cluster's clients. */
function authenticationFacts({ pki }: BootstrapOptions): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "extension-apiserver-authentication", namespace: "kube-system" },
    data: {
      "client-ca-file": pki.ca.certificate,
      "requestheader-allowed-names": JSON.stringify([FRONT_PROXY_CLIENT]),
      "requestheader-client-ca-file": pki.frontProxyCa.certificate,
      "requestheader-extra-headers-prefix": JSON.stringify(["X-Remote-Extra-"]),
      "requestheader-group-headers": JSON.stringify(["X-Remote-Group"]),
      "requestheader-uid-headers": JSON.stringify(["X-Remote-Uid"]),
      "requestheader-username-headers": JSON.stringify(["X-Remote-User"]),
    },
  };
}
