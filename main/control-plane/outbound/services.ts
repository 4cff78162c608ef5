/** The way from the control plane to what is behind a Service: one of its ready endpoints, under the Service's name. */
import type { Duplex } from "node:stream";
import { checkServerIdentity, connect as tlsConnect } from "node:tls";
import type { Client } from "../../../common/kube/client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";

export interface ServiceReference {
  namespace?: string;
  name?: string;
  /** Default 443. */
  port?: number;
}

export interface PodReference {
  namespace: string;
  name: string;
}

/** A connection to an address, which is that of `pod` where one is named. Rejects when there is none in time. */
export type Dial = (address: string, port: number, signal: AbortSignal, pod?: PodReference) => Promise<Duplex>;

export interface Dialler {
  client(): Client;
  dial: Dial;
}

export interface TlsOptions {
  /** PEM; without it the system's authorities. */
  ca?: string;
  /** PEM of the certificate we show. */
  cert?: string;
  key?: string;
  rejectUnauthorized?: boolean;
}

interface Port {
  name?: string;
  port?: number;
}
interface Place {
  address: string;
  port: number;
  pod?: PodReference;
}
interface Slice extends KubeObject {
  endpoints?: {
    addresses?: string[];
    conditions?: { ready?: boolean };
    targetRef?: { kind?: string; namespace?: string; name?: string };
  }[];
  ports?: Port[];
}

/** The name a Service's certificate must have. */
export const serviceHost = ({ namespace = "", name = "" }: ServiceReference): string => `${name}.${namespace}.svc`;

/** TLS to a ready endpoint of the Service, under the Service's own name. Throws Error that says what is missing. */
export async function dialService(
  service: ServiceReference,
  tls: TlsOptions,
  { client, dial }: Dialler,
  signal: AbortSignal,
): Promise<Duplex> {
  const { namespace = "", name = "", port = 443 } = service;
  const found = await client().get({ group: "", version: "v1", resource: "services", namespace, name });
  const spec = (found["spec"] ?? {}) as { ports?: Port[]; type?: string; externalName?: string };
  const wanted = spec.ports?.find((one) => one.port === port);
  if (!wanted && spec.type !== "ExternalName") {
    throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  }
  const place: Place =
    spec.type === "ExternalName"
      ? { address: spec.externalName ?? "", port }
      : await endpointOf(client(), namespace, name, wanted as Port);
  const socket = await dial(place.address, place.port, signal, place.pod);
  const host = serviceHost(service);
  return new Promise((resolve, reject) => {
    const secured = tlsConnect({
      socket: socket as never,
      servername: host,
      ALPNProtocols: ["http/1.1"],
      ...tls,
      checkServerIdentity: (_, peer) => checkServerIdentity(host, peer),
    });
    const stop = (): void => {
      secured.destroy(new Error("context deadline exceeded"));
    };
    signal.addEventListener("abort", stop, { once: true });
    secured.once("error", reject);
    secured.once("close", () => signal.removeEventListener("abort", stop));
    secured.once("secureConnect", () => resolve(secured));
  });
}

async function endpointOf(client: Client, namespace: string, name: string, wanted: Port): Promise<Place> {
  const { items } = await client.list<Slice>(
    { group: "discovery.k8s.io", version: "v1", resource: "endpointslices" },
    { namespace, labelSelector: `kubernetes.io/service-name=${name}` },
  );
  for (const { endpoints = [], ports = [] } of items) {
    const port = ports.find((one) => (one.name ?? "") === (wanted.name ?? ""))?.port;
    const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
    const endpoint = ready[Math.floor(Math.random() * ready.length)];
    const address = endpoint?.addresses?.[0];
    if (port === undefined || address === undefined) continue;
    const { kind, namespace: of = namespace, name: pod } = endpoint?.targetRef ?? {};
    return { address, port, ...(kind === "Pod" && pod ? { pod: { namespace: of, name: pod } } : {}) };
  }
  throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
}
