import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { configMap } from "../../resources/core/config.ts";
import { namespace } from "../../resources/core/namespace.ts";
import { pod } from "../../resources/core/pod/pod.ts";
import { checkDeleteBody, prepareDelete, propagationFinalizers } from "./delete.ts";

const now = new Date("2026-01-01T00:00:00Z");
const running = (metadata: KubeObject["metadata"] = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", generation: 1, ...metadata },
  spec: { nodeName: "n", terminationGracePeriodSeconds: 30, containers: [] },
  status: { phase: "Running" },
});

describe("deleting a Pod", () => {
  it("gives it its grace period, once", () => {
    const object = running();
    expect(prepareDelete({ definition: pod }, object, {}, now)).toBe("mark");
    expect(object.metadata).toMatchObject({
      deletionTimestamp: "2026-01-01T00:00:30Z",
      deletionGracePeriodSeconds: 30,
      generation: 2,
    });
    const later = new Date("2026-01-01T00:00:10Z");
    expect(prepareDelete({ definition: pod }, object, {}, later)).toBe("nothing");
    expect(prepareDelete({ definition: pod }, object, { gracePeriodSeconds: 60 }, later)).toBe("nothing");
  });

  it("may only shorten it, from when it was first asked", () => {
    const object = running();
    prepareDelete({ definition: pod }, object, {}, now);
    expect(
      prepareDelete({ definition: pod }, object, { gracePeriodSeconds: 5 }, new Date("2026-01-01T00:00:02Z")),
    ).toBe("mark");
    expect(object.metadata).toMatchObject({ deletionTimestamp: "2026-01-01T00:00:05Z", deletionGracePeriodSeconds: 5 });
  });

  it("removes it when the kubelet is done, or nobody runs it", () => {
    const object = running();
    prepareDelete({ definition: pod }, object, {}, now);
    expect(prepareDelete({ definition: pod }, object, { gracePeriodSeconds: 0 }, now)).toBe("remove");
    const unscheduled = { ...running(), spec: { containers: [] } };
    expect(prepareDelete({ definition: pod }, unscheduled, {}, now)).toBe("remove");
  });

  it("keeps it for its finalizers", () => {
    const object = running({ finalizers: ["example.com/hold"] });
    expect(prepareDelete({ definition: pod }, object, { gracePeriodSeconds: 0 }, now)).toBe("mark");
    expect(object.metadata).toMatchObject({ deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 0 });
    expect(prepareDelete({ definition: pod }, object, { gracePeriodSeconds: 0 }, now)).toBe("nothing");
  });
});

describe("deleting others", () => {
  const map = (): KubeObject => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } });

  it("is at once, as the object was", () => {
    const object = map();
    expect(prepareDelete({ definition: configMap }, object, {}, now)).toBe("remove");
    expect(object.metadata.deletionTimestamp).toBeUndefined();
  });

  it("waits for the garbage collector in the foreground", () => {
    const object = map();
    expect(prepareDelete({ definition: configMap }, object, { propagationPolicy: "Foreground" }, now)).toBe("mark");
    expect(object.metadata.finalizers).toEqual(["foregroundDeletion"]);
  });

  it("makes a namespace terminate first", () => {
    const object: KubeObject = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "a" },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    };
    expect(prepareDelete({ definition: namespace }, object, {}, now)).toBe("mark");
    expect(object["status"]).toEqual({ phase: "Terminating" });
    expect(prepareDelete({ definition: namespace }, object, {}, now)).toBe("nothing");
    object["spec"] = {};
    expect(prepareDelete({ definition: namespace }, object, {}, now)).toBe("remove");
  });
});

describe("propagation", () => {
  it.each([
    [["orphan", "x/y"], { propagationPolicy: "Background" }, undefined, ["x/y"]],
    [["x/y"], { propagationPolicy: "Orphan" }, undefined, ["x/y", "orphan"]],
    [["orphan"], { propagationPolicy: "Foreground" }, undefined, ["foregroundDeletion"]],
    [[], { orphanDependents: true }, undefined, ["orphan"]],
    [[], { orphanDependents: false }, "Orphan", []],
    [[], {}, "Orphan", ["orphan"]],
    [["foregroundDeletion"], {}, "Orphan", ["foregroundDeletion"]],
    [[], {}, undefined, []],
  ] as const)("%j with %j, by default %s, leaves %j", (finalizers, body, byDefault, expected) => {
    expect(propagationFinalizers(finalizers, body, byDefault)).toEqual(expected);
  });

  it("refuses contradictions", () => {
    expect(() => checkDeleteBody({ orphanDependents: true, propagationPolicy: "Orphan" })).toThrow(
      /cannot be both set/,
    );
    expect(() => checkDeleteBody({ propagationPolicy: "Sideways" })).toThrow(/Unsupported value: "Sideways"/);
  });
});
