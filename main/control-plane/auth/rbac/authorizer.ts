/**
 * Role-based access: bindings indexed by whom they name, rebuilt when a binding changes; the roles they
 * point to are read as they are now. ClusterRoles with an aggregationRule are joined from others as they
 * are read, so nothing waits for a controller to write their rules.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { User } from "../../resources/definition.ts";
import type { Reader } from "../../resources/reader.ts";
import type { PolicyRule } from "../../resources/rbac/rbac.ts";
import { rbacGroup, roleRefOf, rulesOf, subjectsOf } from "../../resources/rbac/rbac.ts";
import type { Attributes, Authorizer, Decision } from "../types.ts";
import { superusers } from "../types.ts";
import { ruleAllows } from "./rules.ts";

const roles = `roles.${rbacGroup}`;
const clusterRoles = `clusterroles.${rbacGroup}`;
const roleBindings = `rolebindings.${rbacGroup}`;
const clusterRoleBindings = `clusterrolebindings.${rbacGroup}`;

interface Grant {
  role: { kind: string; name: string };
  /** "" for the whole cluster. */
  namespace: string;
  /** Says which binding allowed it. */
  because: string;
}

/** "User:ann" or "Group:devs" → namespace ("" = cluster) → grants. */
type Index = Map<string, Map<string, Grant[]>>;

export class RbacAuthorizer implements Authorizer {
  readonly #reader: Reader;
  #index: Index = new Map();
  #indexed = "";
  #aggregated = new Map<string, PolicyRule[]>();
  #aggregatedAt = -1;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async authorize(user: User, attributes: Attributes): Promise<Decision> {
    return this.decide(user, attributes);
  }

  /** As authorize, without the promise. */
  decide(user: User, attributes: Attributes): Decision {
    if (user.groups.includes(superusers)) return { allowed: true, reason: "" };
    for (const grant of this.#grants(user, attributes.namespace)) {
      if (this.#rules(grant).some((rule) => ruleAllows(rule, attributes))) {
        return { allowed: true, reason: `RBAC: allowed by ${grant.because}` };
      }
    }
    return { allowed: false, reason: "" };
  }

  /** Everything the user may do in a namespace ("" or undefined: cluster-wide only). */
  rulesFor(user: User, namespace?: string): PolicyRule[] {
    if (user.groups.includes(superusers)) {
      return [
        { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
        { verbs: ["*"], nonResourceURLs: ["*"] },
      ];
    }
    return [...this.#grants(user, namespace)].flatMap((grant) => this.#rules(grant));
  }

  /** The rules of a role, a ClusterRole's joined from those it aggregates. */
  rulesOfRole(kind: string, namespace: string, name: string): PolicyRule[] {
    if (kind === "Role") {
      const role = this.#reader.get(roles, namespace, name);
      return role ? rulesOf(role) : [];
    }
    const role = this.#reader.get(clusterRoles, undefined, name);
    if (!role) return [];
    return role["aggregationRule"] === undefined ? rulesOf(role) : this.#aggregate(name, role);
  }

  *#grants(user: User, namespace: string | undefined): Iterable<Grant> {
    const index = this.#current();
    for (const key of [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)]) {
      const grants = index.get(key);
      if (!grants) continue;
      yield* grants.get("") ?? [];
      if (namespace) yield* grants.get(namespace) ?? [];
    }
  }

  #rules(grant: Grant): PolicyRule[] {
    return this.rulesOfRole(grant.role.kind, grant.namespace, grant.role.name);
  }

  #current(): Index {
    const version = `${this.#reader.version(roleBindings)}/${this.#reader.version(clusterRoleBindings)}`;
    if (version !== this.#indexed) {
      this.#index = new Map();
      for (const binding of this.#reader.list(clusterRoleBindings)) this.#add(binding, "");
      for (const binding of this.#reader.list(roleBindings)) this.#add(binding, binding.metadata.namespace ?? "");
      this.#indexed = version;
    }
    return this.#index;
  }

  #add(binding: KubeObject, namespace: string): void {
    const { kind, name } = roleRefOf(binding);
    const { name: bindingName = "" } = binding.metadata;
    const which =
      namespace === ""
        ? `ClusterRoleBinding ${JSON.stringify(bindingName)}`
        : `RoleBinding ${JSON.stringify(`${bindingName}/${namespace}`)}`;
    for (const subject of subjectsOf(binding)) {
      const account = subject.kind === "ServiceAccount";
      const shown = account ? `${subject.name}/${subject.namespace ?? ""}` : subject.name;
      const key = account
        ? `User:system:serviceaccount:${subject.namespace ?? ""}:${subject.name}`
        : `${subject.kind}:${subject.name}`;
      const grant: Grant = {
        role: { kind, name },
        namespace,
        because: `${which} of ${kind} ${JSON.stringify(name)} to ${subject.kind} ${JSON.stringify(shown)}`,
      };
      let grants = this.#index.get(key);
      if (!grants) this.#index.set(key, (grants = new Map()));
      const list = grants.get(namespace);
      if (list) list.push(grant);
      else grants.set(namespace, [grant]);
    }
  }

  #aggregate(name: string, role: KubeObject): PolicyRule[] {
    const version = this.#reader.version(clusterRoles);
    if (version !== this.#aggregatedAt) {
      this.#aggregated = new Map();
      this.#aggregatedAt = version;
    }
    const known = this.#aggregated.get(name);
    if (known) return known;
    const rules = aggregateRules(role, this.#reader.list(clusterRoles));
    this.#aggregated.set(name, rules);
    return rules;
  }
}

/** The rules of all ClusterRoles that an aggregating one selects, those it selects in turn included. */
export function aggregateRules(role: KubeObject, all: Iterable<KubeObject>): PolicyRule[] {
  const list = [...all];
  const seen = new Set<string>([role.metadata.name ?? ""]);
  const rules: PolicyRule[] = [];
  const collect = (from: KubeObject): void => {
    const rule = from["aggregationRule"] as { clusterRoleSelectors?: LabelSelectorObject[] } | undefined;
    const selectors = (rule?.clusterRoleSelectors ?? []).map((selector) => selectorFromObject(selector));
    for (const other of list) {
      const { name = "", labels } = other.metadata;
      if (seen.has(name) || !selectors.some((selector) => selector.matches(labels))) continue;
      seen.add(name);
      if (other["aggregationRule"] === undefined) rules.push(...rulesOf(other));
      else collect(other);
    }
  };
  collect(role);
  return rules;
}
