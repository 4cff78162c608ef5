/** All controllers of the control plane, started together over one set of informers. */
import type { Client } from "../../../common/kube/client.ts";
import type { QueueObserver } from "../../../common/kube/workqueue.ts";
import { systemClock } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { InformerFactory } from "../../../common/kube/informer.ts";
import type { KeyAndCertificate } from "../pki/keys.ts";
import { bootstrapTokenController } from "./bootstrap-token.ts";
import { certificateController } from "./certificates/index.ts";
import { clusterRoleAggregation } from "./cluster-role-aggregation/index.ts";
import { admissionPolicyStatus, flowSchemaStatus } from "./configuration-status.ts";
import { cronJobController } from "./cronjob/index.ts";
import { daemonSetController } from "./daemonset/index.ts";
import { deploymentController } from "./deployment/index.ts";
import { disruptionController } from "./disruption/index.ts";
import { endpointSliceController, endpointsController } from "./endpoints/index.ts";
import { endpointSliceMirroring } from "./endpoints/mirror.ts";
import { ephemeralVolumeController } from "./ephemeral-volume/index.ts";
import { garbageCollector } from "./garbage-collector/index.ts";
import { ingressController } from "./ingress/index.ts";
import { horizontalPodAutoscaler } from "./horizontal-pod-autoscaler/index.ts";
import { jobController } from "./job/index.ts";
import { runController, text } from "./kernel/controller.ts";
import type { ControllerContext, ControllerDefinition, IssueToken, ResourceInfo } from "./kernel/controller.ts";
import { loadBalancerController } from "./load-balancer.ts";
import { namespaceController } from "./namespace/index.ts";
import { nodeIpamController } from "./node-ipam.ts";
import { nodeLifecycleController } from "./node-lifecycle/index.ts";
import { taintEvictionController } from "./node-lifecycle/taint-eviction.ts";
import { persistentVolumeBinder } from "./persistent-volume/index.ts";
import { claimProtection, volumeProtection } from "./persistent-volume/protection.ts";
import { nodeTtlController } from "./node-ttl.ts";
import { podGarbageController } from "./pod-gc.ts";
import { replicaSetController, replicationController } from "./replicaset/index.ts";
import { resourceQuotaController } from "./resource-quota/index.ts";
import { rootCaController } from "./root-ca.ts";
import { serviceAccountController } from "./service-account/index.ts";
import { tokensController } from "./service-account/tokens.ts";
import { statefulSetController } from "./statefulset/index.ts";
import { systemNamespacesController } from "./system-namespaces.ts";
import { volumeProvisioner } from "./volume-provisioner/index.ts";

export type { IssueToken, ResourceInfo } from "./kernel/controller.ts";

export interface ControllersOptions {
  client: Client;
  ca: KeyAndCertificate;
  /** Makes tokens that last, for Secrets which ask for one. Default: they get none. */
  issueToken?: IssueToken;
  /** Everything the API server serves at present; asked again now and then, for resources that come later. */
  resources(): readonly ResourceInfo[];
  /** Default 10.244.0.0/16, a /24 for each node. */
  clusterCIDR?: string;
  nodePrefixLength?: number;
  /** Shared with the scheduler, where they run together: whoever made it stops it, and it may serve again. Default: its own. */
  informers?: InformerFactory;
  clock?: Clock;
  random?(): number;
  /** Lines for the operator. Default: silence. */
  log?(line: string): void;
  /** Names of controllers to run; default all. */
  only?: readonly string[];
  /** Who keeps a queue's figures. */
  observeQueue?: (name: string) => QueueObserver;
  /** As kube-controller-manager's --controllers; default all. */
  wanted?: readonly string[];
}

function definitions(options: ControllersOptions): ControllerDefinition[] {
  return [
    namespaceController,
    systemNamespacesController,
    serviceAccountController,
    tokensController,
    rootCaController,
    nodeIpamController(options.clusterCIDR ?? "10.244.0.0/16", options.nodePrefixLength ?? 24),
    certificateController,
    bootstrapTokenController,
    clusterRoleAggregation,
    admissionPolicyStatus,
    flowSchemaStatus,
    replicaSetController,
    replicationController,
    deploymentController,
    daemonSetController,
    statefulSetController,
    jobController,
    cronJobController,
    disruptionController,
    endpointSliceController,
    endpointsController,
    endpointSliceMirroring,
    nodeLifecycleController,
    nodeTtlController,
    taintEvictionController,
    podGarbageController,
    resourceQuotaController,
    horizontalPodAutoscaler,
    persistentVolumeBinder,
    claimProtection,
    volumeProtection,
    volumeProvisioner,
    loadBalancerController,
    ephemeralVolumeController,
    ingressController,
    // Last: what the others follow in full it shares with them.
    garbageCollector,
  ];
}

export interface RunningControllers {
  /** Resolves when all have seen the cluster once and work. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** As kube-controller-manager reads its --controllers. */
export function isWanted(name: string, list: readonly string[]): boolean {
  if (list.includes(`-${name}`)) return false;
  return list.includes(name) || list.includes("*");
}

export function startControllers(options: ControllersOptions): RunningControllers {
  const clock = options.clock ?? systemClock;
  const log = options.log ?? ((): void => undefined);
  const informers =
    options.informers ??
    new InformerFactory(options.client, {
      clock,
      failed: (gvr, error) => log(`informer of ${gvr.resource}: ${text(error)}`),
    });
  const context: ControllerContext = {
    client: options.client,
    informers,
    clock,
    random: options.random ?? Math.random,
    log,
    ca: options.ca,
    resources: () => options.resources(),
    ...(options.issueToken ? { issueToken: options.issueToken } : {}),
    ...(options.observeQueue ? { observeQueue: options.observeQueue } : {}),
  };
  const ready = Promise.withResolvers<void>();
  const running = definitions(options)
    .filter(({ name }) => options.only?.includes(name) ?? true)
    .filter(({ name }) => isWanted(name, options.wanted ?? ["*"]))
    .map((definition) => runController(definition, context, ready.promise));
  informers.start();
  void informers.synced().then(() => ready.resolve());
  return {
    ready: ready.promise,
    stop: async () => {
      ready.resolve();
      await Promise.all(running.map((controller) => controller.stop()));
      if (!options.informers) await informers.stop();
    },
  };
}
