/** Before anybody answers: who asks, whether they may, what the audit log notes, and what admission says of CONNECT. */
import type { IncomingMessage } from "node:http";
import { parseFieldSelector } from "../../../../common/kube/selector.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { AuditRecord } from "../../audit/index.ts";
import { forbiddenError } from "../../auth/forbidden.ts";
import type { Attributes, FieldValue } from "../../auth/types.ts";
import type { User } from "../../resources/definition.ts";
import type { ApiEnvironment } from "../environment.ts";
import type { Target } from "../registry/context.ts";
import { isCommand } from "../streaming/routes.ts";
import { connectRequest } from "./connect.ts";
import { credentialsOf } from "./credentials.ts";
import type { RequestInfo } from "./request-info.ts";

export class Gate {
  readonly #environment: ApiEnvironment;

  constructor(environment: ApiEnvironment) {
    this.#environment = environment;
  }

  /** undefined where the credentials are no good. Throws Forbidden to who may not act as another. */
  authenticate(request: IncomingMessage): Promise<User | undefined> {
    return this.#environment.authenticator.authenticate(credentialsOf(request));
  }

  /** Throws Forbidden. */
  async authorize(user: User, info: RequestInfo, record?: AuditRecord): Promise<void> {
    const attributes = attributesOf(info);
    const { allowed, reason } = await this.#environment.authorizer.authorize(user, attributes);
    record?.annotate("authorization.k8s.io/decision", allowed ? "allow" : "forbid");
    record?.annotate("authorization.k8s.io/reason", reason);
    if (!allowed) throw forbiddenError(user, attributes, reason);
  }

  /** Whoever runs something in a Pod creates it, also by WebSocket, which can only ask with GET. Throws Forbidden. */
  async authorizeStream(user: User, info: RequestInfo, record?: AuditRecord): Promise<void> {
    const { resource: place, method } = info;
    if (method !== "GET" || place?.resource !== "pods" || !isCommand(place.subresource)) return;
    await this.authorize(user, { ...info, verb: "create" }, record);
  }

  /** Webhooks and policies about CONNECT. Throws StatusError. */
  async admitConnect(
    info: RequestInfo,
    target: Target,
    user: User,
    warn: (message: string) => void,
    record: AuditRecord | undefined,
  ): Promise<void> {
    const annotate = record && ((key: string, value: string): void => record.annotate(key, value));
    const request = connectRequest(info, target, { user, warn, ...(annotate ? { annotate } : {}) });
    if (request) await this.#environment.registry.admission.intercept?.(request);
  }

  /** What the audit log is to know of a request: who it came from, and as whom. */
  async record(request: IncomingMessage, info: RequestInfo, user: User | undefined): Promise<AuditRecord | undefined> {
    const { impersonation, ...own } = credentialsOf(request);
    const auditId = request.headers["audit-id"];
    const original = impersonation && user ? await this.#environment.authenticator.authenticate(own) : user;
    return this.#environment.audit?.begin({
      auditId: typeof auditId === "string" ? auditId : undefined,
      requestURI: request.url ?? "/",
      user: original,
      impersonated: impersonation && user,
      sourceIPs: [request.socket.remoteAddress ?? ""],
      userAgent: request.headers["user-agent"],
      attributes: attributesOf(info),
    });
  }
}

const MANY: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

/** What a request asks for, as authorization and fairness see it. */
export function attributesOf(info: RequestInfo): Attributes {
  const { resource: place, query } = info;
  if (!place) return { verb: info.method.toLowerCase(), nonResourcePath: info.path };
  const { group, version, resource, subresource } = place;
  // A namespace is a member of itself: whoever administers it may read it.
  const namespace = place.namespace ?? (group === "" && resource === "namespaces" ? place.name : undefined);
  const fieldSelector = MANY.has(info.verb) ? query.get("fieldSelector") : null;
  const fields = fieldSelector ? valuesOf(fieldSelector) : undefined;
  const name = place.name ?? fields?.find(({ field }) => field === "metadata.name")?.value;
  return {
    verb: info.verb,
    group,
    version,
    resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(fields ? { fields } : {}),
  };
}

/** A selector that is none limits nothing; whoever answers says what is wrong with it. */
function valuesOf(fieldSelector: string): FieldValue[] {
  try {
    return parseFieldSelector(fieldSelector).filter(({ equal }) => equal);
  } catch (error) {
    if (error instanceof StatusError) return [];
    throw error;
  }
}
