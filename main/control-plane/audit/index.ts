/** Audit: what was asked of the API server, by whom and what became of it, as audit.k8s.io/v1 Events. */
import { randomUUID } from "node:crypto";
import { parseExact } from "../../../common/kube/codec/exact-integers.ts";
import { decodeProtobuf } from "../../../common/kube/codec/protobuf.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { parse } from "yaml";
import type { Attributes } from "../auth/types.ts";
import type { User } from "../resources/definition.ts";
import { decide } from "./policy.ts";
import type { Decision, Level, Policy, Stage } from "./policy.ts";

export interface Asked {
  /** The client's own, where it sent one. */
  auditId?: string | undefined;
  requestURI: string;
  /** undefined where the credentials were no good. */
  user: User | undefined;
  impersonated?: User | undefined;
  sourceIPs: string[];
  userAgent?: string | undefined;
  attributes: Attributes;
}

interface Body {
  bytes: Buffer;
  type: string;
}

const RANK: Record<Level, number> = { None: 0, Metadata: 1, Request: 2, RequestResponse: 3 };
const LONGEST_AGENT = 1024;

export class Audit {
  readonly #policy: Policy;
  readonly #write: (line: string) => void;

  constructor(policy: Policy, write: (line: string) => void) {
    this.#policy = policy;
    this.#write = write;
  }

  /** undefined where the policy wants nothing of it. */
  begin(asked: Asked): AuditRecord | undefined {
    const decision = decide(this.#policy, asked.user, asked.attributes);
    if (decision.level === "None") return undefined;
    const record = new AuditRecord(asked, decision, this.#write);
    record.stage("RequestReceived");
    return record;
  }
}

/** One request on its way. */
export class AuditRecord {
  readonly id: string;
  readonly #asked: Asked;
  readonly #decision: Decision;
  readonly #write: (line: string) => void;
  readonly #received = microTime();
  readonly #annotations = new Map<string, string>();
  #request: Body | undefined;
  #response: Body | undefined;
  #ended = false;

  constructor(asked: Asked, decision: Decision, write: (line: string) => void) {
    this.id = asked.auditId && asked.auditId.length <= 64 ? asked.auditId : randomUUID();
    this.#asked = asked;
    this.#decision = decision;
    this.#write = write;
  }

  annotate(key: string, value: string): void {
    if (!this.#annotations.has(key)) this.#annotations.set(key, value);
  }

  requestBody(bytes: Buffer, type: string): void {
    this.#request = { bytes, type };
  }

  responseBody(bytes: Buffer, type: string): void {
    if (RANK[this.#decision.level] >= RANK.RequestResponse) this.#response = { bytes, type };
  }

  /** The last stage; the second call says nothing. `failure`: the Status answered with, where there is one. */
  end(code: number, failure?: object): void {
    if (this.#ended) return;
    this.#ended = true;
    this.stage("ResponseComplete", code, failure);
  }

  stage(stage: Stage, code?: number, failure?: object): void {
    const { level, omitStages } = this.#decision;
    if (omitStages.has(stage)) return;
    const { user, impersonated, requestURI, sourceIPs, userAgent, attributes } = this.#asked;
    const complete = stage === "ResponseComplete";
    this.#write(
      JSON.stringify({
        kind: "Event",
        apiVersion: "audit.k8s.io/v1",
        level,
        auditID: this.id,
        stage,
        requestURI,
        verb: attributes.verb,
        user: user ? userOf(user) : {},
        ...(impersonated ? { impersonatedUser: userOf(impersonated) } : {}),
        sourceIPs,
        ...(userAgent ? { userAgent: userAgent.slice(0, LONGEST_AGENT) } : {}),
        ...(attributes.nonResourcePath === undefined ? { objectRef: this.#objectRef(complete) } : {}),
        ...(code === undefined ? {} : { responseStatus: { metadata: {}, ...failure, code } }),
        ...(complete && this.#request && RANK[level] >= RANK.Request
          ? { requestObject: this.#object(this.#request) }
          : {}),
        ...(complete && this.#response ? { responseObject: this.#object(this.#response) } : {}),
        requestReceivedTimestamp: this.#received,
        stageTimestamp: microTime(),
        ...(this.#annotations.size > 0 ? { annotations: Object.fromEntries(this.#annotations) } : {}),
      }),
    );
  }

  /** A create's name is known from what it sent. */
  #objectRef(complete: boolean): object {
    const { verb, resource, namespace, group, version, subresource, name } = this.#asked.attributes;
    const sent = complete && !name && verb === "create" && this.#request ? this.#object(this.#request) : undefined;
    const known = name ?? (sent as KubeObject | undefined)?.metadata?.name;
    return {
      resource,
      ...(namespace ? { namespace } : {}),
      ...(known ? { name: known } : {}),
      ...(group ? { apiGroup: group } : {}),
      apiVersion: version,
      ...(subresource ? { subresource } : {}),
    };
  }

  #object({ bytes, type }: Body): unknown {
    const object = read(bytes, type);
    if (!this.#decision.omitManagedFields || typeof object !== "object" || object === null) return object;
    const { metadata } = object as KubeObject;
    if (!metadata?.managedFields) return object;
    const { managedFields: _, ...kept } = metadata;
    return { ...object, metadata: kept };
  }
}

/** What cannot be read is not shown: the log says what was asked, not what was sent by mistake. */
function read(bytes: Buffer, type: string): unknown {
  if (bytes.length === 0) return undefined;
  try {
    if (type.includes("protobuf")) return decodeProtobuf(bytes);
    if (type.includes("yaml")) return parse(bytes.toString()) as unknown;
    return parseExact(bytes.toString());
  } catch {
    return undefined;
  }
}

function userOf({ name, uid, groups, extra }: User): object {
  return {
    username: name,
    ...(uid ? { uid } : {}),
    groups,
    ...(extra && Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

/** RFC 3339 with microseconds. */
function microTime(): string {
  const now = performance.timeOrigin + performance.now();
  const micros = Math.floor((now % 1) * 1000);
  return `${new Date(now).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
}
