import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { decodeFresh, decodeShared, decodeSlim, encodeStored, servedParts } from "./stored.ts";

const object = {
  kind: "ConfigMap",
  data: { text: '"metadata":{ is a trap' },
  metadata: { name: "a", namespace: "b", resourceVersion: "7" },
  apiVersion: "v1",
};
const value = encodeStored(structuredClone(object))(42);
const item = { key: "configmaps/b/a", value, createRevision: 3, modRevision: 42 };
const older = Buffer.from('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}');

describe("stored objects", () => {
  it("hold the revision that wrote them, before all else of their metadata", () => {
    expect(value.toString()).toContain('"metadata":{"resourceVersion":"42","name":"a"');
    expect(value.toString().match(/resourceVersion/g)).toHaveLength(1);
  });

  it("are served as they lie there, or with the revision that deleted them", () => {
    expect(servedParts(item)).toEqual([value]);
    const served = (revision?: number): unknown => JSON.parse(Buffer.concat(servedParts(item, revision)).toString());
    expect(served()).toEqual({ ...object, metadata: { ...object.metadata, resourceVersion: "42" } });
    expect(served(50)).toEqual({ ...object, metadata: { ...object.metadata, resourceVersion: "50" } });
  });

  it("are served with their revision when they were stored without one", () => {
    const served = JSON.parse(Buffer.concat(servedParts({ ...item, value: older })).toString()) as unknown;
    expect(served).toMatchObject({ metadata: { name: "a", resourceVersion: "42" }, data: { k: "v" } });
  });

  it("are parsed once for those who only look, and anew for those who change", () => {
    const parsed = { ...item, value: Buffer.from(value) };
    expect(decodeShared(parsed)).toBe(decodeShared(parsed));
    expect(decodeFresh(parsed)).not.toBe(decodeShared(parsed));
    expect(decodeFresh(parsed)).toEqual(decodeShared(parsed));
  });

  it("need no parsing by those who see them first", () => {
    const written = structuredClone(object);
    const fresh = { ...item, value: encodeStored(written)(43), modRevision: 43 };
    expect(decodeShared(fresh)).toBe(written);
    expect(written.metadata.resourceVersion).toBe("43");
  });

  it.each(["web", "]", '],"', "]}}", '],"x":["'])(
    "are kept without managedFields, whatever these name (%j)",
    (name) => {
      const managedFields = [
        { manager: "a", fieldsV1: { [`f:${name}`]: { [`k:{"name":${JSON.stringify(name)}}`]: { ".": {} } } } },
        { manager: "b", subresource: "status" },
      ];
      for (const metadata of [
        { name: "a", managedFields },
        { name: "a", managedFields, ownerReferences: [{ name: "o" }] },
      ]) {
        const whole = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { list: "]}", more: ["x"] } };
        const bytes = Buffer.from(encodeStored(structuredClone(whole) as unknown as KubeObject)(42));
        const kept = decodeSlim({ ...item, value: bytes });
        const { managedFields: _, ...rest } = metadata;
        expect(kept).toEqual({ ...whole, metadata: { ...rest, resourceVersion: "42" } });
        expect(decodeSlim({ ...item, value: bytes })).toBe(kept);
      }
    },
  );
});
