/** One API that another server answers: the way to it, and what it says of itself. */
import { request as httpsRequest } from "node:https";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { words } from "../outbound/webhook-client.ts";
import { dialService, serviceHost } from "../outbound/services.ts";
import type { Dialler } from "../outbound/services.ts";
import type { KeyAndCertificate } from "../pki/index.ts";
import type { ApiService } from "./types.ts";

export interface RemoteOptions {
  dialler: Dialler;
  /** The certificate by which it knows that request headers come from us. */
  certificate: KeyAndCertificate;
}

/** A resource as aggregated discovery describes it (APIResourceDiscovery). */
export type Discovered = Record<string, unknown>;

const DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const LARGEST_DOCUMENT = 32 * 1024 * 1024;

export interface Call {
  method: string;
  path: string;
  headers: OutgoingHttpHeaders;
  signal: AbortSignal;
}

export class Remote {
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  /** As its Available condition says. */
  available = false;
  /** What it served when it was asked last. */
  resources: Discovered[] = [];
  readonly #service: ApiService;
  readonly #options: RemoteOptions;

  constructor(service: ApiService, options: RemoteOptions) {
    const { group = "", version = "", groupPriorityMinimum = 0, versionPriority = 0 } = service.spec;
    this.group = group;
    this.version = version;
    this.groupPriority = groupPriorityMinimum;
    this.versionPriority = versionPriority;
    this.#service = service;
    this.#options = options;
  }

  /** "apis/metrics.k8s.io/v1beta1" */
  get place(): string {
    return `apis/${this.group}/${this.version}`;
  }

  get url(): string {
    const { service = {} } = this.#service.spec;
    return `https://${serviceHost(service)}:${service.port ?? 443}`;
  }

  /** A connection of its own. Throws Error that says what is missing. */
  connect(signal: AbortSignal): Promise<Duplex> {
    const { service = {}, caBundle, insecureSkipTLSVerify } = this.#service.spec;
    const { dialler, certificate } = this.#options;
    const tls = {
      cert: certificate.certificate,
      key: certificate.key,
      ...(caBundle ? { ca: Buffer.from(caBundle, "base64").toString() } : {}),
      ...(insecureSkipTLSVerify ? { rejectUnauthorized: false } : {}),
    };
    return dialService(service, tls, dialler, signal);
  }

  /** The answer's head; its body is the caller's to read or destroy. `body` is sent as it comes. */
  async send({ method, path, headers, signal }: Call, body?: NodeJS.ReadableStream): Promise<IncomingMessage> {
    const socket = await this.connect(signal);
    const { service = {} } = this.#service.spec;
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest({
        method,
        path,
        headers: { ...headers, host: serviceHost(service) },
        createConnection: () => socket as never,
        signal,
      });
      const fail = (error: Error): void => {
        socket.destroy();
        reject(error);
      };
      outgoing.once("response", (answer) => {
        answer.once("close", () => socket.destroy());
        resolve(answer);
      });
      outgoing.once("error", fail);
      if (!body) outgoing.end();
      else {
        body.once("error", (error: Error) => outgoing.destroy(error));
        body.pipe(outgoing);
      }
    });
  }

  /** A document, as this server's own user asks for it. Throws Error. */
  async read(
    path: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<{ status: number; type: string; text: string }> {
    const headers = { accept, ...identity({ name: "system:kube-aggregator", groups: ["system:masters"] }) };
    try {
      const answer = await this.send({ method: "GET", path, headers, signal });
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > LARGEST_DOCUMENT) throw new Error("the answer is too large");
        chunks.push(chunk);
      }
      const type = String(answer.headers["content-type"] ?? "");
      return { status: answer.statusCode ?? 0, type, text: Buffer.concat(chunks).toString() };
    } catch (error) {
      const why = signal.aborted ? "context deadline exceeded" : words(error);
      throw new Error(`Get ${JSON.stringify(this.url + path)}: ${why}`, { cause: error });
    }
  }

  /** Asks what it serves. Throws Error that says why it could not be learnt. */
  async discover(signal: AbortSignal): Promise<void> {
    const found = await this.#aggregated(signal);
    this.resources = found ?? (await this.#plain(signal));
  }

  async #aggregated(signal: AbortSignal): Promise<Discovered[] | undefined> {
    const { status, type, text } = await this.read("/apis", `${DISCOVERY},application/json`, signal);
    if (status !== 200 || !type.includes("APIGroupDiscoveryList")) return undefined;
    const { items = [] } = JSON.parse(text) as {
      items?: { metadata?: { name?: string }; versions?: { version: string; resources?: Discovered[] }[] }[];
    };
    return items
      .find(({ metadata }) => metadata?.name === this.group)
      ?.versions?.find(({ version }) => version === this.version)?.resources;
  }

  async #plain(signal: AbortSignal): Promise<Discovered[]> {
    const path = `/${this.place}`;
    const { status, text } = await this.read(path, "application/json", signal);
    if (status < 200 || status > 299) throw new Error(`bad status from ${this.url}${path}: ${status}`);
    const { resources = [] } = JSON.parse(text) as { resources?: PlainResource[] };
    return fromPlain(resources, this);
  }
}

interface PlainResource {
  name: string;
  singularName?: string;
  namespaced?: boolean;
  group?: string;
  version?: string;
  kind: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
}

/** An APIResourceList's resources as aggregated discovery shows them: subresources below their parents. */
export function fromPlain(
  resources: readonly PlainResource[],
  { group, version }: { group: string; version: string },
): Discovered[] {
  const kindOf = (one: PlainResource): object => ({
    group: one.group || group,
    version: one.version || version,
    kind: one.kind,
  });
  return resources
    .filter(({ name }) => !name.includes("/"))
    .map((one) => {
      const below = resources.filter(({ name }) => name.startsWith(`${one.name}/`));
      return {
        resource: one.name,
        responseKind: kindOf(one),
        scope: one.namespaced ? "Namespaced" : "Cluster",
        singularResource: one.singularName ?? "",
        verbs: one.verbs ?? [],
        ...(one.shortNames ? { shortNames: one.shortNames } : {}),
        ...(one.categories ? { categories: one.categories } : {}),
        ...(below.length > 0
          ? {
              subresources: below.map((sub) => ({
                subresource: sub.name.slice(one.name.length + 1),
                responseKind: kindOf(sub),
                verbs: sub.verbs ?? [],
              })),
            }
          : {}),
      };
    });
}

/** Who asks, in the headers that the other server believes of us (authenticating proxy). */
export function identity(user: {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Record<string, string[]>;
}): OutgoingHttpHeaders {
  return {
    "x-remote-user": user.name,
    ...(user.uid ? { "x-remote-uid": user.uid } : {}),
    "x-remote-group": [...user.groups],
    ...Object.fromEntries(
      Object.entries(user.extra ?? {}).map(([key, values]) => [`x-remote-extra-${encodeURIComponent(key)}`, values]),
    ),
  };
}
