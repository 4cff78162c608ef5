import { describe, expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import { shutdownPhases } from "./shutdown.ts";

function pod(uid: string, priority?: number, grace?: number): Pod {
  return {
    metadata: { uid, name: uid },
    spec: {
      containers: [],
      ...(priority === undefined ? {} : { priority }),
      ...(grace === undefined ? {} : { terminationGracePeriodSeconds: grace }),
    },
  } as unknown as Pod;
}
const told = (pods: Pod[], grace: number): unknown =>
  shutdownPhases(pods, grace).map(({ seconds, pods: some }) => [seconds, Object.fromEntries(some)]);

describe("a node's shutdown", () => {
  it("ends regular Pods first, critical ones after them", () => {
    expect(told([pod("dns", 2_000_001_000), pod("web", 0), pod("job")], 30)).toEqual([
      [20, { web: 20, job: 20 }],
      [10, { dns: 10 }],
    ]);
  });

  it("gives all the time to regular Pods where there are no others", () => {
    expect(told([pod("web")], 30)).toEqual([[30, { web: 30 }]]);
  });

  it("lets no Pod have more than it asks for", () => {
    expect(told([pod("quick", 0, 2), pod("slow", 0, 3600)], 30)).toEqual([[30, { quick: 2, slow: 30 }]]);
  });

  it("keeps within a short time", () => {
    expect(told([pod("web"), pod("dns", 2_000_000_000)], 3)).toEqual([
      [2, { web: 2 }],
      [1, { dns: 1 }],
    ]);
  });

  it("is nothing on an empty node", () => {
    expect(told([], 30)).toEqual([]);
  });
});
