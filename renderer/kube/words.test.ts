/** Ages, sizes, quantities, tones, rooms, paths: the small tables. */
import { describe, expect, it } from "vitest";
import { elapsed, humanBytes, humanDuration } from "./age.ts";
import { kubePath, lines, statusErrorOf } from "./api.ts";
import { pluralOf, resourcesOf, roomsOf, type ResourceInfo } from "./discovery.ts";
import { bytesOf } from "./quantity.ts";
import { toneOf, toneOfRatio } from "./tone.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("ages as kubectl writes them", () => {
  it.each([
    [0, "0s"],
    [119_000, "119s"],
    [2 * MINUTE, "2m"],
    [3 * MINUTE + 5000, "3m5s"],
    [10 * MINUTE, "10m"],
    [179 * MINUTE, "179m"],
    [3 * HOUR, "3h"],
    [7 * HOUR + 59 * MINUTE, "7h59m"],
    [8 * HOUR, "8h"],
    [47 * HOUR, "47h"],
    [2 * DAY, "2d"],
    [7 * DAY + 5 * HOUR, "7d5h"],
    [8 * DAY, "8d"],
    [729 * DAY, "729d"],
    [730 * DAY, "2y"],
    [3000 * DAY, "8y"],
  ])("%i ms is %s", (ms, text) => expect(humanDuration(ms)).toBe(text));
});

describe("step times and sizes", () => {
  it.each([
    [400, "0.4 s"],
    [12_300, "12 s"],
    [185_000, "3 min 5 s"],
    [-5, "0 s"],
  ])("%i ms", (ms, text) => expect(elapsed(ms)).toBe(text));
  it.each([
    [0, "0 B"],
    [1536, "1.5 KiB"],
    [1024 ** 3, "1 GiB"],
    [525 * 1024 ** 2, "525 MiB"],
  ])("%i bytes", (bytes, text) => expect(humanBytes(bytes)).toBe(text));
  it.each([
    ["512Mi", 536_870_912],
    ["1500m", 1.5],
    ["2e3", 2000],
    ["1E", 1e18],
    ["3", 3],
    ["50M", 5e7],
  ])("quantity %s", (text, value) => expect(bytesOf(text)).toBe(value));
  it("refuses what is no quantity", () => expect(bytesOf("12 apples")).toBeNaN());
});

describe("tones", () => {
  it.each([
    ["Running", "ok"],
    ["Ready,SchedulingDisabled", "warn"],
    ["NotReady,SchedulingDisabled", "bad"],
    ["Init:0/2", "busy"],
    ["Init:CrashLoopBackOff", "bad"],
    ["ContainerCreating", "busy"],
    ["ErrImagePull", "bad"],
    ["ExitCode:3", "bad"],
    ["Whatever", "idle"],
    ["Pod:PreCreateHookError", "bad"],
  ])("%s", (word, tone) => {
    expect(toneOf(word)).toBe(tone);
  });
  it("tells whole from partial", () => {
    expect([toneOfRatio("2/2"), toneOfRatio("1/2"), toneOfRatio("0/0"), toneOfRatio("10.0.0.0/8")]).toEqual([
      "ok",
      "busy",
      "idle",
      undefined,
    ]);
  });
});

describe("discovery", () => {
  const list = {
    items: [
      {
        metadata: { name: "apps" },
        versions: [
          {
            version: "v1",
            resources: [
              {
                resource: "deployments",
                responseKind: { kind: "Deployment" },
                scope: "Namespaced",
                verbs: ["list", "get"],
                shortNames: ["deploy"],
                subresources: [{ subresource: "scale" }],
              },
            ],
          },
          {
            version: "v1beta1",
            resources: [
              { resource: "deployments", responseKind: { kind: "Deployment" }, scope: "Namespaced", verbs: ["list"] },
            ],
          },
        ],
      },
      {
        metadata: { name: "authentication.k8s.io" },
        versions: [
          {
            version: "v1",
            resources: [{ resource: "tokenreviews", responseKind: { kind: "TokenReview" }, verbs: ["create"] }],
          },
        ],
      },
      {
        metadata: { name: "ships.example.com" },
        versions: [
          {
            version: "v1",
            resources: [{ resource: "ships", responseKind: { kind: "Ship" }, scope: "Cluster", verbs: ["list"] }],
          },
        ],
      },
    ],
  };
  it("takes what can be listed, once, in the preferred version", () => {
    const found = resourcesOf(list);
    expect(found.map((entry) => `${entry.resource}.${entry.group}/${entry.version}`)).toEqual([
      "deployments.apps/v1",
      "ships.ships.example.com/v1",
    ]);
    expect(found[0]).toMatchObject({ namespaced: true, subresources: ["scale"] });
  });
  it("gives kinds nobody knows a room of their own", () => {
    expect(roomsOf(resourcesOf(list)).map((room) => [room.title, room.resources.map((entry) => entry.kind)])).toEqual([
      ["Workloads", ["Deployment"]],
      ["Other", ["Ship"]],
    ]);
  });
  it("shows events once", () => {
    const events: ResourceInfo[] = ["", "events.k8s.io"].map((group) => ({
      group,
      version: "v1",
      resource: "events",
      kind: "Event",
      namespaced: true,
      verbs: ["list"],
      shortNames: [],
      categories: [],
      subresources: [],
    }));
    expect(roomsOf(events).flatMap((room) => room.resources)).toHaveLength(1);
  });
  it.each([
    ["Pod", "Pods"],
    ["Ingress", "Ingresses"],
    ["NetworkPolicy", "NetworkPolicies"],
    ["Endpoints", "Endpoints"],
    ["Gateway", "Gateways"],
  ])("plural of %s", (kind, plural) => expect(pluralOf(kind)).toBe(plural));
});

describe("the API", () => {
  it("builds paths", () => {
    const pods = { group: "", version: "v1", resource: "pods" };
    expect(kubePath(pods)).toBe("/api/v1/pods");
    expect(
      kubePath(
        { group: "apps", version: "v1", resource: "deployments" },
        { namespace: "a b", name: "web", subresource: "scale", query: { dryRun: "All", force: false, x: undefined } },
      ),
    ).toBe("/apis/apps/v1/namespaces/a%20b/deployments/web/scale?dryRun=All&force=false");
  });
  it("joins pieces into lines, the last one without its newline too", async () => {
    async function* pieces() {
      yield* ["a", "b\nc\n", "", "\nd"];
    }
    const joined: string[] = [];
    for await (const line of lines(pieces())) joined.push(line);
    expect(joined).toEqual(["ab", "c", "", "d"]);
  });
  it("makes an error of answers that are no Status", () => {
    expect(statusErrorOf(404, "not here")).toMatchObject({ reason: "NotFound", message: "not here" });
    expect(statusErrorOf(502, "")).toMatchObject({ message: "The API server answered 502." });
    expect(
      statusErrorOf(409, JSON.stringify({ kind: "Status", reason: "Conflict", code: 409, message: "changed" })),
    ).toMatchObject({ reason: "Conflict" });
  });
});
