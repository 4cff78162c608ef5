import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster({
    controllers: [
      "persistentvolume-controller",
      "persistentvolumeclaim-protection-controller",
      "persistentvolume-protection-controller",
    ],
  });
  cluster.start();
});
afterEach(() => cluster.stop());

const SECONDS = 5_000;
const settle = (): Promise<void> => cluster.clock.advance(SECONDS);
const claim = (name = "data"): PersistentVolumeClaim =>
  cluster.one<PersistentVolumeClaim>(kinds.persistentVolumeClaims, name);
const volume = (name: string): PersistentVolume => cluster.one<PersistentVolume>(kinds.persistentVolumes, name);

async function makeVolume(name: string, storage: string, spec: object = {}): Promise<void> {
  await cluster.create<PersistentVolume>(kinds.persistentVolumes, {
    metadata: { name },
    spec: { capacity: { storage }, accessModes: ["ReadWriteOnce"], persistentVolumeReclaimPolicy: "Retain", ...spec },
  } as never);
}
async function makeClaim(name: string, spec: object = {}): Promise<void> {
  await cluster.create<PersistentVolumeClaim>(kinds.persistentVolumeClaims, {
    metadata: { name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } }, ...spec },
  } as never);
}

describe("binding", () => {
  it("takes the smallest volume that fits, and both say so", async () => {
    for (const [name, size] of [
      ["large", "10Gi"],
      ["small", "1Gi"],
      ["right", "3Gi"],
    ] as const)
      await makeVolume(name, size);
    await makeVolume("shared", "2Gi", { accessModes: ["ReadOnlyMany"] });
    await makeVolume("classy", "2Gi", { storageClassName: "fast" });
    await settle();
    expect(volume("large").status?.phase).toBe("Available");
    await makeClaim("data");
    await settle();
    expect(claim()).toMatchObject({
      metadata: {
        annotations: { "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes" },
        finalizers: ["kubernetes.io/pvc-protection"],
      },
      spec: { volumeName: "right" },
      status: { phase: "Bound", capacity: { storage: "3Gi" }, accessModes: ["ReadWriteOnce"] },
    });
    expect(volume("right")).toMatchObject({
      spec: { claimRef: { namespace: "default", name: "data", uid: claim().metadata.uid } },
      status: { phase: "Bound" },
    });
    expect(volume("large").status?.phase).toBe("Available");
  });

  it("waits with a word, and binds when a volume comes", async () => {
    await makeClaim("data");
    await settle();
    expect(claim().status?.phase).toBe("Pending");
    expect(cluster.events()).toContain(
      "FailedBinding: no persistent volumes available for this claim and no storage class is set",
    );
    await makeVolume("late", "2Gi");
    await settle();
    expect(claim().status?.phase).toBe("Bound");
  });

  it("keeps a volume that was reserved by name for that claim only", async () => {
    await makeVolume("reserved", "2Gi", { claimRef: { namespace: "default", name: "mine" } });
    await makeClaim("data");
    await settle();
    expect(claim().status?.phase).toBe("Pending");
    await makeClaim("mine");
    await settle();
    expect(claim("mine").spec?.volumeName).toBe("reserved");
  });

  it("refuses a volume that the claim names but that does not suit, and one of another claim", async () => {
    await makeVolume("small", "1Gi");
    await makeClaim("data", { volumeName: "small" });
    await makeVolume("taken", "2Gi", { claimRef: { namespace: "default", name: "other", uid: "gone" } });
    await makeClaim("second", { volumeName: "taken" });
    await settle();
    expect(cluster.events()).toEqual(
      expect.arrayContaining([
        'VolumeMismatch: Cannot bind to requested volume "small": requested PV is too small',
        'FailedBinding: volume "taken" already bound to a different claim.',
      ]),
    );
    expect([claim().status?.phase, claim("second").status?.phase]).toEqual(["Pending", "Pending"]);
  });

  it("takes a reserved volume of another class, but not of another mode", async () => {
    const claimRef = { namespace: "default", name: "data" };
    await makeVolume("slow", "2Gi", { claimRef, storageClassName: "slow", volumeMode: "Block" });
    await makeVolume("fast", "2Gi", { claimRef, storageClassName: "fast" });
    await makeClaim("data");
    await settle();
    expect(claim().spec?.volumeName).toBe("fast");
  });

  it("takes a volume with no more access modes than it must, even a larger one", async () => {
    await makeVolume("both", "2Gi", { accessModes: ["ReadWriteOnce", "ReadOnlyMany"] });
    await makeVolume("once", "5Gi");
    await settle();
    await makeClaim("data");
    await settle();
    expect(claim().spec?.volumeName).toBe("once");
  });

  it("does not take a volume that the scheduler did not choose, once it has chosen a node", async () => {
    await cluster.create(kinds.storageClasses, {
      metadata: { name: "standard" },
      provisioner: "example.com/disk",
      volumeBindingMode: "WaitForFirstConsumer",
    } as never);
    await makeVolume("elsewhere", "5Gi", { storageClassName: "standard" });
    await makeClaim("data", { storageClassName: "standard" });
    await cluster.patch(kinds.persistentVolumeClaims, "data", {
      metadata: { annotations: { "volume.kubernetes.io/selected-node": "n1" } },
    });
    await settle();
    expect(claim().spec?.volumeName).toBeUndefined();
    expect(volume("elsewhere").status?.phase).toBe("Available");
  });

  it("says on both sides when their modes will never fit", async () => {
    await makeClaim("data", { volumeMode: "Block" });
    await makeVolume("files", "2Gi", {
      claimRef: { namespace: "default", name: "data", uid: claim().metadata.uid },
      volumeMode: "Filesystem",
    });
    await settle();
    expect(cluster.events()).toEqual(
      expect.arrayContaining([
        'VolumeMismatch: Cannot bind PersistentVolume to requested PersistentVolumeClaim "data" due to incompatible volumeMode.',
        'VolumeMismatch: Cannot bind PersistentVolume "files" to requested PersistentVolumeClaim due to incompatible volumeMode.',
      ]),
    );
  });

  it("waits for the first Pod where the class says so, then tells the provisioner", async () => {
    await cluster.create(kinds.storageClasses, {
      metadata: { name: "standard" },
      provisioner: "drydock.local/disk",
      volumeBindingMode: "WaitForFirstConsumer",
    } as never);
    await makeVolume("free", "5Gi", { storageClassName: "standard" });
    await makeClaim("data", { storageClassName: "standard" });
    await settle();
    expect(claim().spec?.volumeName).toBeUndefined();
    expect(cluster.events()).toContain("WaitForFirstConsumer: waiting for first consumer to be created before binding");
    await cluster.client.delete({ ...kinds.persistentVolumes, name: "free" });
    await cluster.patch(kinds.persistentVolumeClaims, "data", {
      metadata: { annotations: { "volume.kubernetes.io/selected-node": "n1" } },
    });
    await settle();
    expect(claim().metadata.annotations).toMatchObject({
      "volume.kubernetes.io/storage-provisioner": "drydock.local/disk",
    });
    await makeVolume("made", "2Gi", {
      storageClassName: "standard",
      claimRef: { namespace: "default", name: "data", uid: claim().metadata.uid },
    });
    await settle();
    expect(claim()).toMatchObject({ spec: { volumeName: "made" }, status: { phase: "Bound" } });
  });

  it("says when a class is not there", async () => {
    await makeClaim("data", { storageClassName: "none" });
    await settle();
    expect(cluster.events()).toContain('ProvisioningFailed: storageclass.storage.k8s.io "none" not found');
  });
});

describe("an end", () => {
  it("of a claim releases its volume, which nobody else gets", async () => {
    await makeVolume("one", "2Gi");
    await makeClaim("data");
    await settle();
    await cluster.client.delete({ ...kinds.persistentVolumeClaims, namespace: "default", name: "data" });
    await settle();
    expect(cluster.all(kinds.persistentVolumeClaims)).toEqual([]);
    expect(volume("one").status?.phase).toBe("Released");
    await makeClaim("data");
    await settle();
    expect(claim().status?.phase).toBe("Pending");
  });

  it("of a claim reclaims a folder as Kubernetes does: under /tmp, and else not at all", async () => {
    for (const [name, spec] of [
      ["temporary", { hostPath: { path: "/tmp/data" } }],
      ["kept", { hostPath: { path: "/data" } }],
      ["local", { local: { path: "/tmp/data" } }],
    ] as const) {
      await makeVolume(name, "2Gi", { ...spec, persistentVolumeReclaimPolicy: "Delete" });
      await makeClaim(name, { volumeName: name });
    }
    await settle();
    for (const name of ["temporary", "kept", "local"])
      await cluster.client.delete({ ...kinds.persistentVolumeClaims, namespace: "default", name });
    await settle();
    const left = cluster.all<PersistentVolume>(kinds.persistentVolumes);
    expect(left.map(({ metadata, status }) => `${metadata.name} ${status?.phase}`).toSorted()).toEqual([
      "kept Failed",
      "local Failed",
    ]);
    expect(cluster.events()).toEqual(
      expect.arrayContaining([
        "VolumeFailedDelete: host_path deleter only supports /tmp/.+ but received provided /data",
        'VolumeFailedDelete: error getting deleter volume plugin for volume "local": no deletable volume plugin matched',
      ]),
    );
  });

  it("of a volume under a claim is told as the loss it is", async () => {
    await makeVolume("one", "2Gi");
    await makeClaim("data");
    await settle();
    await cluster.client.delete({ ...kinds.persistentVolumes, name: "one" });
    await settle();
    // Protected while it is bound: only asked to go.
    expect(claim().status?.phase).toBe("Bound");
    await cluster.patch(kinds.persistentVolumes, "one", { metadata: { finalizers: null } });
    await settle();
    expect(cluster.all(kinds.persistentVolumes)).toEqual([]);
    expect(claim().status).toEqual({ phase: "Lost" });
    expect(cluster.events()).toContain(
      "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!",
    );
  });

  it("of a claim waits for the Pods that use it", async () => {
    await makeVolume("one", "2Gi");
    await makeClaim("data");
    await cluster.create<Pod>(kinds.pods, {
      metadata: { name: "user" },
      spec: {
        nodeName: "n1",
        containers: [{ name: "a", image: "a" }],
        volumes: [{ name: "d", persistentVolumeClaim: { claimName: "data" } }],
      },
    } as never);
    await settle();
    await cluster.client.delete({ ...kinds.persistentVolumeClaims, namespace: "default", name: "data" });
    await settle();
    expect(claim().metadata.deletionTimestamp).toBeDefined();
    // One that has ended still names it, and may be looked into.
    await cluster.patch(kinds.pods, "user", { status: { phase: "Succeeded" } }, "status");
    await settle();
    expect(claim().metadata.deletionTimestamp).toBeDefined();
    await cluster.client.delete({ ...kinds.pods, namespace: "default", name: "user" });
    await settle();
    expect(cluster.all(kinds.persistentVolumeClaims)).toEqual([]);
  });
});
