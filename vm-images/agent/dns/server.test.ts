import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import type { AddressInfo } from "node:net";
import { decode, encode } from "dns-packet";
import type { DecodedPacket, Packet, RecordType } from "dns-packet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Log } from "../log.ts";
import { parseCorefile } from "./corefile.ts";
import type { DnsData } from "./records.ts";
import { DnsServer } from "./server.ts";
import { Upstream } from "./upstream.ts";

const NOTHING: DnsData = {
  domain: "cluster.local",
  service: () => undefined,
  slices: () => [],
  namespaceExists: () => false,
  namesOf: () => [],
  isClusterAddress: () => false,
};

let opened: Socket[] = [];
let dns: DnsServer;
let asked: string[];

/** A name server that says `address` to every question, and its own port. */
async function nameServer(name: string, address: string): Promise<number> {
  const socket = createSocket("udp4");
  opened.push(socket);
  socket.on("message", (message, from) => {
    const { id, questions = [] } = decode(message);
    const question = questions[0]?.name ?? "";
    asked.push(`${name}: ${question}`);
    const answers = [{ type: "A", name: question, ttl: 9, data: address }];
    socket.send(encode({ type: "response", id: id ?? 0, questions, answers } as Packet), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return (socket.address() as AddressInfo).port;
}

async function ask(name: string, type: RecordType = "A"): Promise<DecodedPacket> {
  const reply = await dns.answer(encode({ type: "query", id: 7, flags: 0x0100, questions: [{ type, name }] }), true);
  return decode(reply as Buffer);
}
const addresses = ({ answers = [] }: DecodedPacket): unknown[] =>
  answers.map((answer) => (answer as { data: unknown }).data);

beforeEach(async () => {
  asked = [];
  const upstream = new Upstream(["127.0.0.1"], await nameServer("node", "192.0.2.1"));
  dns = new DnsServer(NOTHING, upstream, new Log(() => undefined));
});
afterEach(() => {
  dns.close();
  for (const socket of opened) socket.close();
  opened = [];
});

describe("names outside the cluster", () => {
  it("are asked of the node's servers, and those of a zone of the zone's", async () => {
    const port = await nameServer("corp", "192.0.2.2");
    const { zones } = parseCorefile(`corp.example {\n  forward . 127.0.0.1:${port}\n}\n`);
    expect(addresses(await ask("www.corp.example"))).toEqual(["192.0.2.1"]);
    dns.useZones(zones);
    // What the node's servers had said before is not what the zone's would say.
    expect(addresses(await ask("www.corp.example"))).toEqual(["192.0.2.2"]);
    expect(addresses(await ask("www.example"))).toEqual(["192.0.2.1"]);
    expect(asked).toEqual(["node: www.corp.example", "corp: www.corp.example", "node: www.example"]);
  });

  it("are answered from a zone's own hosts, with nothing for another family", async () => {
    dns.useZones(parseCorefile("lab.example {\n  hosts {\n    10.9.8.7 printer.lab.example\n  }\n}\n").zones);
    const known = await ask("Printer.lab.example");
    expect(addresses(known)).toEqual(["10.9.8.7"]);
    expect(known.id).toBe(7);
    expect(await ask("printer.lab.example", "AAAA")).toMatchObject({ rcode: "NOERROR", answers: [] });
    expect(asked).toEqual([]);
  });
});
