import { describe, expect, it } from "vitest";
import { decodeFresh, decodeShared, encodeStored, servedParts } from "./stored.ts";

const object = {
  kind: "ConfigMap",
  data: { text: '"metadata":{ is a trap' },
  metadata: { name: "a", namespace: "b", resourceVersion: "7" },
  apiVersion: "v1",
};
const item = { key: "configmaps/b/a", value: encodeStored(object), createRevision: 3, modRevision: 42 };

describe("stored objects", () => {
  it("keep no resourceVersion", () => {
    expect(item.value.toString()).not.toContain("resourceVersion");
  });

  it("are served with the revision that wrote them, or that deleted them", () => {
    const served = (revision?: number): unknown => JSON.parse(Buffer.concat(servedParts(item, revision)).toString());
    expect(served()).toEqual({ ...object, metadata: { ...object.metadata, resourceVersion: "42" } });
    expect(served(50)).toMatchObject({ metadata: { resourceVersion: "50" } });
  });

  it("are parsed once for those who only look, and anew for those who change", () => {
    expect(decodeShared(item)).toBe(decodeShared(item));
    expect(decodeFresh(item)).not.toBe(decodeShared(item));
    expect(decodeFresh(item)).toEqual(decodeShared(item));
  });
});
