import { describe, expect, it } from "vitest";
import type { PersistentVolume, Pod } from "../../common/kube/types.ts";
import { claimsOn, podsToEvict } from "./drain.ts";

function pod(name: string, owner?: string, more: { phase?: string; annotations?: Record<string, string> } = {}): Pod {
  return {
    metadata: {
      name,
      namespace: "default",
      ...(owner ? { ownerReferences: [{ kind: owner, name: "o", uid: "u", apiVersion: "v1", controller: true }] } : {}),
      ...(more.annotations ? { annotations: more.annotations } : {}),
    },
    status: { phase: more.phase ?? "Running" },
  } as unknown as Pod;
}

describe("the Pods that must leave", () => {
  it.each([
    ["of a Deployment", pod("web", "ReplicaSet"), 1, 0],
    ["of a StatefulSet", pod("db-0", "StatefulSet"), 1, 0],
    ["of a DaemonSet", pod("log", "DaemonSet"), 0, 0],
    ["of nobody", pod("debug"), 1, 1],
    ["finished", pod("job", "Job", { phase: "Succeeded" }), 0, 0],
    ["of the node itself", pod("static", undefined, { annotations: { "kubernetes.io/config.mirror": "x" } }), 0, 0],
  ])("%s", (_, one, evict, unmanaged) => {
    const found = podsToEvict([one]);
    expect([found.evict.length, found.unmanaged.length]).toEqual([evict, unmanaged]);
  });
});

describe("claims with data on a node", () => {
  const volume = (values: string[], claim: string | undefined): PersistentVolume =>
    ({
      spec: {
        ...(claim ? { claimRef: { namespace: "shop", name: claim } } : {}),
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values }] }],
          },
        },
      },
    }) as unknown as PersistentVolume;

  it("are those of volumes that only it has", () => {
    const volumes = [
      volume(["a"], "data"),
      volume(["b"], "other"),
      volume(["a", "b"], "both"),
      volume(["a"], undefined),
    ];
    expect(claimsOn("a", volumes)).toEqual(["shop/data"]);
    expect(claimsOn("c", volumes)).toEqual([]);
  });

  it("are none of volumes that every node reaches", () => {
    expect(claimsOn("a", [{ spec: { claimRef: { namespace: "n", name: "nfs" } } } as PersistentVolume])).toEqual([]);
  });
});
