/** What an answer must be whatever was asked, and what it must have to do with what is stored. */
import type { Kind } from "./asks.ts";
import { isQuiet } from "./kinds.ts";
import type { Json } from "./values.ts";
import type { Reply } from "./wire.ts";

export type Struct = { [key: string]: Json };

/** Something the server should not have done, and the request that made it do so. */
export class Finding extends Error {}

/** An object that a lane works with. */
export interface Tracked {
  kind: Kind;
  path: string;
  /** As GET shows it; undefined: not there. */
  text: string | undefined;
}

/** Failures that are said to be the server's but have their cause elsewhere: a webhook, a kubelet, a future revision. */
const WITH_CAUSE =
  /failed calling webhook|conversion webhook|error when converting|kubelet answered|no such container|"code":50[34]/;

export const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function parsed(bytes: Buffer): Struct | undefined {
  try {
    const value = JSON.parse(bytes.toString()) as unknown;
    return isStruct(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isJson = ({ headers }: Reply): boolean =>
  (headers.get("content-type") ?? "").startsWith("application/json") && !headers.has("content-encoding");

/** Throws Finding. `head`: an answer to HEAD, without a body. */
export function checkReply(reply: Reply, head: boolean): void {
  const { status, body } = reply;
  if (head) {
    // What it was that failed is not told.
    if (status === 500) throw new Finding("500 to a HEAD");
    return;
  }
  const said = body.toString();
  if (status >= 500 && !WITH_CAUSE.test(said)) throw new Finding(`${status}: ${said.slice(0, 800)}`);
  if (!isJson(reply) || body.length === 0) return;
  const object = parsed(body);
  if (status < 300 && !object) throw new Finding(`${status} with JSON that is none: ${said.slice(0, 300)}`);
  const isStatus = object?.["kind"] === "Status" && object["code"] === status && typeof object["message"] === "string";
  if (status >= 400 && !isStatus) throw new Finding(`${status} with no Status of it: ${said.slice(0, 300)}`);
}

/** What came of a request: a status, nothing within the time it was given, or the connection's end without a word. */
export type Outcome = number | "unanswered" | "closed";

/** Of a request of which only the beginning of the answer was read. Throws Finding. */
export function outcomeOf(head: string, closed: boolean, must: boolean): Outcome {
  if (head !== "") return checkHead(head);
  if (must) throw new Finding(closed ? "closed without an answer" : "no head of an answer came");
  return closed ? "closed" : "unanswered";
}

function checkHead(head: string): number {
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
  if (Number.isNaN(status)) throw new Finding(`no HTTP came: ${head.slice(0, 100)}`);
  if (status >= 500 && ![503, 504, 505].includes(status) && !WITH_CAUSE.test(head))
    throw new Finding(head.slice(0, 600));
  return status;
}

/** Throws Finding when a write that had no effect had one, or the answer is not what is stored now. */
export function checkWrite(
  { kind, path, text: now }: Tracked,
  before: string | undefined,
  reply: Reply,
  effect: boolean,
): void {
  if (!isQuiet(kind, before ?? now)) return;
  if (!effect) {
    if (sameText(before, now)) return;
    const what = reply.status < 300 ? "a dry run" : `what was refused with ${reply.status}`;
    throw new Finding(`${what} changed ${path}\nfrom ${before}\nto   ${now}`);
  }
  const said = isJson(reply) ? parsed(reply.body) : undefined;
  const stored = now === undefined ? undefined : (JSON.parse(now) as Struct);
  // Another form (a Table), another object (a subresource's, one that got its name from the server).
  if (!said || !stored || said["kind"] !== stored["kind"] || said["apiVersion"] !== stored["apiVersion"]) return;
  if (nameOf(said) === nameOf(stored) && !sameJson(said, stored))
    throw new Finding(`answered\n${reply.body.toString()}\nand stored is\n${now}`);
}

/** undefined for what is no object with a name. */
export function nameOf(object: Struct | undefined): string | undefined {
  const metadata = object?.["metadata"];
  const name = isStruct(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? name : undefined;
}

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : isStruct(value)
      ? Object.fromEntries(
          Object.keys(value)
            .toSorted()
            .map((key) => [key, sorted(value[key])]),
        )
      : value;

/** The order of fields says nothing. */
const sameJson = (one: unknown, other: unknown): boolean =>
  JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

export const sameText = (one: string | undefined, other: string | undefined): boolean =>
  one === other || (one !== undefined && other !== undefined && sameJson(JSON.parse(one), JSON.parse(other)));
