/** The node once it knows who it is: joins the cluster, then runs kubelet, service proxy, DNS and the kubelet's API. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import type { Client } from "../../common/kube/client.ts";
import type { ConfigMap, EndpointSlice, Node, Service } from "../../common/kube/types.ts";
import { isStatus } from "../../common/kube/status.ts";
import { KUBELET_PORT } from "../../common/node/identity.ts";
import { LOCAL_DISK_FOLDER } from "../../common/node/storage.ts";
import type { AgentStage, NodeIdentity } from "../../common/node/identity.ts";
import { KubeClient } from "./api/kube-client.ts";
import { createObjectReader } from "./api/object-reader.ts";
import { Watched } from "./api/watched.ts";
import { sleep } from "./command.ts";
import type { RunCommand } from "./command.ts";
import { DNS_CONFIG, useCorefile } from "./dns/config-map.ts";
import { clusterData } from "./dns/cluster-data.ts";
import { DnsServer } from "./dns/server.ts";
import { Upstream } from "./dns/upstream.ts";
import {
  CertificateStore,
  CLIENT_SIGNER,
  newPrivateKey,
  nodeSubject,
  renewalTime,
  requestCertificate,
  SERVING_SIGNER,
} from "./join/join.ts";
import type { KeyPair } from "./join/join.ts";
import { EvictionManager } from "./eviction/eviction.ts";
import type { KubeletContext } from "./kubelet/context.ts";
import { podUid } from "./kubelet/pod.ts";
import { EventRecorder } from "./kubelet/events.ts";
import { Images } from "./kubelet/images.ts";
import { PulledImages } from "./kubelet/pulled-images.ts";
import { Killer } from "./kubelet/killer.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { Probes } from "./kubelet/probes.ts";
import type { SandboxPool } from "./kubelet/sandbox-pool.ts";
import { StatusWriter } from "./kubelet/status-writer.ts";
import type { Log } from "./log.ts";
import { CLUSTER_DEVICE, CLUSTER_MTU } from "./machine/become.ts";
import { machineFacts } from "./machine/facts.ts";
import type { MachineFacts } from "./machine/facts.ts";
import { nodeHealth } from "./machine/health.ts";
import { parseCidr } from "./network/address.ts";
import { PodNetwork } from "./network/pod-network.ts";
import { Routes, wantedRoutes } from "./network/routes.ts";
import { allocatable, MAX_PODS, nodeStatus } from "./node/node-object.ts";
import { Registration } from "./node/registration.ts";
import { RuntimeState } from "./node/runtime-state.ts";
import { PolicyEnforcer } from "./policy/enforcer.ts";
import { hostPorts } from "./proxy/host-ports.ts";
import { ServiceProxy } from "./proxy/proxy.ts";
import type { RuntimeCache } from "./runtime/runtime-cache.ts";
import type { Runtime, RuntimeContainer } from "./runtime/runtime.ts";
import { KubeletServer } from "./server/server.ts";
import { Collector } from "./stats/collect.ts";
import { Volumes } from "./volumes/volumes.ts";

const RETRY = 1000;
/** A machine that is shut down does not wait longer for the API server. */
const STATUS_PATIENCE = 3000;
const TOKEN_PATIENCE = 15_000;

/** Joining waits for the host to give a bootstrap token. */
class NoTokenError extends Error {}

const NETWORK_MISSING =
  "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:the node has no podCIDR yet";

export interface NodeAgentOptions {
  identity: NodeIdentity;
  runtime: Runtime;
  cache: RuntimeCache;
  pool: SandboxPool;
  dockerVersion: string;
  stateFolder: string;
  /** For secrets: in memory. */
  memoryFolder: string;
  log: Log;
  run: RunCommand;
  /** The first life of a new node: nothing of a former agent is there to be found. */
  fresh: boolean;
  /** Resolves when the node is on the cluster's network; joining goes on beside it. */
  networkReady: Promise<unknown>;
  /** Default: newPrivateKey. */
  newKey?: () => string;
  ports?: { kubelet: number; dns: number; dnsAddress: string };
  /** Makes a registry on the developer's computer reachable before an image of it is pulled. */
  reachRegistry(image: string): Promise<void>;
  enter(stage: AgentStage, message?: string): void;
  /** Something that the host must help with. */
  failed(code: string, message: string): void;
  signal: AbortSignal;
}

export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #certificates: CertificateStore;
  #client: Client | undefined;
  #facts: MachineFacts | undefined;
  #registration: Registration | undefined;
  #kubelet: Kubelet | undefined;
  #network: PodNetwork;
  readonly #runtimeState: RuntimeState;
  #leaving = false;
  #token: string | undefined;
  #tokenCame = Promise.withResolvers<void>();

  constructor(options: NodeAgentOptions) {
    this.#options = options;
    this.#token = options.identity.bootstrapToken;
    this.#certificates = new CertificateStore(`${options.stateFolder}/pki`);
    this.#network = new PodNetwork(options.run, options.identity.mtu ?? CLUSTER_MTU);
    this.#runtimeState = new RuntimeState(options.runtime);
  }

  /** The host has made another bootstrap token. */
  useToken(token: string): void {
    this.#token = token;
    this.#tokenCame.resolve();
    this.#tokenCame = Promise.withResolvers<void>();
  }

  /** Gets the certificates and registers the Node. Tries until the API server is there. */
  async join(): Promise<void> {
    const { identity, log, enter } = this.#options;
    enter("certificate");
    const pair = await this.#again("client certificate", () => this.#clientCertificate());
    const client = new KubeClient({
      server: identity.apiServer,
      ca: identity.caCertificate,
      certificate: pair.certificate,
      key: pair.key,
    });
    this.#client = client;
    this.#options.signal.addEventListener("abort", () => client.close(), { once: true });
    enter("registering");
    this.#facts = await machineFacts();
    this.#registration = new Registration(client, identity, (previous) => this.#status(previous), log);
    await this.#again("registering", () => (this.#registration as Registration).register(this.#options.signal));
    void this.#restartBefore(renewalTime(pair.certificate));
  }

  /** Runs everything; resolves when the node has told that it is Ready. */
  async ready(): Promise<void> {
    const { identity, run, log, signal, runtime, cache, pool, networkReady } = this.#options;
    const client = this.#client as Client;
    const registration = this.#registration as Registration;
    const facts = this.#facts as MachineFacts;
    const nodes = new Watched<Node>(client, { group: "", version: "v1", resource: "nodes" }, {}, log);
    const services = new Watched<Service>(client, { group: "", version: "v1", resource: "services" }, {}, log);
    const slices = new Watched<EndpointSlice>(
      client,
      { group: "discovery.k8s.io", version: "v1", resource: "endpointslices" },
      {},
      log,
    );
    const routes = new Routes(run, CLUSTER_DEVICE);
    const addressed = Promise.withResolvers<void>();
    nodes.onChange(() => {
      const block = nodes.get(identity.nodeName)?.spec?.podCIDR;
      if (block && !this.#network.ready) {
        this.#network.open(parseCidr(block), this.#options.fresh).then(
          () => addressed.resolve(),
          (error: unknown) => log.error("network", "opening", error),
        );
      }
      if (nodes.synced)
        routes
          .apply(wantedRoutes(nodes.items(), identity.nodeName))
          .catch((error: unknown) => log.error("network", "routes", error));
    });

    const pulled = await PulledImages.open(join(this.#options.stateFolder, "pulled-images.json"), (error) =>
      log.error("images", "which logins opened them", error),
    );
    const images = new Images(runtime, pulled);
    const events = new EventRecorder(client, identity.nodeName, log);
    const killer = new Killer(runtime, cache, log);
    const probes = new Probes(
      runtime,
      (uid) => this.#kubelet?.wake(uid),
      (pod, container, message) => events.pod(pod, "Warning", "Unhealthy", message, `spec.containers{${container}}`),
      (id) => cache.get(id)?.state === "running" && !killer.isKilling(id),
    );
    const spare = allocatable(facts);
    const context: KubeletContext = {
      node: {
        name: identity.nodeName,
        address: identity.address,
        cpuMilli: spare.cpuMilli,
        memoryBytes: spare.memoryBytes,
        pods: MAX_PODS,
      },
      names: {
        clusterDNS: identity.clusterDNS,
        clusterDomain: identity.clusterDomain,
        nodeResolv: await readFile("/etc/resolv.conf", "utf8"),
        nodeHosts: await readFile("/etc/hosts", "utf8"),
      },
      client,
      runtime,
      cache,
      network: this.#network,
      images,
      events,
      killer,
      probes,
      pool,
      log,
      volumes: new Volumes(
        {
          disk: `${this.#options.stateFolder}/pods`,
          memory: this.#options.memoryFolder,
          persistent: LOCAL_DISK_FOLDER,
        },
        run,
      ),
      statuses: new StatusWriter(client, log, signal),
      objects: createObjectReader(client),
      pods: () => this.#kubelet?.pods() ?? [],
      services: (namespace) =>
        services
          .items()
          .filter(
            ({ metadata }) =>
              metadata.namespace === namespace || (metadata.namespace === "default" && metadata.name === "kubernetes"),
          ),
    };
    this.#kubelet = new Kubelet(context, client, () => nodes.get(identity.nodeName));
    const kubelet = this.#kubelet;
    const proxy = new ServiceProxy({
      identity,
      services,
      slices,
      hostPorts: () => hostPorts(kubelet.pods(), identity.address),
      run,
      log,
    });
    kubelet.onPodsChange(() => proxy.poke());
    const servers = /^nameserver\s+(\S+)/gm;
    const dns = new DnsServer(
      clusterData(identity, services, slices),
      new Upstream([...context.names.nodeResolv.matchAll(servers)].map(([, server]) => server as string)),
      log,
    );
    const dnsConfig = new Watched<ConfigMap>(
      client,
      { group: "", version: "v1", resource: "configmaps" },
      { namespace: "kube-system", fieldSelector: `metadata.name=${DNS_CONFIG}` },
      log,
    );
    dnsConfig.onChange(() => useCorefile(dns, dnsConfig.get(`kube-system/${DNS_CONFIG}`), log));
    void dnsConfig.run(signal);
    void images.refreshNames().catch((error: unknown) => log.error("images", "names", error));
    void nodes.run(signal);
    await Promise.all([addressed.promise, networkReady]);
    await registration.updateStatus();
    void services.run(signal);
    void slices.run(signal);
    void registration.run(signal);
    void kubelet.run(signal);
    // The sandboxes that wait for Pods get their network now, so that a Pod finds everything done.
    const wire = (sandbox: RuntimeContainer): void =>
      void this.#network.attach(sandbox.id, sandbox.pid).catch((error: unknown) => log.error("pool", "network", error));
    pool.onFilled = wire;
    for (const sandbox of pool.ready()) wire(sandbox);
    pool.fillSoon();
    void proxy.run(nodes.get(identity.nodeName)?.spec?.podCIDR ?? "", signal);
    const stats = new Collector({ cache, volumes: context.volumes, run, pods: () => kubelet.pods() });
    const eviction = new EvictionManager({
      collector: stats,
      runtime,
      cache,
      events,
      log,
      health: nodeHealth,
      pods: () => kubelet.pods(),
      evict: (pod, message) => kubelet.evict(podUid(pod), message),
      changed: () => void registration.updateStatus(),
    });
    void eviction.run(signal);
    const enforcer = new PolicyEnforcer({
      client,
      nodeName: identity.nodeName,
      clusterDNS: identity.clusterDNS,
      run,
      log,
    });
    enforcer.run(signal).catch((error: unknown) => log.error("policy", "ended", error));
    const { dnsAddress = identity.clusterDNS, dns: dnsPort = 53 } = this.#options.ports ?? {};
    void this.#again("DNS", () => dns.listen(dnsAddress, dnsPort));
    signal.addEventListener("abort", () => dns.close(), { once: true });
    void this.#again("kubelet API", () => this.#serve(kubelet, images, stats));
  }

  /** The kubelet's own API, with a serving certificate that is renewed in time. */
  async #serve(kubelet: Kubelet, images: Images, stats: Collector): Promise<void> {
    const { identity, runtime, cache, log, signal } = this.#options;
    let certificate = await this.#servingCertificate();
    const server = new KubeletServer({
      port: this.#options.ports?.kubelet ?? KUBELET_PORT,
      ca: identity.caCertificate,
      certificate,
      runtime,
      cache,
      log,
      nodeAddress: identity.address,
      nodeName: identity.nodeName,
      stats,
      pods: () => kubelet.pods(),
      find: (namespace, name) => kubelet.find(namespace, name),
      reachRegistry: (image) => this.#options.reachRegistry(image),
      podIP: (sandboxId) => this.#network.address(sandboxId),
      imagesChanged: () => {
        images.forget();
        void images.refreshNames().then(
          () => kubelet.wakeAll(),
          (error: unknown) => log.error("images", "names", error),
        );
        void this.#registration?.updateStatus();
      },
    });
    await server.listen();
    signal.addEventListener("abort", () => server.close(), { once: true });
    log.info("server", `listening on ${KUBELET_PORT}`);
    void (async () => {
      for (;;) {
        const renewAt = renewalTime(certificate.certificate);
        while (Date.now() < renewAt && !signal.aborted) await sleep(Math.min(renewAt - Date.now(), 3_600_000), signal);
        if (signal.aborted) return;
        certificate = await this.#again("serving certificate", () => this.#servingCertificate());
        server.renew(certificate);
      }
    })();
  }

  /** Tells that no more Pods are to come, then ends those there are. */
  async shutdown(graceSeconds: number, leaving: boolean): Promise<void> {
    this.#leaving = leaving;
    if (leaving) await Promise.race([this.#registration?.updateStatus(), sleep(STATUS_PATIENCE)]);
    await this.#kubelet?.shutdown(graceSeconds, leaving);
  }

  /** The machine has changed (its disk has grown): the Node tells of it. */
  async lookAgain(): Promise<void> {
    this.#facts = await machineFacts();
    await this.#registration?.updateStatus();
  }

  async #status(previous: Node["status"]): Promise<NonNullable<Node["status"]>> {
    const { identity, dockerVersion } = this.#options;
    const facts = this.#facts as MachineFacts;
    const [{ images, isDown }, health] = await Promise.all([this.#runtimeState.look(), nodeHealth()]);
    const notReady = isDown
      ? "container runtime is down"
      : this.#leaving
        ? "node is shutting down"
        : this.#network.ready
          ? undefined
          : NETWORK_MISSING;
    return nodeStatus(identity, facts, dockerVersion, images, { ...health, notReady }, previous, Date.now());
  }

  async #clientCertificate(): Promise<KeyPair> {
    const { identity, signal } = this.#options;
    const subject = nodeSubject(identity.nodeName);
    const kept = await this.#certificates.load(
      "client",
      (certificate) => certificate.subject.includes(`CN=${subject.commonName}`) && this.#signedByOurs(certificate),
    );
    if (kept) return kept;
    const token = this.#token;
    if (!token) throw new NoTokenError("the node has no certificate and was given no bootstrap token");
    const client = new KubeClient({ server: identity.apiServer, ca: identity.caCertificate, token });
    try {
      const pair = await requestCertificate(
        client,
        CLIENT_SIGNER.name,
        CLIENT_SIGNER.usages,
        subject,
        this.#newKey(),
        signal,
      );
      await this.#certificates.save("client", pair);
      return pair;
    } catch (error) {
      // Used up, or too old: only another one helps.
      if (isStatus(error, "Unauthorized") && this.#token === token) this.#token = undefined;
      throw error;
    } finally {
      client.close();
    }
  }

  /** A certificate of a former cluster is of no use. */
  #signedByOurs(certificate: X509Certificate): boolean {
    return certificate.verify(new X509Certificate(this.#options.identity.caCertificate).publicKey);
  }

  /** The certificate of the kubelet's API. */
  async #servingCertificate(): Promise<KeyPair> {
    const { identity, signal } = this.#options;
    const subject = { ...nodeSubject(identity.nodeName), dnsNames: [identity.nodeName], addresses: [identity.address] };
    const kept = await this.#certificates.load(
      "serving",
      (certificate) => certificate.checkIP(identity.address) !== undefined && this.#signedByOurs(certificate),
    );
    if (kept) return kept;
    const pair = await requestCertificate(
      this.#client as Client,
      SERVING_SIGNER.name,
      SERVING_SIGNER.usages,
      subject,
      this.#newKey(),
      signal,
    );
    await this.#certificates.save("serving", pair);
    return pair;
  }

  /** Asks for a new client certificate in time, and lets init start the agent again with it. */
  async #restartBefore(time: number): Promise<void> {
    while (Date.now() < time && !this.#options.signal.aborted)
      await sleep(Math.min(time - Date.now(), 3_600_000), this.#options.signal);
    if (this.#options.signal.aborted) return;
    const { identity, signal } = this.#options;
    const pair = await this.#again("renewing the certificate", () =>
      requestCertificate(
        this.#client as Client,
        CLIENT_SIGNER.name,
        CLIENT_SIGNER.usages,
        nodeSubject(identity.nodeName),
        this.#newKey(),
        signal,
      ),
    );
    await this.#certificates.save("client", pair);
    process.exit(0);
  }

  #newKey(): string {
    return (this.#options.newKey ?? newPrivateKey)();
  }

  async #again<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (this.#options.signal.aborted) throw error;
        this.#options.log.error("join", what, error);
        if (error instanceof NoTokenError) {
          this.#options.failed("CERTIFICATE", error.message);
          await Promise.race([this.#tokenCame.promise, sleep(TOKEN_PATIENCE, this.#options.signal)]);
          continue;
        }
        if (isStatus(error, "Unauthorized", "Forbidden")) await sleep(RETRY, this.#options.signal);
        await sleep(RETRY, this.#options.signal);
      }
    }
  }
}
