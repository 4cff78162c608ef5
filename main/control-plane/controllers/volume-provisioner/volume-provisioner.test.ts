import { describe, expect, it } from "vitest";
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from "../../../../common/kube/types.ts";
import { decideClaim, isReclaimed, PROVISIONED_BY, SELECTED_NODE, STANDARD_CLASS } from "./decide.ts";
import type { ClaimDecision } from "./decide.ts";

const node = (name: string, spec: object = {}): Node =>
  ({ metadata: { name, labels: { "kubernetes.io/hostname": `${name}.host` } }, spec }) as unknown as Node;
const claim = (spec: object, annotations: Record<string, string> = {}, status: object = {}): PersistentVolumeClaim =>
  ({
    metadata: { name: "data", namespace: "n", uid: "u-1", annotations },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
    status,
  }) as unknown as PersistentVolumeClaim;
const decide = (
  of: PersistentVolumeClaim,
  more: { class?: StorageClass; nodes?: Node[]; bound?: PersistentVolume } = {},
): ClaimDecision =>
  decideClaim({ claim: of, class: STANDARD_CLASS, nodes: [node("a"), node("b")], bound: undefined, ...more });

describe("a claim of the class standard", () => {
  it("waits for the first Pod that uses it", () => {
    expect(decide(claim({}))).toEqual({ kind: "nothing" });
  });

  it("gets a volume on the disk of the node that the scheduler chose", () => {
    const decision = decide(claim({ volumeMode: "Block" }, { [SELECTED_NODE]: "b" }));
    expect(decision).toMatchObject({
      kind: "provision",
      volume: {
        metadata: { name: "pvc-u-1" },
        spec: {
          capacity: { storage: "1Gi" },
          volumeMode: "Block",
          persistentVolumeReclaimPolicy: "Delete",
          claimRef: { namespace: "n", name: "data", uid: "u-1" },
          local: { path: "/var/lib/drydock/volumes/pvc-u-1/data" },
          nodeAffinity: {
            required: { nodeSelectorTerms: [{ matchExpressions: [{ values: ["b.host"] }] }] },
          },
        },
      },
    });
  });

  it("is scheduled anew when its node has gone", () => {
    expect(decide(claim({}, { [SELECTED_NODE]: "gone" }))).toEqual({ kind: "reschedule", node: "gone" });
  });

  it("cannot be shared by nodes, and cannot choose among volumes", () => {
    const selected = { [SELECTED_NODE]: "a" };
    expect(decide(claim({ accessModes: ["ReadWriteMany"] }, selected)).kind).toBe("fail");
    expect(decide(claim({ selector: { matchLabels: { a: "b" } } }, selected)).kind).toBe("fail");
  });

  it("of a class that binds at once goes to a node that takes Pods", () => {
    const immediate = { ...STANDARD_CLASS, volumeBindingMode: "Immediate" } as StorageClass;
    const nodes = [node("a", { taints: [{ key: "k", effect: "NoSchedule" }] }), node("b")];
    const decision = decide(claim({}), { class: immediate, nodes });
    expect(JSON.stringify(decision)).toContain("b.host");
  });

  it("of another provisioner is not ours", () => {
    const other = { ...STANDARD_CLASS, provisioner: "example.com/x" };
    expect(decide(claim({}, { [SELECTED_NODE]: "a" }), { class: other })).toEqual({ kind: "nothing" });
  });
});

describe("a volume", () => {
  const bound = (phase: string, policy = "Delete", by = "drydock.local/disk"): PersistentVolume =>
    ({
      metadata: { name: "pvc-u-1", annotations: { [PROVISIONED_BY]: by } },
      spec: { persistentVolumeReclaimPolicy: policy },
      status: { phase },
    }) as unknown as PersistentVolume;

  it("grows when its claim asks for more", () => {
    const bigger = claim(
      { volumeName: "pvc-u-1", resources: { requests: { storage: "2Gi" } } },
      {},
      {
        phase: "Bound",
        capacity: { storage: "1Gi" },
      },
    );
    expect(decide(bigger, { bound: bound("Bound") })).toEqual({ kind: "expand", storage: "2Gi" });
    expect(decide(bigger, { bound: bound("Bound", "Delete", "other") })).toEqual({ kind: "nothing" });
  });

  it("goes with its claim, unless it is to be retained or is not ours", () => {
    expect(isReclaimed(bound("Released"))).toBe(true);
    expect(isReclaimed(bound("Bound"))).toBe(false);
    expect(isReclaimed(bound("Released", "Retain"))).toBe(false);
    expect(isReclaimed(bound("Released", "Delete", "other"))).toBe(false);
  });
});
