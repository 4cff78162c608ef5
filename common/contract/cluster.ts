/** Clusters and their nodes as the engine tells of them. */
import * as z from "zod";
import { Failure } from "./failure.ts";

/** RFC 1123 label, at most 40 characters: node names are `${cluster}-master-1`. */
export const ClusterName = z
  .string()
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    "must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit",
  )
  .max(40, "must be at most 40 characters");

export const Driver = z.enum(["qemu", "lima", "simulated"]);
export const AcceleratorChoice = z.enum(["auto", "kvm", "hvf", "tcg"]);

const cpus = z.int().min(1).max(32);
const memoryMiB = z.int().min(512).max(262144);
const diskGiB = z.int().min(4).max(1024);

/** What of a node's machine may be changed; what is left out stays as it is. */
export const NodeShapeChange = z.object({
  cpus: cpus.optional(),
  memoryMiB: memoryMiB.optional(),
  /** Disks only grow. */
  diskGiB: diskGiB.optional(),
});
export type NodeShapeChange = z.infer<typeof NodeShapeChange>;

/** Of a node, and never what a node stands on. */
const MOUNT_POINT = /^\/(?!(?:bin|boot|dev|etc|lib|lib64|proc|root|run|sbin|sys|tmp|usr|var)(?:\/|$))[^:\0]+$/;
const hasDots = (path: string): boolean => path.split("/").some((part) => part === ".." || part === ".");

/** A folder of this computer that every node has too, for hostPath volumes. */
export const HostMount = z.object({
  /** Absolute, on this computer. */
  host: z.string().regex(/^(\/|[A-Za-z]:\\)[^\0]*$/, "must be an absolute path of a folder on this computer"),
  /** Where nodes have it, e.g. "/data". */
  node: z
    .string()
    .regex(MOUNT_POINT, "must be an absolute path outside the node's own folders, e.g. /data")
    .refine((path) => !hasDots(path), "must be a plain path"),
  /** False: Pods may change what is in it, as you. */
  readOnly: z.boolean().default(true),
});
export type HostMount = z.infer<typeof HostMount>;

/** What the user asks for. Defaults are the one-click cluster. */
export const ClusterPlan = z
  .object({
    name: ClusterName.default("drydock"),
    masters: z.int().min(1).max(5).default(1),
    workers: z.int().min(0).max(1000).default(2),
    /** Per node. */
    cpus: cpus.default(2),
    memoryMiB: memoryMiB.default(1024),
    diskGiB: diskGiB.default(20),
    driver: Driver.default("qemu"),
    accelerator: AcceleratorChoice.default("auto"),
    /** Folders of this computer on every node. */
    mounts: z
      .array(HostMount)
      .max(20)
      .refine(
        (mounts) => new Set(mounts.map(({ node }) => node)).size === mounts.length,
        "two folders at the same place",
      )
      .default([]),
    /** How simulated nodes and their Pods behave: a Simulation (simulation.drydock.dev/v1alpha1), as text. */
    simulation: z.string().max(262_144).optional(),
  })
  .refine(({ driver, workers }) => driver === "simulated" || workers <= 50, {
    path: ["workers"],
    message: "Too big: expected number to be <=50 (more only with simulated nodes)",
  });
export type ClusterPlan = z.infer<typeof ClusterPlan>;
/** As sent by clients: every field may be left out. */
export type ClusterPlanInput = z.input<typeof ClusterPlan>;

/** One remark of the live check beside the choices. */
export const Finding = z.object({
  severity: z.enum(["ok", "warning", "error"]),
  field: z.enum([
    "name",
    "masters",
    "workers",
    "cpus",
    "memoryMiB",
    "diskGiB",
    "driver",
    "accelerator",
    "mounts",
    "image",
    "host",
    "simulation",
  ]),
  /** e.g. "3 nodes need 6 GiB of memory; 4.1 GiB are free" */
  message: z.string(),
  advice: z.string().optional(),
});
export type Finding = z.infer<typeof Finding>;

export const ClusterState = z.enum([
  "creating",
  "starting",
  "running",
  "degraded",
  "stopping",
  "stopped",
  "deleting",
  "failed",
]);
export type ClusterState = z.infer<typeof ClusterState>;

/** The machine under a node; whether Kubernetes calls the Node Ready is in `ready`. */
export const NodeSummary = z.object({
  name: z.string(),
  role: z.enum(["master", "worker"]),
  machine: z.enum(["absent", "stopped", "starting", "running", "suspended", "stopping", "failed"]),
  /** undefined: not registered yet. */
  ready: z.boolean().optional(),
  /** The agent's stage while it comes up, e.g. "certificate". */
  stage: z.string().optional(),
  address: z.string(),
  cpus: z.int(),
  memoryMiB: z.int(),
  diskGiB: z.int(),
  /** What it will have from its next start on, where that is something else. */
  next: NodeShapeChange.optional(),
  /** Private bytes of the machine's process on the host. */
  hostMemoryBytes: z.number().optional(),
  pid: z.int().optional(),
  failure: Failure.optional(),
});
export type NodeSummary = z.infer<typeof NodeSummary>;

/** What became of trusting a cluster's authority (or of taking that back). */
export const TrustReport = z.object({
  /** The authority's certificate, a file. */
  certificate: z.string(),
  /** Stores of authorities that were changed. */
  done: z.array(z.string()),
  /** Those that were not: why, and the commands that do it. */
  left: z.array(z.object({ store: z.string(), why: z.string(), commands: z.array(z.string()) })),
});
export type TrustReport = z.infer<typeof TrustReport>;

export const ClusterSummary = z.object({
  name: z.string(),
  state: ClusterState,
  plan: ClusterPlan,
  createdAt: z.string(),
  accelerator: z.enum(["kvm", "hvf", "tcg", "none"]),
  /** https://127.0.0.1:PORT while the control plane runs. */
  apiServer: z.string().optional(),
  controlPlane: z.enum(["running", "starting", "stopped", "failed"]),
  kubeconfig: z.string(),
  /** Its authority has been put into stores of this computer. */
  trusted: z.boolean(),
  nodes: z.array(NodeSummary),
  /** Loopback ports of this computer that lead to node ports. */
  nodePorts: z.array(
    z.object({
      namespace: z.string(),
      service: z.string(),
      nodePort: z.int(),
      hostPort: z.int(),
      protocol: z.string(),
    }),
  ),
  /** LoadBalancer Services: where on this computer each of their ports answers. */
  loadBalancers: z.array(
    z.object({
      namespace: z.string(),
      service: z.string(),
      /** e.g. "127.70.3.9"; "localhost" where there are no such addresses. */
      address: z.string(),
      ports: z.array(z.object({ port: z.int(), nodePort: z.int(), hostPort: z.int(), protocol: z.string() })),
    }),
  ),
  failure: Failure.optional(),
});
export type ClusterSummary = z.infer<typeof ClusterSummary>;
