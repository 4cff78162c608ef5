/** Seeded contents of a pretended cluster: three nodes, an application, its troubles. The same every time. */
import type { KubeObject } from "../../common/kube/object.ts";
import { FakeKube } from "./kube.ts";

const MINUTE = 60_000;

export interface SeedOptions {
  pods: number;
  /** A worker that is NotReady, an image that cannot be pulled, a container that crashes. */
  troubled: boolean;
  cluster: string;
}

/** A small generator of repeatable randomness (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function seedKube(options: SeedOptions): FakeKube {
  const kube = new FakeKube();
  const next = random(7);
  const ago = (minutes: number): string => new Date(Date.now() - minutes * MINUTE).toISOString();
  for (const namespace of ["default", "kube-system", "kube-public", "shop"]) {
    kube.put({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, creationTimestamp: ago(180) },
      status: { phase: "Active" },
    });
  }
  const nodes = [`${options.cluster}-master-1`, `${options.cluster}-worker-1`, `${options.cluster}-worker-2`];
  for (const [index, name] of nodes.entries())
    kube.put(node(name, index, ago(180), !(options.troubled && index === 2)));

  const names: [namespace: string, app: string, image: string, replicas: number][] = [
    ["default", "hello", "drydock.local/hello:1", 3],
    ["shop", "web", "drydock.local/nginx:1", 2],
    ["shop", "cart", "drydock.local/busybox:1", 2],
    ["shop", "cache", "drydock.local/redis:1", 1],
  ];
  if (options.pods > 20) names.push(["default", "swarm", "drydock.local/busybox:1", options.pods - 8]);
  for (const [namespace, app, image, replicas] of names) {
    const broken = options.troubled && app === "cart";
    const ready = broken ? 0 : replicas;
    const labels = { "app.kubernetes.io/name": app };
    const hash = "7d9c5b8f6d";
    const template = {
      metadata: { labels },
      spec: { containers: [{ name: app, image, ports: [{ containerPort: 8080 }] }] },
    };
    const status = {
      replicas,
      readyReplicas: ready,
      updatedReplicas: replicas,
      availableReplicas: ready,
      observedGeneration: 1,
    };
    kube.put({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: app, namespace, labels, creationTimestamp: ago(95), generation: 1 },
      spec: { replicas, selector: { matchLabels: labels }, template },
      status: {
        ...status,
        conditions: [
          {
            type: "Available",
            status: broken ? "False" : "True",
            reason: broken ? "MinimumReplicasUnavailable" : "MinimumReplicasAvailable",
            message: broken ? "Deployment does not have minimum availability." : "Deployment has minimum availability.",
            lastTransitionTime: ago(90),
          },
        ],
      },
    });
    const set = kube.put({
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: {
        name: `${app}-${hash}`,
        namespace,
        labels,
        creationTimestamp: ago(95),
        ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", name: app, uid: app, controller: true }],
      },
      spec: { replicas, selector: { matchLabels: labels }, template },
      status,
    });
    for (let index = 0; index < replicas; index += 1) {
      kube.put(
        pod({
          namespace,
          app,
          image,
          labels,
          nodeName: nodes[1 + (index % 2)] ?? "",
          createdAt: ago(1 + Math.floor(next() * 90)),
          next,
          broken,
          set,
          address: index,
        }),
      );
    }
    kube.put({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: app, namespace, labels, creationTimestamp: ago(95) },
      spec: {
        type: app === "hello" ? "NodePort" : "ClusterIP",
        clusterIP: `10.96.${names.findIndex((entry) => entry[1] === app) + 4}.17`,
        selector: labels,
        ports: [
          { name: "http", port: 80, targetPort: 8080, protocol: "TCP", ...(app === "hello" && { nodePort: 30080 }) },
        ],
      },
    });
  }
  kube.put({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "web-config", namespace: "shop", creationTimestamp: ago(95) },
    data: { "nginx.conf": "worker_processes auto;\nevents { worker_connections 1024; }\n", GREETING: "ahoy" },
  });
  kube.put({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cart-credentials", namespace: "shop", creationTimestamp: ago(95) },
    type: "Opaque",
    data: { username: btoa("skipper"), password: btoa("plimsoll-1876") },
  });
  kube.put({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "default", namespace: "default", creationTimestamp: ago(180) },
  });
  for (const entry of events(options.troubled, nodes, ago)) kube.put(entry);
  return kube;
}

function node(name: string, index: number, createdAt: string, ready: boolean): KubeObject {
  const condition = (type: string, good: string, reason: string, message: string) => ({
    type,
    status: good,
    reason,
    message,
    lastHeartbeatTime: createdAt,
    lastTransitionTime: createdAt,
  });
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      creationTimestamp: createdAt,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        ...(index === 0 && { "node-role.kubernetes.io/control-plane": "" }),
      },
    },
    spec: {
      podCIDR: `10.244.${index}.0/24`,
      ...(index === 0 && { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] }),
    },
    status: {
      capacity: { cpu: "2", memory: "1014200Ki", pods: "110", "ephemeral-storage": "19Gi" },
      allocatable: { cpu: "2", memory: "911800Ki", pods: "110", "ephemeral-storage": "17Gi" },
      addresses: [
        { type: "InternalIP", address: `10.240.0.${index === 0 ? 11 : 20 + index}` },
        { type: "Hostname", address: name },
      ],
      nodeInfo: {
        kubeletVersion: "v1.36.0-drydock",
        osImage: "Debian GNU/Linux 13 (trixie)",
        kernelVersion: "6.12.48-cloud-amd64",
        containerRuntimeVersion: "docker://28.3.2",
        architecture: "amd64",
      },
      conditions: [
        condition(
          "MemoryPressure",
          ready ? "False" : "Unknown",
          "KubeletHasSufficientMemory",
          "kubelet has sufficient memory available",
        ),
        condition(
          "DiskPressure",
          ready ? "False" : "Unknown",
          "KubeletHasNoDiskPressure",
          "kubelet has no disk pressure",
        ),
        condition(
          "Ready",
          ready ? "True" : "Unknown",
          ready ? "KubeletReady" : "NodeStatusUnknown",
          ready ? "kubelet is posting ready status" : "Kubelet stopped posting node status.",
        ),
      ],
    },
  };
}

interface PodSeed {
  namespace: string;
  app: string;
  image: string;
  labels: Record<string, string>;
  nodeName: string;
  createdAt: string;
  next: () => number;
  broken: boolean;
  set: KubeObject;
  address: number;
}

function pod(seed: PodSeed): KubeObject {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  // The last three letters count, so that no two of ten thousand names are the same.
  const random = Array.from({ length: 2 }, () => letters[Math.floor(seed.next() * letters.length)]).join("");
  const digits = [seed.address, seed.address / letters.length, seed.address / letters.length ** 2];
  const suffix = random + digits.map((digit) => letters[Math.floor(digit) % letters.length]).join("");
  const state = seed.broken
    ? { waiting: { reason: "CrashLoopBackOff", message: "back-off 40s restarting failed container" } }
    : { running: { startedAt: seed.createdAt } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${seed.set.metadata.name}-${suffix}`,
      namespace: seed.namespace,
      labels: { ...seed.labels, "pod-template-hash": "7d9c5b8f6d" },
      creationTimestamp: seed.createdAt,
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: seed.set.metadata.name ?? "",
          uid: seed.set.metadata.uid ?? "",
          controller: true,
        },
      ],
    },
    spec: {
      nodeName: seed.nodeName,
      restartPolicy: "Always",
      containers: [
        {
          name: seed.app,
          image: seed.image,
          ports: [{ containerPort: 8080 }],
          resources: { requests: { cpu: "50m", memory: "32Mi" } },
          env: [{ name: "GREETING", value: "ahoy" }],
        },
      ],
    },
    status: {
      phase: "Running",
      podIP: `10.244.${1 + (seed.address % 2)}.${4 + (Math.floor(seed.address / 2) % 250)}`,
      hostIP: "10.240.0.21",
      startTime: seed.createdAt,
      qosClass: "Burstable",
      conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
        type,
        status: seed.broken && type.endsWith("Ready") ? "False" : "True",
        lastTransitionTime: seed.createdAt,
      })),
      containerStatuses: [
        {
          name: seed.app,
          image: seed.image,
          imageID: "",
          ready: !seed.broken,
          restartCount: seed.broken ? 6 : 0,
          started: !seed.broken,
          state,
          ...(seed.broken && {
            lastState: {
              terminated: { exitCode: 1, reason: "Error", finishedAt: seed.createdAt, startedAt: seed.createdAt },
            },
          }),
        },
      ],
    },
  };
}

function events(troubled: boolean, nodes: string[], ago: (minutes: number) => string): KubeObject[] {
  const list: [
    type: string,
    reason: string,
    message: string,
    kind: string,
    name: string,
    namespace: string,
    minutes: number,
    count: number,
  ][] = [
    [
      "Normal",
      "ScalingReplicaSet",
      "Scaled up replica set hello-7d9c5b8f6d from 0 to 3",
      "Deployment",
      "hello",
      "default",
      95,
      1,
    ],
    [
      "Normal",
      "RegisteredNode",
      `Node ${nodes[1]} event: Registered Node ${nodes[1]} in Controller`,
      "Node",
      nodes[1] ?? "",
      "default",
      180,
      1,
    ],
    ["Normal", "SuccessfulCreate", "Created pod: web-7d9c5b8f6d-x2k4v", "ReplicaSet", "web-7d9c5b8f6d", "shop", 94, 1],
    ["Normal", "Started", "Started container web", "Pod", "web-7d9c5b8f6d-x2k4v", "shop", 93, 1],
  ];
  if (troubled) {
    list.push([
      "Warning",
      "BackOff",
      "Back-off restarting failed container cart in pod cart-7d9c5b8f6d-q9t2m",
      "Pod",
      "cart-7d9c5b8f6d-q9t2m",
      "shop",
      1,
      23,
    ]);
    list.push([
      "Warning",
      "NodeNotReady",
      `Node ${nodes[2]} status is now: NodeNotReady`,
      "Node",
      nodes[2] ?? "",
      "default",
      4,
      1,
    ]);
  }
  return list.map(([type, reason, message, kind, name, namespace, minutes, count], index) => ({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${index}`, namespace, creationTimestamp: ago(minutes) },
    type,
    reason,
    message,
    count,
    firstTimestamp: ago(minutes + 3),
    lastTimestamp: ago(minutes),
    involvedObject: { kind, name, namespace, apiVersion: "v1" },
    source: { component: "drydock" },
  }));
}
