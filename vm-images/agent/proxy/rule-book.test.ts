import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import { Watched } from "../api/watched.ts";
import { RuleBook } from "./rule-book.ts";
import { proxyRules } from "./rules.ts";
import type { Ruleset } from "./rules.ts";
import { ServiceIndex } from "./service-index.ts";
import { transaction } from "./transaction.ts";

const PARTS = ["chains", "sets", "services", "nodePorts", "udp"] as const;
const none = (): Ruleset => ({
  chains: new Map(),
  sets: new Map(),
  services: new Map(),
  nodePorts: new Map(),
  udp: new Map(),
});

function piece(name: string, spec: object, addresses: string[]): Ruleset {
  const service = { metadata: { name, namespace: "default" }, spec } as unknown as Service;
  const slice = {
    metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  } as unknown as EndpointSlice;
  return proxyRules({
    services: [service],
    slices: [slice],
    hostPorts: [],
    nodeName: "here",
    clusterCIDR: "10.244.0.0/16",
    clusterDNS: "10.96.0.10",
  });
}

/** A piece of a Service with one of a few external addresses, which others may have too. */
const spec = fc.record({
  outside: fc.constantFrom("192.0.2.1", "192.0.2.2"),
  affinity: fc.constantFrom("None", "ClientIP"),
  endpoints: fc.uniqueArray(fc.constantFrom("10.244.1.2", "10.244.1.3", "10.244.2.2"), { maxLength: 3 }),
});
const step = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.option(spec, { nil: undefined }), { minKeys: 1 });

describe("RuleBook", () => {
  it("brings the kernel to what all pieces say, whatever changed on the way, also where they claim the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const book = new RuleBook();
        const kernel = none();
        const pieces = new Map<string, Ruleset | undefined>();
        for (const changes of steps) {
          const revised = new Map(
            Object.entries(changes).map(([name, wish]) => [
              name,
              wish &&
                piece(
                  name,
                  {
                    clusterIP: `10.96.1.${name.codePointAt(0)}`,
                    externalIPs: [wish.outside],
                    sessionAffinity: wish.affinity,
                    ports: [{ port: 80, nodePort: 30_080 }],
                  },
                  wish.endpoints,
                ),
            ]),
          );
          for (const [name, made] of revised) pieces.set(name, made);
          const { old, next } = book.revise(revised);
          for (const part of PARTS) {
            const there = kernel[part] as Map<string, unknown>;
            // What it says was there must be what is there: nft deletes nothing that is not.
            for (const [key, value] of old[part]) expect(there.get(key)).toEqual(value);
            for (const key of old[part].keys()) there.delete(key);
            for (const [key, value] of next[part]) there.set(key, value);
          }
        }
        const whole = new RuleBook().revise(pieces).next;
        expect(transaction(kernel, whole)).toBe("");
      }),
      { numRuns: 200 },
    );
  });

  it("has nothing to do with the pieces that a change does not touch", () => {
    const book = new RuleBook();
    const ports = [{ port: 80 }];
    book.revise(
      new Map(["a", "b", "c"].map((name, index) => [name, piece(name, { clusterIP: `10.96.1.${index}`, ports }, [])])),
    );
    const { old, next } = book.revise(new Map([["b", piece("b", { clusterIP: "10.96.1.1", ports }, ["10.244.1.9"])]]));
    expect([...old.services.keys(), ...next.services.keys()]).toEqual(["10.96.1.1 . tcp . 80"]);
  });
});

describe("ServiceIndex", () => {
  it("names the Services that a change concerns: also the one that a slice was of before", async () => {
    const log = { info: () => undefined, error: () => undefined } as never;
    const slice = (service: string, resourceVersion: string): EndpointSlice =>
      ({
        metadata: {
          name: "s-1",
          namespace: "default",
          resourceVersion,
          labels: { "kubernetes.io/service-name": service },
        },
        addressType: "IPv4",
        ports: [],
        endpoints: [],
      }) as unknown as EndpointSlice;
    const end = new AbortController();
    const client = (events: object[], first: object[]): never =>
      ({
        list: async () => ({ items: first, metadata: { resourceVersion: "1" } }),
        async *watch() {
          yield* events;
          end.abort();
        },
      }) as never;
    const gvr = { group: "", version: "v1", resource: "things" };
    const services = new Watched<Service>(client([], []), gvr, {}, log);
    const events = [
      { type: "MODIFIED", object: slice("new", "2") },
      { type: "DELETED", object: slice("new", "3") },
    ];
    const slices = new Watched<EndpointSlice>(client(events, [slice("old", "1")]), gvr, {}, log);
    const heard: string[][] = [];
    const index: ServiceIndex = new ServiceIndex(services, slices, () => heard.push([...index.take()]));
    await slices.run(end.signal);
    expect(heard).toEqual([["default/old"], ["default/old", "default/new"], ["default/new"]]);
    expect(index.slices("default/new")).toEqual([]);
  });
});
