/** An object as bytes, in every encoding the server reads, whole or damaged. */
import { deflateSync, gzipSync } from "node:zlib";
import { toYaml } from "../../../common/kube/codec/json.ts";
import { encodeProtobuf } from "../../../common/kube/codec/protobuf.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Dice } from "./dice.ts";

export interface Body {
  bytes: Buffer;
  /** content-type and the like. */
  headers: [string, string][];
}

const types = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  "application/cbor",
  "text/plain",
  "text/html",
  "application/x-www-form-urlencoded",
  "application/json; charset=utf-16",
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "APPLICATION/JSON",
  "",
  ";;;",
  "x".repeat(300),
];

const nested = (open: string, close: string, depth: number, middle = "1"): string =>
  open.repeat(depth) + middle + close.repeat(depth);

/** JSON texts that no object of ours would be written as. */
const hostile: ((dice: Dice) => string)[] = [
  (dice) => nested("[", "]", dice.pick([50, 1000, 20_000, 200_000])),
  (dice) => nested('{"a":', "}", dice.pick([50, 1000, 20_000, 100_000])),
  (dice) => `{"metadata":${nested('{"labels":', "}", dice.pick([10, 5000]))}}`,
  (dice) => `{"spec":${nested('{"free":', "}", dice.pick([10, 5000, 50_000]))}}`,
  (dice) => `{"metadata":{"annotations":{"a":"${"x".repeat(dice.pick([300_000, 1_600_000]))}"}}}`,
  (dice) => `[${"{},".repeat(dice.pick([10, 50_000]))}{}]`,
  () => `{"metadata":{"generation":${"9".repeat(400)}}}`,
  () => `{"metadata":{"name":"a","name":"b"},"kind":"Pod","kind":"Pod"}`,
  () => "null",
  () => "[]",
  () => '"text"',
  () => "1",
  () => "",
  () => "{",
  () => "\ufeff{}",
  () => '{"metadata":null,"spec":null,"status":null}',
  () =>
    '{"metadata":{"managedFields":[{"manager":"a","operation":"Apply","apiVersion":"v1","time":"x","fieldsType":"FieldsV1","fieldsV1":{"f:x":{"k:{}":{},"v:{":{}}}}]}}',
  () =>
    '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"u","controller":true},{"apiVersion":"v1","kind":"Pod","name":"b","uid":"w","controller":true}]}}',
  () => '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  () =>
    "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
  () => "a: &a\n  b: *a\n",
  () => "? {a: b}\n: c\n1: x\nnull: y\n",
  () => "!!js/function 'x'\n--- \n...\n%YAML 9.9\n",
  () => "a: !!binary AAEC\nb: !!timestamp 2001-12-14t21:59:43.10-05:00\n<<: {c: d}\n",
  () => "- a\n -b\n\t- c",
  (dice) => "- ".repeat(dice.pick([100, 5000])),
  (dice) => "{a: ".repeat(dice.pick([100, 3000])),
];

function damage(dice: Dice, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return copy;
  switch (dice.below(5)) {
    case 0:
      return copy.subarray(0, dice.below(copy.length));
    case 1:
      for (let count = 1 + dice.below(4); count > 0; count -= 1) {
        const at = dice.below(copy.length);
        copy[at] = (copy[at] ?? 0) ^ (1 << dice.below(8));
      }
      return copy;
    case 2: {
      const at = dice.below(copy.length);
      return Buffer.concat([
        copy.subarray(0, at),
        Buffer.from([0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
        copy.subarray(at),
      ]);
    }
    case 3: {
      const at = dice.below(copy.length);
      const length = dice.below(40);
      return Buffer.concat([copy.subarray(0, at + length), copy.subarray(at)]);
    }
    default:
      return Buffer.concat([copy, copy.subarray(dice.below(copy.length))]);
  }
}

/** The same key twice, somewhere. */
function doubled(dice: Dice, text: string): string {
  const keys = [...text.matchAll(/"([a-zA-Z]+)":/g)];
  if (keys.length === 0) return text;
  const { index = 0, 0: match } = dice.pick(keys);
  return `${text.slice(0, index)}${match}${dice.pick(["1", "null", '"x"', "{}", "[]"])},${text.slice(index)}`;
}

function encoded(dice: Dice, object: object): { bytes: Buffer; type: string } {
  const choice = dice.below(10);
  if (choice < 2) return { bytes: Buffer.from(toYaml(object)), type: "application/yaml" };
  if (choice < 5) {
    try {
      return {
        bytes: Buffer.from(encodeProtobuf(object as KubeObject)),
        type: "application/vnd.kubernetes.protobuf",
      };
    } catch {
      // What protobuf cannot say (a text where a number belongs) goes as JSON.
    }
  }
  const text = JSON.stringify(object);
  return { bytes: Buffer.from(dice.chance(0.05) ? doubled(dice, text) : text), type: "application/json" };
}

/** Mostly the object, well encoded. `safe`: only what is well formed, for objects whose halves could do harm. */
export function bodyOf(dice: Dice, object: object, safe = false): Body {
  let { bytes, type }: { bytes: Buffer; type: string } = encoded(dice, object);
  const headers: [string, string][] = [];
  if (!safe && dice.chance(0.08)) bytes = damage(dice, bytes);
  if (!safe && dice.chance(0.03)) {
    bytes = Buffer.from(dice.pick(hostile)(dice));
    type = dice.pick(types.slice(0, 3));
  }
  if (!safe && dice.chance(0.02)) type = dice.pick(types);
  if (dice.chance(0.02)) {
    const how = dice.pick(["gzip", "deflate", "br", "identity", "x"]);
    if (how === "gzip") bytes = gzipSync(bytes);
    if (how === "deflate") bytes = deflateSync(bytes);
    headers.push(["content-encoding", how]);
  }
  if (type !== "") headers.push(["content-type", type]);
  return { bytes, headers };
}

/** Patch documents travel as JSON, or for apply as YAML. */
export function patchBody(dice: Dice, value: unknown, type: string): Body {
  const text = type.endsWith("yaml") && dice.chance(0.5) ? toYaml(value) : JSON.stringify(value);
  let bytes: Buffer = Buffer.from(dice.chance(0.03) ? doubled(dice, text) : text);
  if (dice.chance(0.05)) bytes = damage(dice, bytes);
  if (dice.chance(0.02)) bytes = Buffer.from(dice.pick(hostile)(dice));
  return { bytes, headers: [["content-type", dice.chance(0.01) ? dice.pick(types) : type]] };
}
