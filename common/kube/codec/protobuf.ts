/**
 * Kubernetes' protobuf encoding, both ways, driven by the schema facts. An object travels as
 * `k8s\0` + runtime.Unknown{ typeMeta = 1 { apiVersion = 1, kind = 2 }, raw = 2 }.
 */
import { embeddedMessages, factsFor, typeFact } from "../facts/index.ts";
import type { FieldFact, TypeFact } from "../facts/index.ts";
import type { KubeObject } from "../object.ts";
import { parseApiVersion } from "../object.ts";
import { fromBigInt, parseExact } from "./exact-integers.ts";
import { WireError, WireWriter, readFields, readString } from "./wire.ts";
import type { WireField } from "./wire.ts";

const MAGIC = [0x6b, 0x38, 0x73, 0x00];
type Struct = Record<string, unknown>;

/** Decodes an enveloped object. Throws WireError on malformed input and kinds without facts. */
export function decodeProtobuf(bytes: Uint8Array): KubeObject {
  if (!MAGIC.every((byte, at) => bytes[at] === byte))
    throw new WireError("provided data does not appear to be a protobuf message, expected prefix k8s\\x00");
  let apiVersion = "";
  let kind = "";
  let raw: Uint8Array = new Uint8Array();
  for (const field of readFields(bytes.subarray(4))) {
    if (field.number === 1 && field.bytes) {
      for (const inner of readFields(field.bytes)) {
        if (inner.number === 1) apiVersion = readString(inner.bytes);
        else if (inner.number === 2) kind = readString(inner.bytes);
      }
    } else if (field.number === 2 && field.bytes) raw = field.bytes;
  }
  const fact = factsFor({ ...parseApiVersion(apiVersion), kind });
  if (!fact) throw new WireError(`no kind "${kind}" is registered for version "${apiVersion}"`);
  const object: Struct = { apiVersion, kind };
  readMessage(raw, fact, object);
  if (object["metadata"] === undefined && fact.fields.has("metadata")) object["metadata"] = {};
  return object as KubeObject;
}

/**
 * Encodes an object of a built-in kind with its envelope. `fact`: what it is, where its apiVersion and kind do not say
 * (a Status is of every version). Throws WireError where there are no facts.
 */
export function encodeProtobuf(
  object: { apiVersion: string; kind: string; [field: string]: unknown },
  fact: TypeFact | undefined = factsFor({ ...parseApiVersion(object.apiVersion), kind: object.kind }),
): Uint8Array {
  if (!fact) throw new WireError(`no kind "${object.kind}" is registered for version "${object.apiVersion}"`);
  const typeMeta = new WireWriter();
  typeMeta.string(1, object.apiVersion);
  typeMeta.string(2, object.kind);
  const unknown = new WireWriter();
  unknown.bytes(1, typeMeta.finish());
  unknown.bytes(2, writeMessage(object, fact));
  unknown.string(3, "");
  unknown.string(4, "");
  const body = unknown.finish();
  const out = new Uint8Array(4 + body.length);
  out.set(MAGIC);
  out.set(body, 4);
  return out;
}

interface Numbered {
  own: Map<number, [name: string, field: FieldFact]>;
  embedded: Map<number, TypeFact>;
}
const numbered = new Map<string, Numbered>();

function byNumber(fact: TypeFact): Numbered {
  let known = numbered.get(fact.id);
  if (!known) {
    known = { own: new Map(), embedded: new Map() };
    for (const [name, field] of fact.fields)
      if (field.embeddedIn === undefined && field.number > 0) known.own.set(field.number, [name, field]);
    for (const { number, type } of embeddedMessages(fact.id)) {
      const inner = typeFact(type);
      if (inner) known.embedded.set(number, inner);
    }
    numbered.set(fact.id, known);
  }
  return known;
}

function readMessage(bytes: Uint8Array, fact: TypeFact, into: Struct): void {
  const { own, embedded } = byNumber(fact);
  for (const wire of readFields(bytes)) {
    const inner = embedded.get(wire.number);
    if (inner && wire.bytes) {
      readMessage(wire.bytes, inner, into);
      continue;
    }
    const known = own.get(wire.number);
    // A field from a newer API: dropped, as a server that does not know it would.
    if (!known) continue;
    const [name, field] = known;
    if (field.map) {
      const entry = readEntry(wire, field);
      ((into[name] ??= {}) as Struct)[entry.key] = entry.value;
    } else if (field.list && !field.namedList) {
      ((into[name] ??= []) as unknown[]).push(...readRepeated(wire, field));
    } else if (field.list) {
      into[name] = [...readFields(wire.bytes ?? new Uint8Array())].flatMap((item) => readRepeated(item, field));
    } else {
      const value = readValue(wire, field);
      const zero = value === "" || value === 0 || value === false;
      if (value !== undefined && !(zero && field.omitempty && !field.pointer)) into[name] = value;
    }
  }
}

function readEntry(wire: WireField, field: FieldFact): { key: string; value: unknown } {
  let key = "";
  let value: unknown;
  for (const part of readFields(wire.bytes ?? new Uint8Array())) {
    if (part.number === 1) key = readString(part.bytes);
    else if (part.number === 2)
      value = field.listValues
        ? [...readFields(part.bytes ?? new Uint8Array())].map((item) => readString(item.bytes))
        : readValue(part, field);
  }
  return { key, value: value ?? absentValue(field) };
}

/** What a map's entry without a value stands for. */
function absentValue(field: FieldFact): unknown {
  if (field.listValues) return [];
  if (field.type === "string" || field.type === "bytes") return "";
  return field.type === "Time" || field.type === "MicroTime" ? null : {};
}

function readRepeated(wire: WireField, field: FieldFact): unknown[] {
  // Integers may come packed into one field.
  if (wire.bytes && (field.type === "int32" || field.type === "int64")) {
    const values: unknown[] = [];
    let at = 0;
    while (at < wire.bytes.length) {
      let end = at;
      while ((wire.bytes[end] ?? 0) >= 0x80) end += 1;
      const one = Uint8Array.from([8, ...wire.bytes.subarray(at, end + 1)]);
      for (const item of readFields(one)) values.push(int64(item.varint));
      at = end + 1;
    }
    return values;
  }
  return [readValue(wire, field)];
}

function int64(value: bigint | undefined): number | bigint {
  if (value === undefined) throw new WireError("wrong wireType for an integer");
  return fromBigInt(value);
}

function integer(value: bigint | undefined): number {
  const number = int64(value);
  if (typeof number === "bigint") throw new WireError(`integer ${number} is out of range`);
  return number;
}

function readValue(wire: WireField, field: FieldFact): unknown {
  switch (field.type) {
    case "string":
      return readString(wire.bytes);
    case "int64":
      return int64(wire.varint);
    case "int32":
    case "byte":
      return integer(wire.varint);
    case "boolean":
      return wire.varint !== 0n;
    case "double":
      return wire.double ?? 0;
    case "bytes":
      return toBase64(wire.bytes ?? new Uint8Array());
    case "RawExtension":
    case "FieldsV1":
      for (const part of readFields(wire.bytes ?? new Uint8Array())) {
        if (part.number === 1 && part.bytes) return readJson(readString(part.bytes));
      }
      return undefined;
    default:
      return readStructured(wire.bytes ?? new Uint8Array(), field.type);
  }
}

function readJson(text: string): unknown {
  try {
    return parseExact(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new WireError(`malformed JSON in a protobuf message: ${error.message}`);
    throw error;
  }
}

/** The furthest from 1970 that a Date can be. */
const MOST_SECONDS = 8.64e12;

function readStructured(bytes: Uint8Array, type: string): unknown {
  const parts = new Map([...(isSpecial(type) ? readFields(bytes) : [])].map((part) => [part.number, part]));
  switch (type) {
    case "Time":
    case "MicroTime": {
      if (bytes.length === 0) return undefined;
      const seconds = integer(parts.get(1)?.varint ?? 0n);
      const nanos = integer(parts.get(2)?.varint ?? 0n);
      if (Math.abs(seconds) > MOST_SECONDS) throw new WireError(`time ${seconds} is out of range`);
      const text = new Date(seconds * 1000).toISOString().slice(0, 19);
      return type === "Time" ? `${text}Z` : `${text}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
    }
    case "Quantity":
      return parts.has(1) ? readString(parts.get(1)?.bytes) : "0";
    case "IntOrString":
      return (parts.get(1)?.varint ?? 0n) === 0n
        ? integer(parts.get(2)?.varint ?? 0n)
        : readString(parts.get(3)?.bytes);
    case "Duration":
      return `${Number(parts.get(1)?.varint ?? 0n) / 1e9}s`;
    default: {
      const fact = typeFact(type);
      if (!fact) throw new WireError(`no facts for ${type}`);
      const value: Struct = {};
      readMessage(bytes, fact, value);
      return value;
    }
  }
}

const isSpecial = (type: string): boolean => !type.includes(".");

function writeMessage(value: Struct, fact: TypeFact): Uint8Array {
  const writer = new WireWriter();
  const embedded = new Map<number, Struct>();
  for (const [name, child] of Object.entries(value)) {
    const field = fact.fields.get(name);
    if (!field || child === undefined || child === null) continue;
    if (field.embeddedIn === undefined) writeField(writer, field, child);
    else embedded.set(field.embeddedIn, { ...embedded.get(field.embeddedIn), [name]: child });
  }
  for (const { number, type } of embeddedMessages(fact.id)) {
    const inner = typeFact(type);
    if (inner) writer.bytes(number, writeMessage(embedded.get(number) ?? {}, inner));
  }
  return writer.finish();
}

function writeField(writer: WireWriter, field: FieldFact, value: unknown): void {
  const { number } = field;
  if (field.map) {
    for (const [key, item] of Object.entries(value as Struct)) {
      const entry = new WireWriter();
      entry.string(1, key);
      if (field.listValues) {
        const list = new WireWriter();
        for (const text of item as string[]) list.string(1, text);
        entry.bytes(2, list.finish());
      } else writeValue(entry, 2, field.type, item);
      writer.bytes(number, entry.finish());
    }
  } else if (field.namedList) {
    const list = new WireWriter();
    for (const item of value as unknown[]) writeValue(list, 1, field.type, item);
    writer.bytes(number, list.finish());
  } else if (field.list) {
    for (const item of value as unknown[]) writeValue(writer, number, field.type, item);
  } else writeValue(writer, number, field.type, value);
}

function writeValue(writer: WireWriter, number: number, type: string, value: unknown): void {
  const message = (fill: (inner: WireWriter) => void): void => {
    const inner = new WireWriter();
    fill(inner);
    writer.bytes(number, inner.finish());
  };
  switch (type) {
    case "string":
      return writer.string(number, String(value));
    case "int32":
    case "int64":
    case "byte":
      return writer.varint(number, BigInt(value as number | bigint));
    case "boolean":
      return writer.varint(number, value === true ? 1n : 0n);
    case "double":
      return writer.double(number, Number(value));
    case "bytes":
      return writer.bytes(number, fromBase64(String(value)));
    case "Time":
    case "MicroTime": {
      if (value === null) return message(() => {});
      const text = String(value);
      const millis = Date.parse(text);
      if (Number.isNaN(millis)) throw new WireError(`${JSON.stringify(text)} is no time`);
      const micros = Number((/\.(\d{1,6})/.exec(text)?.[1] ?? "0").padEnd(6, "0"));
      return message((inner) => {
        inner.varint(1, BigInt(Math.floor(millis / 1000)));
        inner.varint(2, BigInt(type === "Time" ? 0 : micros * 1000));
      });
    }
    case "Quantity":
      return message((inner) => inner.string(1, String(value)));
    case "IntOrString":
      return message((inner) => {
        inner.varint(1, typeof value === "number" ? 0 : 1);
        inner.varint(2, typeof value === "number" ? value : 0);
        inner.string(3, typeof value === "number" ? "" : String(value));
      });
    case "Duration":
      return message((inner) => inner.varint(1, BigInt(Math.round(Number.parseFloat(String(value)) * 1e9))));
    case "RawExtension":
    case "FieldsV1":
      return message((inner) => inner.string(1, JSON.stringify(value)));
    default: {
      const fact = typeFact(type);
      if (!fact) throw new WireError(`no facts for ${type}`);
      writer.bytes(number, writeMessage(value as Struct, fact));
    }
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new WireError("illegal base64 data");
  }
}
