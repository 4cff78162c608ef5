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
    expect(claim().status?.phase).toBe("Lost");
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
    await cluster.client.delete({ ...kinds.pods, namespace: "default", name: "user" });
    await settle();
    expect(cluster.all(kinds.persistentVolumeClaims)).toEqual([]);
  });
});
