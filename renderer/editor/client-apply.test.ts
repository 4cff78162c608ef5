/** Applying from the client's side: creating, what goes away, and kinds without strategic merge. */
import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../common/kube/object.ts";
import { StatusError } from "../../common/kube/status.ts";
import type { KubeApi, KubeRequest } from "../kube/api.ts";
import { applyFromClient, LAST_APPLIED, removedFields } from "./client-apply.ts";

const object: KubeObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", labels: { kept: "1" } },
  data: { key: "b" },
};

function recorder(refuse: string[] = []) {
  const requests: [path: string, method: string | undefined, type: string | undefined, body: KubeObject][] = [];
  const api = {
    request: (path: string, options: KubeRequest = {}) => {
      const type = options.headers?.["content-type"];
      requests.push([path, options.method, type, options.body as KubeObject]);
      if (type && refuse.includes(type)) return Promise.reject(new StatusError("UnsupportedMediaType", "no"));
      return Promise.resolve({ status: 200, headers: {}, body: "{}" });
    },
  } as unknown as KubeApi;
  return { api, requests };
}
const paths = { objectPath: "/one", collectionPath: "/all", object };

describe("applying from the client", () => {
  it("creates what is not there, remembering what was applied", async () => {
    const { api, requests } = recorder();
    await applyFromClient(api, { ...paths, live: undefined });
    const [path, method, , body] = requests[0] ?? [];
    expect([path, method]).toEqual(["/all", "POST"]);
    expect(JSON.parse(body?.metadata.annotations?.[LAST_APPLIED] ?? "")).toMatchObject({ data: { key: "b" } });
  });
  it("takes out what was applied before and is no longer there", async () => {
    const { api, requests } = recorder();
    const applied = JSON.stringify({ metadata: { labels: { kept: "1", gone: "2" } }, data: { key: "a", old: "x" } });
    await applyFromClient(api, {
      ...paths,
      live: { ...object, metadata: { name: "a", annotations: { [LAST_APPLIED]: applied } } },
    });
    expect(requests[0]?.[2]).toBe("application/strategic-merge-patch+json");
    expect(requests[0]?.[3]).toMatchObject({
      metadata: { labels: { kept: "1", gone: null } },
      data: { key: "b", old: null },
    });
  });
  it("falls back to a merge patch for custom resources", async () => {
    const { api, requests } = recorder(["application/strategic-merge-patch+json"]);
    await applyFromClient(api, {
      ...paths,
      live: { ...object, metadata: { name: "a", annotations: { [LAST_APPLIED]: "not json" } } },
    });
    expect(requests.map((request) => request[2])).toEqual([
      "application/strategic-merge-patch+json",
      "application/merge-patch+json",
    ]);
  });
  it("does not touch lists", () => {
    expect(removedFields({ list: [1, 2], map: { a: 1 } }, { list: [1], map: "text" })).toEqual({
      list: [1],
      map: "text",
    });
  });
});
