/**
 * Which requests a webhook or policy is asked about: rules, scopes, names, selectors; and for matchPolicy Equivalent
 * the other versions and groups in which the same object is served.
 */
import type { GroupVersionResource, KubeObject } from "../../../common/kube/object.ts";
import { apiVersionOf } from "../../../common/kube/object.ts";
import { selectorFromObject } from "../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../common/kube/selector.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { AsyncConversion, ResourceDefinition } from "../resources/definition.ts";
import { groupResource } from "../resources/reader.ts";
import type { Reader } from "../resources/reader.ts";
import type { AdmissionRequest } from "./types.ts";

export interface Rule {
  operations?: string[];
  apiGroups?: string[];
  apiVersions?: string[];
  resources?: string[];
  resourceNames?: string[];
  scope?: string;
}

export interface MatchResources {
  resourceRules?: Rule[];
  excludeResourceRules?: Rule[];
  namespaceSelector?: LabelSelectorObject;
  objectSelector?: LabelSelectorObject;
  matchPolicy?: string;
}

/** Every resource that is served: the API server's catalog. */
export interface Served {
  readonly version: number;
  all(): readonly ResourceDefinition[];
  find(group: string, version: string, resource: string): ResourceDefinition | undefined;
}

/** The form in which a request is shown to who asked for it. */
export interface Match {
  gvr: GroupVersionResource;
  kind: string;
  /** An object of the request in that form. */
  convert(object: KubeObject): KubeObject;
  /** Where conversion takes time: makes `convert` ready for the request's objects as they are now. Throws StatusError. */
  prepare?(request: AdmissionRequest): Promise<void>;
}

const within = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function resourceFits(patterns: readonly string[] | undefined, resource: string, subresource = ""): boolean {
  return (patterns ?? []).some((pattern) => {
    const slash = pattern.indexOf("/");
    const wanted = slash < 0 ? pattern : pattern.slice(0, slash);
    const part = slash < 0 ? "" : pattern.slice(slash + 1);
    return (wanted === "*" || wanted === resource) && ((part === "*" && slash >= 0) || part === subresource);
  });
}

export function ruleFits(rule: Rule, request: AdmissionRequest, gvr: GroupVersionResource = request.gvr): boolean {
  const { operation, subresource, namespace, name, object } = request;
  const spaceless = !namespace || (gvr.group === "" && gvr.resource === "namespaces");
  if (rule.scope === "Namespaced" && spaceless) return false;
  if (rule.scope === "Cluster" && !spaceless) return false;
  if (rule.resourceNames?.length && !rule.resourceNames.includes(name || object?.metadata?.name || "")) return false;
  return (
    within(rule.operations, operation) &&
    within(rule.apiGroups, gvr.group) &&
    within(rule.apiVersions, gvr.version) &&
    resourceFits(rule.resources, gvr.resource, subresource)
  );
}

const storedIn = (definition: ResourceDefinition): string => groupResource(definition.storedAs ?? definition);

/** Finds in what form, if any, rules ask for a request. */
export class Matcher {
  readonly #reader: Reader;
  readonly #served: Served | undefined;
  #equivalents = new Map<string, ResourceDefinition[]>();
  #version = -1;

  constructor(reader: Reader, served: Served | undefined) {
    this.#reader = reader;
    this.#served = served;
  }

  /** undefined where no rule is about the request. */
  rules(
    rules: readonly Rule[] | undefined,
    matchPolicy: string | undefined,
    request: AdmissionRequest,
  ): Match | undefined {
    if (!rules?.length) return undefined;
    if (rules.some((rule) => ruleFits(rule, request))) {
      return { gvr: request.gvr, kind: request.kind, convert: (object) => object };
    }
    if (matchPolicy === "Exact") return undefined;
    const own = this.#served?.find(request.gvr.group, request.gvr.version, request.gvr.resource);
    if (!own) return undefined;
    for (const other of this.#others(own)) {
      const { group, version, resource, kind } = other;
      const gvr = { group, version, resource };
      if (!rules.some((rule) => ruleFits(rule, request, gvr))) continue;
      // A subresource's body of its own (Scale) is the same whatever its parent's version.
      const whole = request.kind === own.kind;
      if (!whole) return { gvr, kind: request.kind, convert: (object) => object };
      const slow = own.storedAs?.conversion;
      return { gvr, kind, ...(slow ? slowConversion(slow, other) : { convert: conversion(own, other) }) };
    }
    return undefined;
  }

  /** Throws NotFound where the request's namespace is not there. */
  async matches(match: MatchResources, request: AdmissionRequest): Promise<Match | undefined> {
    if ((match.excludeResourceRules ?? []).length > 0) {
      if (this.rules(match.excludeResourceRules, match.matchPolicy, request)) return undefined;
    }
    // A binding without rules of its own is about whatever its policy is about.
    const found = match.resourceRules?.length
      ? this.rules(match.resourceRules, match.matchPolicy, request)
      : { gvr: request.gvr, kind: request.kind, convert: (object: KubeObject) => object };
    return found && (await this.selects(match, request)) ? found : undefined;
  }

  async selects(
    { namespaceSelector, objectSelector }: Pick<MatchResources, "namespaceSelector" | "objectSelector">,
    request: AdmissionRequest,
  ): Promise<boolean> {
    if (!isEmpty(objectSelector)) {
      const selector = selectorFromObject(objectSelector);
      const fits = (object: KubeObject | undefined): boolean =>
        // What has no metadata (the options of a CONNECT) is selected by nothing.
        object?.metadata !== undefined && selector.matches(object.metadata.labels);
      if (!fits(request.object) && !fits(request.old)) return false;
    }
    if (isEmpty(namespaceSelector)) return true;
    const namespace = await this.namespaceOf(request);
    return namespace === undefined || selectorFromObject(namespaceSelector).matches(namespace.metadata.labels);
  }

  /** The namespace a request is in, or is about; undefined for what is in none. Throws NotFound. */
  async namespaceOf(request: AdmissionRequest): Promise<KubeObject | undefined> {
    const { gvr, operation, object, old, subresource } = request;
    if (gvr.group === "" && gvr.resource === "namespaces") {
      return (operation === "DELETE" || subresource ? old : object) ?? old;
    }
    const name = request.namespace;
    if (!name) return undefined;
    const found =
      this.#reader.get("namespaces", undefined, name) ?? (await this.#reader.live("namespaces", undefined, name));
    if (!found)
      throw new StatusError("NotFound", `namespaces ${JSON.stringify(name)} not found`, { name, kind: "namespaces" });
    return found;
  }

  #others(own: ResourceDefinition): readonly ResourceDefinition[] {
    const served = this.#served as Served;
    if (served.version !== this.#version) {
      this.#equivalents = new Map();
      this.#version = served.version;
    }
    const key = `${own.group}/${own.version}/${own.resource}`;
    let found = this.#equivalents.get(key);
    if (!found) {
      found = served.all().filter((other) => other !== own && storedIn(other) === storedIn(own));
      this.#equivalents.set(key, found);
    }
    return found;
  }
}

function slowConversion(by: AsyncConversion, to: ResourceDefinition): Pick<Match, "convert" | "prepare"> {
  const ready = new Map<KubeObject, KubeObject>();
  return {
    async prepare({ object, old }) {
      for (const one of [object, old]) if (one) ready.set(one, await by.convert(one, apiVersionOf(to)));
    },
    convert(object) {
      const converted = ready.get(object);
      if (!converted) throw new Error(`an object was looked at before it was converted to ${apiVersionOf(to)}`);
      return converted;
    },
  };
}

function conversion(from: ResourceDefinition, to: ResourceDefinition): (object: KubeObject) => KubeObject {
  return (object) => {
    const stored = from.storedAs ? from.storedAs.toStored(object) : object;
    if (to.storedAs) return to.storedAs.fromStored(stored);
    const apiVersion = to.group === "" ? to.version : `${to.group}/${to.version}`;
    return { ...stored, apiVersion, kind: to.kind };
  };
}

const isEmpty = (selector: LabelSelectorObject | undefined): boolean =>
  selector === undefined ||
  (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0);
