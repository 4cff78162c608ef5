/**
 * What passes between the host and a node's agent over the virtio-serial port `drydock.agent` (under Lima over SSH):
 * one JSON object per line, in both directions. The host side may connect, vanish and connect again
 * at any time (a restarted engine); the agent answers `hello` to every `ping`.
 */

/** Who a machine is to become. Sent once to a fresh clone, and again (the same) after every cold boot. */
export interface NodeIdentity {
  clusterName: string;
  nodeName: string;
  role: "master" | "worker";
  /** The node's address on the cluster's own network, e.g. "10.240.0.11". */
  address: string;
  prefixLength: number;
  /** Of the cluster's network, bytes; default 9000. */
  mtu?: number;
  /** e.g. "https://10.0.2.2:40123": where the guest reaches the API server. */
  apiServer: string;
  /** PEM. */
  caCertificate: string;
  /** "id.secret" (bootstrap.kubernetes.io/token): good for one CSR. Absent when the node has its certificate already. */
  bootstrapToken?: string;
  clusterCIDR: string;
  serviceCIDR: string;
  clusterDNS: string;
  clusterDomain: string;
  labels: Record<string, string>;
  taints: { key: string; value?: string; effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute" }[];
  /** Folders of the developer's computer that are mounted before the first Pod starts. */
  hostFolders?: HostFolder[];
  /** The host's clock, Unix milliseconds: clones wake with the template's. */
  unixMillis: number;
  /** Base64, 64 bytes of the host's randomness to stir into the clone's pool. */
  entropy: string;
}

/** A folder of the developer's computer, shared by NFS version 3. */
export interface HostFolder {
  /** Where it is mounted on the node. */
  path: string;
  /** Of the host. */
  port: number;
  /** "/" and an unguessable name. */
  export: string;
  readOnly: boolean;
}

/** The host's cache of container images, an HTTPS proxy that answers in the registries' names. */
export interface ImageProxy {
  /** e.g. "10.0.2.2:40125". */
  address: string;
  /** Of user "drydock", for Proxy-Authorization. */
  password: string;
  /** PEM: the authority of the certificates it shows. */
  caCertificate: string;
}

/** Where Docker on a node finds its agent, which leads it to the host's cache or, without one, to the registry. */
export const IMAGE_PROXY_PORT = 10253;

export type HostMessage =
  | { type: "ping" }
  | { type: "identity"; identity: NodeIdentity }
  /** After the host slept or a node resumed. */
  | { type: "clock"; unixMillis: number }
  /**
   * Stop Pods in order, then power off. `leaving`: the cluster goes on without this node, so its Pods are ended for good and
   * their controllers put others elsewhere; without it they go on when the node comes back.
   */
  | { type: "shutdown"; gracePeriodSeconds: number; leaving?: boolean }
  /** The way to registries: each time a node comes up, and again when it has changed. */
  | { type: "image-proxy"; proxy: ImageProxy }
  /** Their port has changed: mounted anew where it is another. */
  | { type: "host-folders"; folders: HostFolder[] }
  /** The machine's disk has grown: take the room into use. */
  | { type: "disk-grown" }
  | { type: "log"; lines: number };

export type AgentMessage =
  | { type: "hello"; agentVersion: string; imageVersion: string; stage: AgentStage; nodeName?: string }
  /** Progress after the identity came: each stage once, in order. */
  | { type: "stage"; stage: AgentStage; message?: string }
  | { type: "failure"; code: string; message: string; detail?: string }
  | { type: "log"; lines: string[] };

/** A node's way from boot to Ready. "awaiting-identity" is when the template may be frozen. */
export type AgentStage =
  | "booting"
  | "docker"
  | "images"
  | "awaiting-identity"
  | "identity"
  | "network"
  | "certificate"
  | "registering"
  | "ready"
  | "stopping";

/** What to CONNECT to on the kubelet's API for the node's own Docker. */
export const DOCKER_AUTHORITY = "docker.node.drydock:2375";

export const AGENT_PORT = "drydock.agent";
/** The kubelet API's port inside the guest. */
export const KUBELET_PORT = 10250;
