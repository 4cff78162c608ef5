/** The `authorizer` of CEL expressions: what the user, or a service account, may do. */
import type { Environment } from "@marcbachmann/cel-js";
import type { Attributes, Decision } from "../../auth/types.ts";
import { registerNamespace } from "./namespace.ts";
import type { User } from "../../resources/definition.ts";

/** Authorization without waiting: RBAC and the Node authorizer read memory only. */
export type Decide = (user: User, attributes: Attributes) => Decision;

export class CelAuthorizer {
  readonly decide: Decide;
  readonly user: User;
  readonly own: Omit<Attributes, "verb">;
  /** The check of what the request itself is about. */
  readonly requestResource: ResourceCheck;
  constructor(decide: Decide, user: User, own: Omit<Attributes, "verb">) {
    this.decide = decide;
    this.user = user;
    this.own = own;
    this.requestResource = new ResourceCheck(this, own);
  }
}

/** A check half said: of a path, or of a group, resource, namespace and name. */
class Check {
  readonly authorizer: CelAuthorizer;
  readonly attributes: Omit<Attributes, "verb">;
  constructor(authorizer: CelAuthorizer, attributes: Omit<Attributes, "verb">) {
    this.authorizer = authorizer;
    this.attributes = attributes;
  }
  with(more: Partial<Attributes>): this {
    const made = new (this.constructor as new (a: CelAuthorizer, b: Omit<Attributes, "verb">) => this)(
      this.authorizer,
      { ...this.attributes, ...more },
    );
    return made;
  }
  check(verb: string): CelDecision {
    return new CelDecision(this.authorizer.decide(this.authorizer.user, { ...this.attributes, verb }));
  }
}
class PathCheck extends Check {}
class GroupCheck extends Check {}
class ResourceCheck extends Check {}

class CelDecision {
  readonly decision: Decision;
  constructor(decision: Decision) {
    this.decision = decision;
  }
}

const T = "kubernetes.authorization";
/** The variable's type. */
export const AUTHORIZER = `${T}.Authorizer`;

export function registerAuthorizer(environment: Environment): void {
  const type = (name: string, ctor: object, fields: Record<string, string> = {}): void => {
    environment.registerType(`${T}.${name}`, { ctor, fields } as never);
  };
  type("Decision", CelDecision);
  type("PathCheck", PathCheck);
  type("ResourceCheck", ResourceCheck);
  type("GroupCheck", GroupCheck);
  type("Authorizer", CelAuthorizer, { requestResource: `${T}.ResourceCheck` });
  const functions: [string, (...parts: never[]) => unknown][] = [
    [
      `${T}.Authorizer.path(string): ${T}.PathCheck`,
      (one: CelAuthorizer, path: string) => new PathCheck(one, { nonResourcePath: path }),
    ],
    [
      `${T}.Authorizer.group(string): ${T}.GroupCheck`,
      (one: CelAuthorizer, group: string) => new GroupCheck(one, { group, version: "*" }),
    ],
    [
      `${T}.Authorizer.serviceAccount(string, string): ${T}.Authorizer`,
      (one: CelAuthorizer, namespace: string, name: string) =>
        new CelAuthorizer(
          one.decide,
          {
            name: `system:serviceaccount:${namespace}:${name}`,
            groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
          },
          one.own,
        ),
    ],
    [
      `${T}.GroupCheck.resource(string): ${T}.ResourceCheck`,
      (one: GroupCheck, resource: string) => new ResourceCheck(one.authorizer, { ...one.attributes, resource }),
    ],
    [
      `${T}.ResourceCheck.subresource(string): ${T}.ResourceCheck`,
      (one: ResourceCheck, subresource: string) => one.with({ subresource }),
    ],
    [
      `${T}.ResourceCheck.namespace(string): ${T}.ResourceCheck`,
      (one: ResourceCheck, namespace: string) => one.with({ namespace }),
    ],
    [`${T}.ResourceCheck.name(string): ${T}.ResourceCheck`, (one: ResourceCheck, name: string) => one.with({ name })],
    // RBAC knows no selectors: a rule holds for the whole of what they select from.
    [`${T}.ResourceCheck.fieldSelector(string): ${T}.ResourceCheck`, (one: ResourceCheck) => one],
    [`${T}.ResourceCheck.labelSelector(string): ${T}.ResourceCheck`, (one: ResourceCheck) => one],
    [`${T}.ResourceCheck.check(string): ${T}.Decision`, (one: ResourceCheck, verb: string) => one.check(verb)],
    [`${T}.PathCheck.check(string): ${T}.Decision`, (one: PathCheck, verb: string) => one.check(verb)],
    [`${T}.Decision.allowed(): bool`, (one: CelDecision) => one.decision.allowed],
    [`${T}.Decision.reason(): string`, (one: CelDecision) => one.decision.reason],
    [`${T}.Decision.errored(): bool`, () => false],
    [`${T}.Decision.error(): string`, () => ""],
  ];
  registerNamespace(environment, "jsonpatch", "kubernetes.JSONPatch");
  functions.push([
    "kubernetes.JSONPatch.escapeKey(string): string",
    (_: object, key: string) => key.replaceAll("~", "~0").replaceAll("/", "~1"),
  ]);
  for (const [signature, handler] of functions)
    environment.registerFunction(signature, handler as never, { async: false } as never);
}
