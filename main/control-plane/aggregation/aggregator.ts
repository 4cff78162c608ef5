/**
 * The aggregation layer: keeps an APIService for every group and version, asks those that have a Service whether
 * they are there, and knows to whom a request goes.
 */
import type { Client } from "../../../common/kube/client.ts";
import { Informer } from "../../../common/kube/informer.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { WorkQueue, again } from "../../../common/kube/workqueue.ts";
import type { Outcome } from "../../../common/kube/workqueue.ts";
import type { Catalog } from "../api/catalog.ts";
import type { Dial } from "../outbound/services.ts";
import type { KeyAndCertificate } from "../pki/index.ts";
import { backingVerdict, failedDiscovery, keepLocal, local, passed, withVerdict } from "./decide.ts";
import type { Backing, GroupVersion } from "./decide.ts";
import { Remote } from "./remote.ts";
import { apiServices } from "./types.ts";
import type { ApiService } from "./types.ts";

export interface AggregatorOptions {
  client: Client;
  catalog: Catalog;
  dial: Dial;
  /** Signed by the request-header authority. */
  certificate: KeyAndCertificate;
  /** Whether a group and version is there for a CustomResourceDefinition. */
  isCustom(group: string, version: string): boolean;
  log(line: string): void;
}

/** How long one that is asked may take. */
const CHECK_MILLIS = 5000;
/** One that is there is asked again after the first time, one that is not after the second. */
const AGAIN_MILLIS = 30_000;
const AWAY_MILLIS = 3000;
const KEEP = "(keep)";

export class Aggregator {
  readonly #options: AggregatorOptions;
  readonly #informer: Informer<ApiService>;
  readonly #queue: WorkQueue;
  readonly #remotes = new Map<string, { made: string; remote: Remote }>();
  readonly #stopped = new AbortController();
  #forget: (() => void) | undefined;

  constructor(options: AggregatorOptions) {
    this.#options = options;
    const { client, log } = options;
    const tell = (what: string, error: unknown): void => {
      if (!isStatus(error, "Conflict", "NotFound", "AlreadyExists"))
        log(`aggregation: ${what}: ${error instanceof Error ? error.message : String(error)}`);
    };
    this.#informer = new Informer<ApiService>(client, apiServices, { failed: (error) => tell("informer", error) });
    this.#queue = new WorkQueue({
      concurrency: 4,
      work: (key) => (key === KEEP ? this.#keep() : this.#check(key)),
      failed: tell,
    });
  }

  /** Resolves when it is known which APIs others answer. */
  async start(): Promise<void> {
    const { catalog } = this.#options;
    this.#informer.start();
    await this.#informer.synced;
    for (const service of this.#informer.values()) this.#know(service);
    const changed = (service: ApiService): void => {
      this.#know(service);
      this.#queue.add(service.metadata.name ?? "");
    };
    this.#informer.addHandler({
      add: changed,
      update: changed,
      delete: (service) => {
        this.#remotes.delete(service.metadata.name ?? "");
        catalog.changed();
        this.#queue.add(KEEP);
      },
    });
    this.#forget = catalog.onChange(() => this.#queue.add(KEEP));
    this.#queue.add(KEEP);
  }

  async stop(): Promise<void> {
    this.#forget?.();
    this.#stopped.abort();
    await this.#queue.stop();
    await this.#informer.stop();
  }

  /** Who answers for the group and version, where it is not this server. */
  find(group: string, version: string): Remote | undefined {
    return this.#remotes.get(`${version}.${group}`)?.remote;
  }

  /** Who answers a request to the path ("/apis/GROUP/VERSION/…"). */
  ofPath(path: string): Remote | undefined {
    if (this.#remotes.size === 0 || !path.startsWith("/apis/")) return undefined;
    const [, , group = "", version = ""] = path.split("/", 4);
    return this.find(group, version);
  }

  remotes(): Remote[] {
    return [...this.#remotes.values()].map(({ remote }) => remote);
  }

  /** Every APIService, and whether its condition says that it can be reached. */
  availability(): { name: string; available: boolean }[] {
    return [...this.#informer.values()].map(({ metadata, status }) => ({
      name: metadata.name ?? "",
      available:
        status?.conditions?.some(({ type, status: value }) => type === "Available" && value === "True") === true,
    }));
  }

  #know(service: ApiService): void {
    const { catalog, client, dial, certificate } = this.#options;
    const name = service.metadata.name ?? "";
    const made = JSON.stringify(service.spec);
    const known = this.#remotes.get(name);
    const condition = service.status?.conditions?.find(({ type }) => type === "Available");
    if (!service.spec.service) {
      if (this.#remotes.delete(name)) catalog.changed();
      return;
    }
    const remote =
      known?.made === made
        ? known.remote
        : new Remote(service, { dialler: { client: () => client, dial }, certificate });
    const available = condition?.status === "True";
    if (known?.made !== made || remote.available !== available) catalog.changed();
    remote.available = available;
    this.#remotes.set(name, { made, remote });
  }

  async #check(name: string): Promise<Outcome> {
    const service = this.#informer.get(name);
    if (!service) return undefined;
    const remote = this.#remotes.get(name)?.remote;
    const verdict = remote ? await this.#verdict(service, remote) : local;
    const status = withVerdict(service, verdict, new Date());
    if (status)
      await this.#options.client.update({ ...apiServices, name, subresource: "status" }, { ...service, status });
    if (!remote) return undefined;
    return again(verdict.status === "True" ? AGAIN_MILLIS : AWAY_MILLIS);
  }

  async #verdict(service: ApiService, remote: Remote): Promise<ReturnType<typeof failedDiscovery>> {
    const problem = backingVerdict(service, await this.#backing(service));
    if (problem) return problem;
    const before = JSON.stringify(remote.resources);
    try {
      await remote.discover(AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(CHECK_MILLIS)]));
    } catch (error) {
      const url = `${remote.url}/${remote.place}`;
      return failedDiscovery(url, error instanceof Error ? error.message : String(error));
    }
    if (JSON.stringify(remote.resources) !== before) this.#options.catalog.changed();
    return passed;
  }

  async #backing({ spec }: ApiService): Promise<Backing> {
    const { client } = this.#options;
    const { namespace = "", name = "" } = spec.service ?? {};
    try {
      const service = await client.get({ group: "", version: "v1", resource: "services", namespace, name });
      const { items } = await client.list(
        { group: "discovery.k8s.io", version: "v1", resource: "endpointslices" },
        { namespace, labelSelector: `kubernetes.io/service-name=${name}` },
      );
      return { service, slices: items };
    } catch (error) {
      if (isStatus(error, "NotFound")) return { slices: [] };
      throw error;
    }
  }

  /** Local APIServices for what this server serves. */
  async #keep(): Promise<Outcome> {
    const { client, catalog, isCustom } = this.#options;
    const served = new Map<string, GroupVersion>();
    for (const { group, version } of catalog.all())
      served.set(`${version}.${group}`, { group, version, custom: isCustom(group, version) });
    const { create, remove } = keepLocal([...served.values()], this.#informer.list());
    await Promise.all([
      ...create.map((service) =>
        this.#quietly(client.create({ ...apiServices, name: service.metadata.name ?? "" }, service), "AlreadyExists"),
      ),
      ...remove.map((name) => this.#quietly(client.delete({ ...apiServices, name }), "NotFound")),
    ]);
    return undefined;
  }

  async #quietly(written: Promise<unknown>, but: "AlreadyExists" | "NotFound"): Promise<void> {
    try {
      await written;
    } catch (error) {
      if (!isStatus(error, but)) throw error;
    }
  }
}
