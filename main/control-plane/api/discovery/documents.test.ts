import { describe, expect, it } from "vitest";
import { builtinResources } from "../../resources/index.ts";
import { aggregated, compareVersions, plainGroup, plainGroups, plainResources } from "./documents.ts";

const definitions = builtinResources();

interface Aggregated {
  items: {
    metadata: { name?: string };
    versions: { version: string; resources: { resource: string; subresources?: { subresource: string }[] }[] }[];
  }[];
}

describe("discovery", () => {
  it("orders versions as clients prefer them", () => {
    expect(["v1beta2", "v1", "v1alpha1", "v2", "v1beta1", "other"].toSorted(compareVersions)).toEqual([
      "v2",
      "v1",
      "v1beta2",
      "v1beta1",
      "v1alpha1",
      "other",
    ]);
  });

  it("puts the core group under /api and the others under /apis", () => {
    const core = aggregated({ definitions }, "api", "v2") as Aggregated;
    expect(core.items.map(({ metadata }) => metadata.name)).toEqual([undefined]);
    const pods = core.items[0]?.versions[0]?.resources.find(({ resource }) => resource === "pods");
    expect(pods?.subresources?.map(({ subresource }) => subresource)).toEqual(
      expect.arrayContaining(["status", "log", "exec", "eviction"]),
    );
    const others = aggregated({ definitions }, "apis", "v2") as Aggregated;
    expect(others.items.map(({ metadata }) => metadata.name)).toContain("apps");
    expect(others.items.map(({ metadata }) => metadata.name)).not.toContain(undefined);
  });

  it("has plain documents of what there is, and none of what there is not", () => {
    expect(plainGroups({ definitions })).toMatchObject({ kind: "APIGroupList" });
    expect(plainGroup({ definitions }, "apps")).toMatchObject({ preferredVersion: { groupVersion: "apps/v1" } });
    expect(plainGroup({ definitions }, "nothing")).toBeUndefined();
    expect(plainGroup({ definitions }, "")).toBeUndefined();
    const scale = { name: "deployments/scale", group: "autoscaling", version: "v1", kind: "Scale" };
    expect(plainResources(definitions, "apps", "v1")).toMatchObject({
      resources: expect.arrayContaining([expect.objectContaining(scale)]),
    });
    expect(plainResources(definitions, "apps", "v9")).toBeUndefined();
  });
});
