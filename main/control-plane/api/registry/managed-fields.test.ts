import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { deployment } from "../../resources/apps/deployment.ts";
import { trackWrite } from "./managed-fields.ts";

const object = (status: object): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: { replicas: 1 },
  status,
});
const now = new Date("2026-01-01T00:00:00Z");
const owned = ({ metadata }: KubeObject): unknown[] =>
  (metadata.managedFields ?? []).map(({ manager, subresource, fieldsV1 }) => [manager, subresource ?? "", fieldsV1]);

describe("the status", () => {
  it("is nobody's by a write of the object, even of one that sends it", async () => {
    const made = object({});
    await trackWrite(undefined, made, { definition: deployment, fieldManager: "kubectl" }, false, now);
    expect(owned(made)).toEqual([["kubectl", "", { "f:spec": { "f:replicas": {} } }]]);
  });

  it("is owned by who writes it by its subresource", async () => {
    const made = object({});
    await trackWrite(undefined, made, { definition: deployment, fieldManager: "kubectl" }, false, now);
    const after = { ...structuredClone(made), status: { replicas: 1 } };
    const subresource = deployment.subresources?.find(({ name }) => name === "status");
    await trackWrite(
      made,
      after,
      { definition: deployment, fieldManager: "controller", ...(subresource ? { subresource } : {}) },
      false,
      now,
    );
    expect(owned(after)).toEqual([
      ["kubectl", "", { "f:spec": { "f:replicas": {} } }],
      ["controller", "status", { "f:status": { "f:replicas": {} } }],
    ]);
  });
});
