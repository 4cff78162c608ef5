/** The cluster's DNS on this node: UDP and TCP on the cluster DNS address, which every node has on its loopback. */
import { createSocket } from "node:dgram";
import type { Socket as UdpSocket } from "node:dgram";
import { createServer, isIP } from "node:net";
import type { Server, Socket } from "node:net";
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import type { Answer, DecodedPacket, Packet, Question, RecordType } from "dns-packet";
import type { Log } from "../log.ts";
import { describeError } from "../log.ts";
import { zoneOf } from "./corefile.ts";
import type { ServerAddress, Zone } from "./corefile.ts";
import { resolve, soa } from "./records.ts";
import type { DnsData } from "./records.ts";
import type { Upstream } from "./upstream.ts";

const RCODE = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 };
/** Seconds; as short as CoreDNS' hosts plugin is not, so that a change is seen soon. */
const HOSTS_TTL = 30;
const PLAIN_UDP = 512;
const TCP_IDLE = 10_000;

export class DnsServer {
  readonly #data: DnsData;
  readonly #upstream: Upstream;
  readonly #log: Log;
  #zones: readonly Zone[] = [];
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;

  constructor(data: DnsData, upstream: Upstream, log: Log) {
    this.#data = data;
    this.#upstream = upstream;
    this.#log = log;
  }

  /** Names of these zones are answered as they say. */
  useZones(zones: readonly Zone[]): void {
    this.#zones = zones;
  }

  async listen(address: string, port = 53): Promise<number> {
    const udp = createSocket("udp4");
    udp.on("message", (message, from) => {
      void this.answer(message, true).then((reply) => reply && udp.send(reply, from.port, from.address));
    });
    await new Promise<void>((listening, failed) => {
      udp.once("error", failed);
      udp.bind(port, address, () => {
        udp.off("error", failed);
        udp.on("error", (error) => this.#log.error("dns", "udp", error));
        listening();
      });
    });
    this.#udp = udp;
    const chosen = udp.address().port;
    const tcp = createServer((socket) => this.#stream(socket));
    await new Promise<void>((listening, failed) => tcp.once("error", failed).listen(chosen, address, listening));
    this.#tcp = tcp;
    return chosen;
  }

  close(): void {
    this.#udp?.close();
    this.#tcp?.close();
    this.#upstream.close();
  }

  /** The reply to one message; undefined when it is not worth one. */
  async answer(message: Buffer, udp: boolean): Promise<Buffer | undefined> {
    let query: DecodedPacket;
    try {
      query = decode(message);
    } catch {
      return undefined;
    }
    if (query.type !== "query") return undefined;
    try {
      const reply = await this.#reply(query, message, udp ? "udp" : "tcp");
      return udp ? truncate(reply, query) : reply;
    } catch (error) {
      this.#log.info("dns", `${query.questions?.[0]?.name}: ${describeError(error)}`);
      return encode({
        type: "response",
        id: query.id ?? 0,
        flags: RCODE.SERVFAIL | RECURSION_AVAILABLE,
        questions: query.questions ?? [],
      } as Packet);
    }
  }

  async #reply(query: DecodedPacket, message: Buffer, way: "udp" | "tcp"): Promise<Buffer> {
    const [question] = query.questions ?? [];
    const result = question && resolve(question, this.#data);
    if (!question || !result) {
      const zone = question && zoneOf(this.#zones, question.name);
      const known = zone && fromHosts(zone, question, query);
      if (known) return known;
      const answer = await this.#upstream.ask(message, way, this.#serversOf(zone));
      if (!answer) throw new Error("no answer from upstream");
      return answer;
    }
    const answers = [...result.answers];
    if (result.follow) answers.push(...(await this.#follow(result.follow, question.type)));
    const empty = answers.length === 0;
    const recursion = (query.flags ?? 0) & RECURSION_DESIRED;
    return encode({
      type: "response",
      id: query.id ?? 0,
      flags: RCODE[result.rcode] | AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | recursion,
      questions: [question],
      answers,
      additionals: result.additionals,
      authorities: empty ? [soa(this.#data.domain)] : [],
    } as Packet);
  }

  /** undefined: the node's. */
  #serversOf(zone: Zone | undefined): ServerAddress[] | undefined {
    if (!zone || zone.servers.length === 0) return undefined;
    return zone.servers.flatMap((server) => (server === "node" ? this.#upstream.servers : [server]));
  }

  /** The records of the name that an ExternalName Service stands for. */
  async #follow(name: string, type: RecordType): Promise<Answer[]> {
    const inside = resolve({ name, type }, this.#data);
    if (inside) return inside.answers;
    const answer = await this.#upstream.ask(
      encode({ type: "query", id: 1, flags: RECURSION_DESIRED, questions: [{ type, name }] } as Packet),
      "udp",
      this.#serversOf(zoneOf(this.#zones, name)),
    );
    return answer ? (decode(answer).answers ?? []) : [];
  }

  /** DNS over TCP: each message after its length in two bytes. */
  #stream(socket: Socket): void {
    let rest: Buffer = Buffer.alloc(0);
    socket.setTimeout(TCP_IDLE, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const length = rest.readUInt16BE(0);
        const message = rest.subarray(2, 2 + length);
        rest = rest.subarray(2 + length);
        void this.answer(message, false).then((reply) => {
          if (!reply) return socket.destroy();
          const header = Buffer.alloc(2);
          header.writeUInt16BE(reply.length);
          socket.write(Buffer.concat([header, reply]));
        });
      }
    });
  }
}

/** The answer of a zone's own list of hosts; undefined for names that are not in it. */
function fromHosts(zone: Zone, question: Question, query: DecodedPacket): Buffer | undefined {
  const addresses = zone.hosts.get(question.name.toLowerCase());
  if (!addresses) return undefined;
  const family = question.type === "A" ? 4 : question.type === "AAAA" ? 6 : 0;
  const answers = addresses
    .filter((address) => isIP(address) === family)
    .map((data) => ({ type: question.type, name: question.name, ttl: HOSTS_TTL, data }));
  const recursion = (query.flags ?? 0) & RECURSION_DESIRED;
  return encode({
    type: "response",
    id: query.id ?? 0,
    flags: RCODE.NOERROR | AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | recursion,
    questions: [question],
    answers,
  } as Packet);
}

/** What does not fit into the client's datagram is asked for again over TCP. */
function truncate(reply: Buffer, query: DecodedPacket): Buffer {
  const options = query.additionals?.find((record) => record.type === "OPT") as { udpPayloadSize?: number } | undefined;
  const limit = Math.max(PLAIN_UDP, options?.udpPayloadSize ?? PLAIN_UDP);
  if (reply.length <= limit) return reply;
  const { id, questions } = query;
  return encode({
    type: "response",
    id: id ?? 0,
    flags: TRUNCATED_RESPONSE | RECURSION_AVAILABLE,
    questions: questions ?? [],
  } as Packet);
}
