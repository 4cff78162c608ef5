import { decode, encode } from "dns-packet";
import type { Packet } from "dns-packet";
import { expect, it } from "vitest";
import { DnsCache } from "./cache.ts";

const query = (name: string, id = 1): Buffer =>
  encode({ type: "query", id, flags: 0x0100, questions: [{ type: "A", name }] } as Packet);
const answer = (name: string, more: object): Buffer =>
  encode({ type: "response", id: 1, flags: 0x8180, questions: [{ type: "A", name }], ...more } as Packet);
const address = (name: string, ttl: number): object => ({ answers: [{ type: "A", name, ttl, data: "192.0.2.1" }] });

it("answers with the asker's id and with what is left of the records' life", () => {
  let now = 0;
  const cache = new DnsCache(() => now);
  cache.put(query("a.example"), answer("a.example", address("a.example", 20)));
  now = 5_500;
  const known = decode(cache.get(query("A.Example", 77)) as Buffer);
  expect(known.id).toBe(77);
  expect(known.answers).toMatchObject([{ name: "a.example", ttl: 15, data: "192.0.2.1" }]);
  now = 20_000;
  expect(cache.get(query("a.example"))).toBeUndefined();
  expect(cache.get(query("b.example"))).toBeUndefined();
});

it("keeps nothing for longer than half a minute", () => {
  let now = 0;
  const cache = new DnsCache(() => now);
  cache.put(query("a.example"), answer("a.example", address("a.example", 3600)));
  now = 29_999;
  expect(cache.get(query("a.example"))).toBeDefined();
  now = 30_000;
  expect(cache.get(query("a.example"))).toBeUndefined();
});

it("believes that a name is not there for as long as the zone says", () => {
  let now = 0;
  const cache = new DnsCache(() => now);
  const soa = { mname: "ns", rname: "root", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 4 };
  const authorities = [{ type: "SOA", name: "example", ttl: 60, data: soa }];
  cache.put(query("no.example"), answer("no.example", { flags: 0x8183, authorities }));
  now = 3_900;
  expect(cache.get(query("no.example"))).toBeDefined();
  now = 4_000;
  expect(cache.get(query("no.example"))).toBeUndefined();
});

it("keeps neither errors nor what was cut off nor what says nothing of its life", () => {
  const cache = new DnsCache(() => 0);
  cache.put(query("a.example"), answer("a.example", { flags: 0x8182 }));
  cache.put(query("a.example"), answer("a.example", { ...address("a.example", 9), flags: 0x8380 }));
  cache.put(query("a.example"), answer("a.example", {}));
  cache.put(query("a.example"), Buffer.from("no message at all"));
  expect(cache.get(query("a.example"))).toBeUndefined();
});

it("tells apart whom was asked", () => {
  const cache = new DnsCache(() => 0);
  cache.put(query("a.example"), answer("a.example", address("a.example", 9)), "10.0.0.1:53");
  expect(cache.get(query("a.example"), "10.0.0.2:53")).toBeUndefined();
  expect(cache.get(query("a.example"), "10.0.0.1:53")).toBeDefined();
});
