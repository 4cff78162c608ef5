import { expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import { isStatic, MIRROR, mirrorPlan, runtimePod, staticPod } from "./static-pods.ts";

const manifest = (name: string, image = "a:1"): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [{ name: "main", image }] },
});
const made = (name: string, image?: string): Pod =>
  staticPod(manifest(name, image), JSON.stringify(manifest(name, image)), "node-1");
const mirrorOf = (pod: Pod, more: object = {}): Pod =>
  ({
    ...pod,
    metadata: {
      ...pod.metadata,
      uid: "of-the-api",
      annotations: { ...pod.metadata.annotations, [MIRROR]: pod.metadata.uid },
      ...more,
    },
  }) as Pod;

it("makes a Pod of this node from a manifest, another one when it changes", () => {
  const pod = made("etcd");
  expect(pod.metadata).toMatchObject({ name: "etcd-node-1", namespace: "default" });
  expect(pod.spec).toMatchObject({ nodeName: "node-1", restartPolicy: "Always" });
  expect(isStatic(pod)).toBe(true);
  expect(made("etcd").metadata.uid).toBe(pod.metadata.uid);
  expect(made("etcd", "a:2").metadata.uid).not.toBe(pod.metadata.uid);
});

it("says what is wrong with a manifest", () => {
  expect(() => staticPod({ apiVersion: "apps/v1", kind: "Deployment" }, "", "n")).toThrow("not a v1 Pod but apps/v1");
  expect(() => staticPod(null, "", "n")).toThrow("not a v1 Pod");
  expect(() => staticPod({ ...manifest(""), metadata: {} }, "", "n")).toThrow("without a name");
  expect(() => staticPod({ ...manifest("a"), spec: {} }, "", "n")).toThrow("without containers");
});

it("runs a mirror under the uid of what it mirrors", () => {
  const pod = made("etcd");
  expect(runtimePod(mirrorOf(pod)).metadata.uid).toBe(pod.metadata.uid);
  expect(runtimePod(pod)).toBe(pod);
});

it("keeps a mirror for each, and none besides", () => {
  const pod = made("etcd");
  const names = (pods: Pod[]): (string | undefined)[] => pods.map(({ metadata }) => metadata.name);
  const plan = (wanted: Pod[], mirrors: Pod[]): (string | undefined)[][] => {
    const { create, remove } = mirrorPlan(wanted, mirrors);
    return [names(create), names(remove)];
  };
  expect(plan([pod], [])).toEqual([["etcd-node-1"], []]);
  expect(plan([pod], [mirrorOf(pod)])).toEqual([[], []]);
  expect(plan([], [mirrorOf(pod)])).toEqual([[], ["etcd-node-1"]]);
  expect(plan([made("etcd", "a:2")], [mirrorOf(pod)])).toEqual([["etcd-node-1"], ["etcd-node-1"]]);
  expect(plan([pod], [mirrorOf(pod, { deletionTimestamp: "2026-01-01T00:00:00Z" })])).toEqual([
    ["etcd-node-1"],
    ["etcd-node-1"],
  ]);
});
