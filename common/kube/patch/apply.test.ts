import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { KubeObject } from "../object.ts";
import { StatusError } from "../status.ts";
import { serverSideApply, trackUpdate } from "./apply.ts";
import { fromFieldsV1, sameSet, setOf, showPath, toFieldsV1 } from "./field-set.ts";

const gvk = { group: "apps", version: "v1", kind: "Deployment" };
const now = new Date("2026-01-01T00:00:00Z");
const later = new Date("2026-01-01T01:00:00Z");

/** A Deployment with this spec (and these labels). */
function deployment(spec: string, labels = "{}"): KubeObject {
  return parse(
    `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: default, labels: ${labels}}, spec: ${spec}}`,
  ) as KubeObject;
}

const containers = (list: string): string => `{template: {spec: {containers: ${list}}}}`;

function apply(
  live: KubeObject | undefined,
  applied: KubeObject,
  manager: string,
  options: { force?: boolean; at?: Date } = {},
): KubeObject {
  return serverSideApply({ live, applied, manager, force: options.force ?? false, gvk, now: options.at ?? now });
}

function failure(act: () => unknown): StatusError {
  try {
    act();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const owned = (object: KubeObject, manager: string): unknown =>
  object.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1;

describe("sets of fields", () => {
  test("lists by key, by value, and whole", () => {
    const value = parse(
      "{metadata: {finalizers: [a/b]}, spec: {template: {spec: {containers: [{name: c, command: [x], ports: [{containerPort: 80}], securityContext: {}}]}}}}",
    );
    const set = setOf(value, { type: "io.k8s.api.apps.v1.Deployment" });
    const json = toFieldsV1(set);
    expect(json).toEqual({
      "f:metadata": { "f:finalizers": { 'v:"a/b"': {} } },
      "f:spec": {
        "f:template": {
          "f:spec": {
            "f:containers": {
              'k:{"name":"c"}': {
                ".": {},
                "f:name": {},
                "f:command": {},
                "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
                "f:securityContext": {},
              },
            },
          },
        },
      },
    });
    expect(sameSet(fromFieldsV1(json), set)).toBe(true);
    expect(showPath(["f:spec", 'k:{"containerPort":80,"protocol":"TCP"}', 'v:"a"', "f:x"])).toBe(
      '.spec[containerPort=80,protocol="TCP"][="a"].x',
    );
  });
});

describe("apply", () => {
  test("makes an object and owns what was written", () => {
    const made = apply(undefined, deployment("{replicas: 2}", "{app: web}"), "ann");
    expect(made).toMatchObject({ metadata: { name: "web", labels: { app: "web" } }, spec: { replicas: 2 } });
    expect(made.metadata.managedFields).toEqual([
      {
        manager: "ann",
        operation: "Apply",
        apiVersion: "apps/v1",
        time: "2026-01-01T00:00:00Z",
        fieldsType: "FieldsV1",
        fieldsV1: { "f:metadata": { "f:labels": { "f:app": {} } }, "f:spec": { "f:replicas": {} } },
      },
    ]);
  });

  test("the same again changes nothing, not even the time", () => {
    const made = apply(undefined, deployment("{replicas: 2}"), "ann");
    expect(apply(made, deployment("{replicas: 2}"), "ann", { at: later })).toEqual(made);
  });

  test("what is left out goes, what others own stays", () => {
    const first = apply(
      undefined,
      deployment(containers("[{name: a, image: a:1}, {name: b, image: b:1}]"), "{x: '1', y: '1'}"),
      "ann",
    );
    const both = apply(first, deployment("{}", "{y: '1', z: '1'}"), "bob");
    const less = apply(both, deployment(containers("[{name: a, image: a:2}]"), "{x: '1'}"), "ann");
    expect(less["spec"]).toEqual({ template: { spec: { containers: [{ name: "a", image: "a:2" }] } } });
    expect(less.metadata.labels).toEqual({ x: "1", y: "1", z: "1" });
    expect(owned(less, "bob")).toMatchObject({ "f:metadata": { "f:labels": { "f:y": {}, "f:z": {} } } });
  });

  test("what is emptied for it goes too", () => {
    const first = apply(undefined, deployment("{replicas: 1}", "{x: '1'}"), "ann");
    const less = apply(first, { ...deployment("{replicas: 1}"), metadata: { name: "web" } }, "ann");
    expect(less.metadata.labels).toBeUndefined();
  });

  test("another's value is a conflict, the same value is shared", () => {
    const live = apply(undefined, deployment("{replicas: 2, paused: true}"), "ann");
    const shared = apply(live, deployment("{replicas: 2}"), "bob");
    expect(owned(shared, "ann")).toEqual({
      "f:metadata": { "f:labels": {} },
      "f:spec": { "f:paused": {}, "f:replicas": {} },
    });
    const one = failure(() => apply(live, deployment("{replicas: 3}"), "bob"));
    expect(one.status).toMatchObject({
      code: 409,
      reason: "Conflict",
      message: 'Apply failed with 1 conflict: conflict with "ann": .spec.replicas',
      details: {
        causes: [{ reason: "FieldManagerConflict", message: 'conflict with "ann"', field: ".spec.replicas" }],
      },
    });
    const two = failure(() => apply(live, deployment("{replicas: 3, paused: false}"), "bob"));
    expect(two.message).toBe('Apply failed with 2 conflicts: conflicts with "ann":\n- .spec.paused\n- .spec.replicas');
  });

  test("force takes over", () => {
    const live = apply(undefined, deployment("{replicas: 2, paused: true}"), "ann");
    const forced = apply(live, deployment("{replicas: 3}"), "bob", { force: true });
    expect(forced["spec"]).toEqual({ replicas: 3, paused: true });
    expect(owned(forced, "ann")).toEqual({ "f:metadata": { "f:labels": {} }, "f:spec": { "f:paused": {} } });
    expect(owned(forced, "bob")).toMatchObject({ "f:spec": { "f:replicas": {} } });
  });

  test("over an object nobody is known to own: what was there is somebody's", () => {
    const live = deployment("{replicas: 2}");
    const error = failure(() => apply(live, deployment("{replicas: 3}"), "ann"));
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1 at 2026-01-01T00:00:00Z: .spec.replicas',
    );
  });

  test("fields the server filled in stay when an item is applied again, and go with it", () => {
    const first = apply(undefined, deployment(containers("[{name: a, image: a:1}]")), "ann");
    const [container] = (
      first as unknown as { spec: { template: { spec: { containers: { imagePullPolicy?: string }[] } } } }
    ).spec.template.spec.containers;
    (container as { imagePullPolicy?: string }).imagePullPolicy = "Always";
    const again = apply(first, deployment(containers("[{name: a, image: a:2}]")), "ann");
    expect(again["spec"]).toEqual({
      template: { spec: { containers: [{ name: "a", image: "a:2", imagePullPolicy: "Always" }] } },
    });
    const other = apply(again, deployment(containers("[{name: b, image: b:1}]")), "ann");
    expect(other["spec"]).toEqual({ template: { spec: { containers: [{ name: "b", image: "b:1" }] } } });
  });
});

describe("update", () => {
  function update(
    before: KubeObject | undefined,
    change: (object: KubeObject) => void,
    manager: string,
    at = now,
    subresource?: string,
  ): KubeObject {
    const after = before ? structuredClone(before) : deployment("{replicas: 1}");
    change(after);
    trackUpdate({ before, after, manager, subresource, now: at });
    return after;
  }
  const replicas = (count: number) => (object: KubeObject) => {
    object["spec"] = { ...(object["spec"] as object), replicas: count };
  };

  test("the creator owns everything, a change its field", () => {
    const made = update(undefined, () => {}, "kubectl-create");
    expect(owned(made, "kubectl-create")).toEqual({ "f:metadata": { "f:labels": {} }, "f:spec": { "f:replicas": {} } });
    const scaled = update(made, replicas(3), "kubectl-scale", later);
    expect(owned(scaled, "kubectl-create")).toEqual({ "f:metadata": { "f:labels": {} } });
    expect(owned(scaled, "kubectl-scale")).toEqual({ "f:spec": { "f:replicas": {} } });
  });

  test("takes from who applied, who then meets it again", () => {
    const applied = apply(undefined, deployment("{replicas: 2}"), "ann");
    const scaled = update(applied, replicas(5), "scaler", later, "scale");
    expect(scaled.metadata.managedFields?.map(({ manager, subresource }) => [manager, subresource])).toEqual([
      ["ann", undefined],
      ["scaler", "scale"],
    ]);
    const error = failure(() => apply(scaled, deployment("{replicas: 2}"), "ann"));
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1 at 2026-01-01T01:00:00Z: .spec.replicas',
    );
  });

  test("nothing changed: nothing noted; an emptied list begins anew", () => {
    const made = update(undefined, () => {}, "a");
    expect(update(made, () => {}, "b", later)).toEqual(made);
    const reset = update(made, (object) => (object.metadata.managedFields = []), "b", later);
    expect(reset.metadata.managedFields).toBeUndefined();
  });

  test("what is removed is nobody's any more", () => {
    const made = update(undefined, () => {}, "a");
    const without = update(made, (object) => delete (object["spec"] as { replicas?: number }).replicas, "b", later);
    expect(without.metadata.managedFields?.map(({ manager }) => manager)).not.toContain("b");
  });

  test("maps, lists and structs that were not there are the updater's as well; those that Go always writes are not", () => {
    const spec = `{strategy: {rollingUpdate: {maxSurge: 1}}, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}},
      spec: {containers: [{name: c, resources: {limits: {cpu: 1}}, env: [{name: A, value: b}], ports: [{containerPort: 80}]}], volumes: [{name: v, emptyDir: {}}]}}}`;
    const made = update(undefined, (object) => Object.assign(object, deployment(spec, "{app: web}")), "kubectl-create");
    expect(owned(made, "kubectl-create")).toEqual({
      "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
      "f:spec": {
        "f:strategy": { "f:rollingUpdate": { ".": {}, "f:maxSurge": {} } },
        "f:selector": {},
        "f:template": {
          "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
          "f:spec": {
            "f:containers": {
              'k:{"name":"c"}': {
                ".": {},
                "f:name": {},
                "f:resources": { ".": {}, "f:limits": { ".": {}, "f:cpu": {} } },
                "f:env": { ".": {}, 'k:{"name":"A"}': { ".": {}, "f:name": {}, "f:value": {} } },
                "f:ports": {
                  ".": {},
                  'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} },
                },
              },
            },
            "f:volumes": { ".": {}, 'k:{"name":"v"}': { ".": {}, "f:name": {}, "f:emptyDir": {} } },
          },
        },
      },
    });
    const label = update(made, (one) => (one.metadata.labels = { app: "web", tier: "x" }), "labeller", later);
    expect(owned(label, "labeller")).toEqual({ "f:metadata": { "f:labels": { "f:tier": {} } } });
    const noted = update(made, (one) => (one.metadata.annotations = { a: "b" }), "annotator", later);
    expect(owned(noted, "annotator")).toEqual({ "f:metadata": { "f:annotations": { ".": {}, "f:a": {} } } });
    const bare = update(noted, (one) => delete one.metadata.annotations, "remover", later);
    expect(owned(bare, "annotator")).toBeUndefined();
  });

  test("of a custom resource everything but its metadata can be new", () => {
    const schema = { type: "object" as const };
    const value = { metadata: { labels: { a: "b" } }, spec: { size: { width: 1 } } };
    expect(toFieldsV1(setOf(value, { schema, whole: true }, "present"))).toEqual({
      "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
      "f:spec": { ".": {}, "f:size": { ".": {}, "f:width": {} } },
    });
  });

  test("no more than ten updaters are remembered by name", () => {
    let object = update(undefined, () => {}, "m0");
    for (let count = 1; count <= 15; count += 1) {
      const label = `l${count}`;
      object = update(
        object,
        (one) => (one.metadata.labels = { ...one.metadata.labels, [label]: "x" }),
        `m${count}`,
        new Date(now.getTime() + count * 1000),
      );
    }
    const names = object.metadata.managedFields?.map(({ manager }) => manager) ?? [];
    expect(names).toHaveLength(10);
    expect(names).toContain("ancient-changes");
  });
});
