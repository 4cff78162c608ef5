/** What every part of the kubelet works with. */
import type { Client } from "../../../common/kube/client.ts";
import type {
  ConfigMap,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
} from "../../../common/kube/types.ts";
import type { Log } from "../log.ts";
import type { PodNetwork } from "../network/pod-network.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Volumes } from "../volumes/volumes.ts";
import type { EventRecorder } from "./events.ts";
import type { Images } from "./images.ts";
import type { Killer } from "./killer.ts";
import type { ClusterNames } from "./network-files.ts";
import type { Probes } from "./probes.ts";
import type { SandboxPool } from "./sandbox-pool.ts";
import type { StatusWriter } from "./status-writer.ts";

export interface NodeInfo {
  name: string;
  /** The node's InternalIP. */
  address: string;
  cpuMilli: number;
  memoryBytes: number;
  /** How many Pods it takes. */
  pods: number;
}

/** Reads of the API that Pods need, each fresh within a few seconds. undefined: there is none. */
export interface ObjectReader {
  /** What is read next of this namespace is fresh. */
  forget(namespace: string): void;
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  claim(namespace: string, name: string): Promise<PersistentVolumeClaim | undefined>;
  persistentVolume(name: string): Promise<PersistentVolume | undefined>;
  /** The handler that a RuntimeClass names. */
  runtimeHandler(runtimeClass: string): Promise<string | undefined>;
  token(
    pod: { namespace: string; name: string; uid: string },
    serviceAccount: string,
    audience: string | undefined,
    expirationSeconds: number,
  ): Promise<string>;
}

export interface KubeletContext {
  node: NodeInfo;
  names: ClusterNames;
  client: Client;
  runtime: Runtime;
  cache: RuntimeCache;
  network: PodNetwork;
  volumes: Volumes;
  images: Images;
  events: EventRecorder;
  killer: Killer;
  probes: Probes;
  pool: SandboxPool;
  statuses: StatusWriter;
  objects: ObjectReader;
  /** All Pods of this node. */
  pods(): Pod[];
  /** Services a Pod of this namespace learns of through its environment. */
  services(namespace: string): Service[];
  log: Log;
}
