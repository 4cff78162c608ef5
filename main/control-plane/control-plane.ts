/**
 * A whole control plane in one process: store, API server, controllers, scheduler. They know each other
 * only by the interfaces they are given here.
 */
import { join } from "node:path";
import { StatusError } from "../../common/kube/status.ts";
import { MetricsRegistry } from "../../common/kube/metrics.ts";
import { Aggregator } from "./aggregation/aggregator.ts";
import { Catalog } from "./api/catalog.ts";
import type { ApiEnvironment, HealthCheck } from "./api/environment.ts";
import { bootstrap } from "./api/bootstrap.ts";
import { startCompaction } from "./api/compaction.ts";
import { ApiServer } from "./api/http/server.ts";
import { createLog } from "./api/log.ts";
import type { Level } from "./api/log.ts";
import { feedReader } from "./api/reader-feed.ts";
import type { RegistryContext } from "./api/registry/context.ts";
import { addIndexes } from "./api/registry/indexes.ts";
import { listObjects } from "./api/registry/read.ts";
import { decodeShared } from "./api/stored.ts";
import { KubeletProxy } from "./api/streaming/kubelet-proxy.ts";
import { admit, builtinChain, intercept, validateAdmission } from "./admission/index.ts";
import { closeWebhookConnections } from "./outbound/webhook-client.ts";
import { Audit } from "./audit/index.ts";
import { LogFile } from "./audit/log-file.ts";
import type { LogFileOptions } from "./audit/log-file.ts";
import type { Policy } from "./audit/policy.ts";
import { createAuth } from "./auth/index.ts";
import { InProcessClient } from "./client/in-process.ts";
import { CustomResources } from "./custom-resources/controller.ts";
import { becauseOf } from "./explain/cause.ts";
import { createExplain } from "./explain/index.ts";
import { Fairness } from "./fairness/index.ts";
import { CollectionSizes } from "./fairness/sizes.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import {
  aggregationMetrics,
  clientMetrics,
  fairnessMetrics,
  leaderMetrics,
  queueMetrics,
  schedulerMetrics,
} from "./metrics/parts.ts";
import { processMetrics } from "./metrics/process.ts";
import { RequestMetrics } from "./metrics/requests.ts";
import { countObjects, measuredStore } from "./metrics/store.ts";
import { componentStatuses } from "./resources/core/component-status.ts";
import { metricsDefinitions } from "./metrics-api/index.ts";
import type { MetricsApi } from "./metrics-api/index.ts";
import { UsageSource } from "./metrics-api/source.ts";
import { podDial } from "./outbound/pods.ts";
import { ensurePki } from "./pki/index.ts";
import { startReplica } from "./replica.ts";
import { groupResource } from "./resources/reader.ts";
import { ServiceAllocator, builtinResources } from "./resources/index.ts";
import { virtualHandlers } from "./resources/virtual/index.ts";
import { readConfiguration } from "./scheduler/profiles.ts";
import type { RunningSimulation } from "./simulated-nodes/index.ts";
import { openSqliteStore } from "./store/sqlite.ts";

export interface ControlPlaneOptions {
  /** Folder of the store and the PKI; made when it is not there. */
  data: string;
  /** 0: any free one. */
  port: number;
  /** Where the administrator's kubeconfig is written. */
  kubeconfig: string;
  /** Nodes that only pretend: how many, or their names. */
  simulatedNodes?: number | string[];
  /** How they and their Pods behave: a Simulation, as text, and the name of its file for messages. */
  simulation?: { text: string; file: string };
  /** The address by which nodes reach this server. Default 10.0.2.2. */
  advertiseAddress?: string;
  /** Unix socket of the proxy to the kubelets. */
  kubeletEgress?: string;
  /** Which controllers run, as kube-controller-manager takes it: names, "*", "-name". Default all. */
  controllers?: string[];
  /** A KubeSchedulerConfiguration, as text. Default: one profile with every plug-in. */
  schedulerConfiguration?: string;
  log?: Level;
  /** Priority and fairness. Default true. */
  fairness?: boolean;
  /** The audit log; nothing is written without a policy. */
  audit?: { policy: Policy } & Omit<LogFileOptions, "failed">;
}

export interface ControlPlane {
  port: number;
  url: string;
  /** The administrator's, with every right. */
  client: InProcessClient;
  /** Stops what changes things, then what answers, then the store. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
/** The host as a QEMU guest sees it over user networking. */
const GUEST_VIEW = "10.0.2.2";
const SERVICE_ADDRESS = "10.96.0.1";
const MASTERS = "system:masters";

/** Resolves when requests are answered and the cluster's first objects are there. Throws StoreFileError and what listening throws. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const log = createLog(options.log ?? "warn");
  const { schedulerConfiguration } = options;
  const configuration = schedulerConfiguration === undefined ? undefined : readConfiguration(schedulerConfiguration);
  // Loaded by those who want it: it costs memory.
  const simulated = options.simulatedNodes === undefined ? undefined : await import("./simulated-nodes/index.ts");
  const { simulation } = options;
  const rules = simulation && simulated?.readSimulation(simulation.text, simulation.file);
  const advertiseAddress = options.advertiseAddress ?? GUEST_VIEW;
  const figures = new MetricsRegistry();
  const [pki, plainStore] = await Promise.all([
    ensurePki(join(options.data, "pki"), [advertiseAddress]),
    openSqliteStore({ directory: options.data }),
  ]);
  const store = measuredStore(plainStore, figures);
  const services = new ServiceAllocator();
  const explain = createExplain();
  const usage: { api?: MetricsApi } = {};
  const catalog = new Catalog([
    ...builtinResources({ services }),
    ...explain.definitions,
    ...metricsDefinitions(() => {
      if (!usage.api) throw new StatusError("ServiceUnavailable", "metrics are not there yet");
      return usage.api;
    }),
    componentStatuses(() => ({
      reader: fed.reader,
      askStore: () => store.get("componentstatuses/"),
      now: Date.now,
    })),
  ]);
  const indexed = addIndexes(store, catalog);
  const failures: string[] = [];
  let bootstrapped = false;
  let stopping = false;
  const fed = await feedReader(store, catalog, (error) => failures.push(error.message));
  const auth = await createAuth({ reader: fed.reader, serviceAccountKey: pki.serviceAccountKey });
  const dial = podDial(
    () => fed.reader,
    () => kubelets,
    options.kubeletEgress !== undefined,
  );
  const chain = builtinChain({
    reader: fed.reader,
    rbac: auth.rbac,
    client: () => client,
    served: catalog,
    decide: auth.decide,
    dial,
  });
  const registry: RegistryContext = {
    store,
    admission: {
      mutate: (request) => admit(chain, request),
      validate: (request) => validateAdmission(chain, request),
      intercept: (request) => intercept(chain, request),
    },
    now: () => new Date(),
    observe: (write) => {
      try {
        explain.recorder.observe(write);
      } catch (error) {
        // The write is durable by now: that nothing is told of it must not make it look refused.
        log.error({ error: error instanceof Error ? error.stack : String(error) }, "a write could not be explained");
      }
    },
  };
  const serviceDefinition = catalog.find("", "v1", "services");
  if (serviceDefinition) {
    const { items } = await listObjects(registry, serviceDefinition, undefined, {});
    services.rebuild(items.map(decodeShared));
  }
  const clientOf = (name: string, on: RegistryContext = registry): InProcessClient =>
    new InProcessClient({
      catalog,
      registry: on,
      user: { name, groups: [MASTERS, "system:authenticated"] },
      fieldManager: name.replace(/^system:/, ""),
      handlers: () => handlers,
    });
  const client = clientOf("system:apiserver");
  const nobodyAsked = async (): Promise<void> => undefined;
  const unadmitted = clientOf("system:apiserver", {
    ...registry,
    admission: { mutate: nobodyAsked, validate: nobodyAsked },
  });
  const handlers = virtualHandlers({ reader: fed.reader, auth, client, unadmitted });
  const kubelets = new KubeletProxy({
    egress: options.kubeletEgress,
    ca: pki.ca.certificate,
    certificate: pki.kubeletClient.certificate,
    key: pki.kubeletClient.key,
  });
  const real = new UsageSource(kubelets);
  let pretending: RunningSimulation | undefined;
  usage.api = {
    source: { usage: async (node) => pretending?.usage(node) ?? real.usage(node) },
    reader: fed.reader,
  };
  const auditLog =
    options.audit &&
    new LogFile({ ...options.audit, failed: ({ message }) => log.error({ error: message }, "the audit log failed") });
  const environment: ApiEnvironment = {
    catalog,
    registry,
    reader: fed.reader,
    authenticator: auth.authenticator,
    authorizer: auth.authorizer,
    tokens: auth.tokens,
    handlers,
    kubelets,
    ...(options.audit && auditLog ? { audit: new Audit(options.audit.policy, (event) => auditLog.write(event)) } : {}),
    ...(options.fairness === false ? {} : { fairness: new Fairness({ reader: fed.reader }) }),
    sizes: new CollectionSizes((resource) => store.count(`${resource}/`)),
    log,
    metrics: new RequestMetrics(figures),
    checks: new Map<string, HealthCheck>([
      // Clients know the store's check by the name of Kubernetes' own.
      ["etcd", { of: ["healthz", "livez", "readyz"], check: () => failures[0] }],
      ["etcd-readiness", { of: ["readyz"], check: () => failures[0] }],
      // The reader is fed before anybody can ask.
      ["informer-sync", { of: ["readyz"], check: () => undefined }],
      [
        "poststarthook/rbac/bootstrap-roles",
        {
          of: ["healthz", "livez", "readyz"],
          check: () => (bootstrapped ? undefined : "the cluster's first objects are not there yet"),
        },
      ],
      ["shutdown", { of: ["readyz"], check: () => (stopping ? "the server is stopping" : undefined) }],
    ]),
  };
  processMetrics(figures);
  countObjects(store, figures, () =>
    catalog
      .all()
      .filter(({ virtual, computed }) => !virtual && !computed)
      .map((definition) => groupResource(definition.storedAs ?? definition)),
  );
  if (environment.fairness) fairnessMetrics(figures, environment.fairness);
  const metered = clientMetrics(figures);
  const scheduling = schedulerMetrics(figures);
  const customResources = new CustomResources({ client, catalog, dial, log: (text) => log.warn(text) });
  await customResources.start();
  const aggregator = new Aggregator({
    client,
    catalog,
    dial,
    certificate: pki.frontProxyClient,
    isCustom: (group, version) => customResources.serves(group, version),
    log: (text) => log.warn(text),
  });
  await aggregator.start();
  environment.aggregator = aggregator;
  aggregationMetrics(figures, aggregator);
  const server = new ApiServer({ environment, certificate: pki.apiserver, clientAuthority: pki.ca.certificate });
  await indexed;
  const port = await server.listen(options.port, HOST);
  const url = `https://${HOST}:${port}`;
  await bootstrap({ client, catalog, pki, advertiseAddress, port, serviceAddress: SERVICE_ADDRESS });
  bootstrapped = true;
  const line = (text: string): void => log.warn(text);
  const replica = await startReplica({
    clients: {
      manager: metered(clientOf("system:kube-controller-manager")),
      scheduler: metered(clientOf("system:kube-scheduler")),
    },
    ca: pki.ca,
    issueToken: async (account, secret) =>
      (await auth.tokens.issue(account, { bound: { kind: "Secret", ...secret } })).token,
    resources: () => catalog.all(),
    observeQueue: queueMetrics(figures),
    observer: scheduling.observer,
    ...(options.controllers ? { controllers: options.controllers } : {}),
    served: ({ group, version, resource }) => catalog.find(group, version, resource) !== undefined,
    // The store is a file of this process: a holder that is found there is what a crash left.
    alone: true,
    ...(configuration ? { configuration } : {}),
    around: becauseOf,
    scheduling: (view, pods) => {
      const ends = [explain.attach(view, pods), scheduling.attach(view)];
      return () => ends.forEach((end) => end());
    },
    log: line,
  });
  leaderMetrics(figures, { "kube-controller-manager": replica.controllers, "kube-scheduler": replica.scheduler });
  const parts: { stop(): Promise<void> | void }[] = [
    aggregator,
    customResources,
    replica,
    startCompaction(store, (error) => log.error({ error: error.message }, "compaction failed")),
  ];
  if (simulated && options.simulatedNodes !== undefined) {
    const hold = replica.informers.take();
    const running = await simulated.startSimulatedNodes({
      client: clientOf("system:simulated-nodes"),
      nodes: options.simulatedNodes,
      informers: hold.factory,
      ...(rules ? { simulation: rules } : {}),
      log: line,
    });
    pretending = running;
    parts.push({ stop: () => running.stop().then(() => hold.leave()) });
  }
  await writeKubeconfig(options.kubeconfig, pki, url);
  return {
    port,
    url,
    client,
    stop: async () => {
      stopping = true;
      await Promise.all(parts.map((part) => part.stop()));
      await server.close();
      await auditLog?.close();
      closeWebhookConnections();
      fed.close();
      await store.close();
      log.flush();
    },
  };
}
