/** Pods that share an NFS server: by a PersistentVolume on two nodes, and by a volume of their own that may only be read. */
import { beforeAll, describe, expect, it } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { eventually } from "../support.ts";
import { nfsServer, nfsServerImage } from "../tools/nfs-server.ts";
import { once, sh } from "./case.ts";
import type { NodeCluster } from "./cluster.ts";

const volumeMounts = [{ name: "data", mountPath: "/data" }];
const pod = (name: string, nodeName: string, volume: object): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      containers: [sh("sleep 3600", { volumeMounts })],
      volumes: [{ name: "data", ...volume }],
    },
  }) as unknown as KubeObject;

interface Remote {
  volume: KubeObject;
  claim: KubeObject;
  writer: KubeObject;
  reader: KubeObject;
  /** Mounts the server itself, to read. */
  plain: KubeObject;
  /** Has nothing to do with the server. */
  other: KubeObject;
}

/** `server`: its address. */
function remoteObjects(server: string, near: string, far: string): Remote {
  const capacity = { storage: "1Gi" };
  const accessModes = ["ReadWriteMany"];
  const shared = { persistentVolumeClaim: { claimName: "shared" } };
  return {
    volume: {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "shared" },
      spec: {
        capacity,
        accessModes,
        storageClassName: "",
        persistentVolumeReclaimPolicy: "Retain",
        mountOptions: ["vers=4.1"],
        nfs: { server, path: "/export" },
      },
    } as unknown as KubeObject,
    claim: {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "shared" },
      spec: { accessModes, storageClassName: "", volumeName: "shared", resources: { requests: capacity } },
    } as unknown as KubeObject,
    writer: pod("writer", near, shared),
    reader: pod("reader", far, shared),
    plain: pod("plain", near, { nfs: { server, path: "/export", readOnly: true } }),
    other: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "other" },
      spec: { ...once("sleep 3600"), nodeName: near },
    } as unknown as KubeObject,
  };
}

export function describeRemoteStorage(theCluster: () => NodeCluster): void {
  describe("remote storage", () => {
    const kubectl = (...args: string[]): Promise<string> => theCluster().ok(["-n", "remote", ...args]);
    const inside = async (pod: string, script: string): Promise<{ code: number; stdout: string; stderr: string }> =>
      theCluster().kubectl(["-n", "remote", "exec", pod, "--", "sh", "-c", script]);
    const create = (objects: object[]): Promise<string> =>
      theCluster().ok(["-n", "remote", "create", "-f", "-"], objects.map((one) => JSON.stringify(one)).join("\n---\n"));

    beforeAll(async () => {
      await theCluster().load(await nfsServerImage());
      await theCluster().ok(["create", "namespace", "remote"]);
      await eventually(
        "the namespace has its ServiceAccount",
        () => theCluster().kubectl(["-n", "remote", "get", "serviceaccount", "default"]),
        ({ code }) => code === 0,
      );
      await create(nfsServer("remote", theCluster().worker));
      await kubectl("wait", "--for=condition=Ready", "pod/nfs", "--timeout=180s");
    }, 400_000);

    it("is shared by Pods on several nodes, by a claim and by itself, and outlives them", async () => {
      const server = await kubectl("get", "service", "nfs", "-o", "jsonpath={.spec.clusterIP}");
      const { volume, claim, writer, reader, plain } = remoteObjects(server, theCluster().worker, theCluster().master);
      await create([volume, claim, writer, reader, plain]);
      await kubectl("wait", "--for=condition=Ready", "pod/writer", "pod/reader", "pod/plain", "--timeout=180s");
      expect(await kubectl("get", "pvc", "shared", "-o", "jsonpath={.status.phase} {.status.accessModes[0]}")).toBe(
        "Bound ReadWriteMany",
      );
      expect((await inside("writer", "mkdir /data/log && echo first > /data/log/book; stat -fc %T /data")).stdout).toBe(
        "nfs\n",
      );
      const read = async (pod: string): Promise<string> => (await inside(pod, "cat /data/log/book")).stdout;
      await eventually(
        "another node sees it",
        () => read("reader"),
        (text) => text === "first\n",
        60_000,
      );
      expect(await read("plain")).toBe("first\n");
      expect((await inside("plain", "echo x > /data/log/book")).stderr).toContain("Read-only file system");
      // Written on one node, seen whole on the other, and again by who comes later.
      await inside("reader", "echo second >> /data/log/book");
      await kubectl("delete", "pod", "writer", "--timeout=60s");
      await create([writer]);
      await kubectl("wait", "--for=condition=Ready", "pod/writer", "--timeout=120s");
      expect(await read("writer")).toBe("first\nsecond\n");
      await kubectl("delete", "pod", "writer", "reader", "plain", "--timeout=60s");
      expect((await inside("nfs", "cat /export/log/book")).stdout).toBe("first\nsecond\n");
      await kubectl("delete", "pvc", "shared");
      expect(await theCluster().ok(["get", "pv", "shared", "-o", "jsonpath={.status.phase}"])).toBe("Released");
      await theCluster().ok(["delete", "pv", "shared"]);
    }, 400_000);

    it("that does not answer holds up its own Pod only, and lets go of it", async () => {
      const { plain, other } = remoteObjects("10.240.0.250", theCluster().worker, theCluster().master);
      await create([plain, other]);
      await kubectl("wait", "--for=condition=Ready", "pod/other", "--timeout=120s");
      const told = await eventually(
        "the Pod says what it waits for",
        () =>
          kubectl(
            "get",
            "events",
            "--field-selector=involvedObject.name=plain",
            "-o",
            "jsonpath={.items[*].reason} {.items[*].message}",
          ),
        (text) => text.includes("mount of 10.240.0.250:/export failed"),
        120_000,
      );
      expect(told).toContain("FailedMount");
      await kubectl("delete", "pod", "plain", "other", "--timeout=90s");
      expect(await kubectl("get", "pods", "-o", "name")).toBe("pod/nfs\n");
    }, 300_000);
  });
}
