import { expect, test } from "vitest";
import { isStatus } from "../../../../common/kube/status.ts";
import { FakeClient } from "../../testing/fake-client.ts";
import { commit, difference } from "./committer.ts";
import { kinds } from "./kinds.ts";

test.each([
  [{ a: 1 }, { a: 1 }, undefined],
  [{ a: 1 }, { a: 2 }, { a: 2 }],
  [{ a: 1, b: { c: 1, d: 2 } }, { b: { c: 1 } }, { a: null, b: { d: null } }],
  [{ a: [1, 2] }, { a: [1, 2] }, undefined],
  [{ a: [{ b: 1 }] }, { a: [{ b: 2 }] }, { a: [{ b: 2 }] }],
  [{ a: undefined }, {}, undefined],
  [{}, { a: {}, b: [] }, undefined],
])("the difference of %j and %j is %j", (old, next, patch) => {
  expect(difference(old, next)).toEqual(patch);
});

const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "a", namespace: "n", uid: "u" },
  spec: { a: 1 },
  status: { b: 1 },
};

test("spec and status go different ways, never together; a stale copy is refused; no change is no write", async () => {
  const client = new FakeClient();
  const old = client.put(kinds.services, service);
  expect(await commit(client, kinds.services, old, structuredClone(old))).toBe(old);
  const spec = await commit(client, kinds.services, old, { ...old, spec: { a: 2 } });
  const status = await commit(client, kinds.services, spec, { ...spec, status: { b: 2 } });
  expect(status).toMatchObject({ spec: { a: 2 }, status: { b: 2 } });
  expect(client.writes).toEqual(["patch services n/a", "patch services/status n/a"]);
  await expect(commit(client, kinds.services, old, { ...old, spec: { a: 3 } })).rejects.toSatisfy((error) =>
    isStatus(error, "Conflict"),
  );
  await expect(commit(client, kinds.services, status, { ...status, spec: { a: 3 }, status: { b: 3 } })).rejects.toThrow(
    "both status and spec",
  );
});
