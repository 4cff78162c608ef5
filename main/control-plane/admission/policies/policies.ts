/** Admission policies and their bindings as they are now, compiled; prepared anew only when one changes. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Reader } from "../../resources/reader.ts";
import { compileAll, compileExpression } from "../expressions.ts";
import type { CompiledExpression } from "../expressions.ts";
import type { Compiled, NamedExpression } from "../expressions.ts";
import type { MatchResources } from "../matching.ts";

export interface Validation {
  expression?: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
}

export interface Mutation {
  patchType?: string;
  applyConfiguration?: { expression?: string };
  jsonPatch?: { expression?: string };
}

export interface PolicySpec {
  paramKind?: { apiVersion?: string; kind?: string };
  matchConstraints?: MatchResources;
  matchConditions?: NamedExpression[];
  variables?: NamedExpression[];
  validations?: Validation[];
  auditAnnotations?: { key?: string; valueExpression?: string }[];
  mutations?: Mutation[];
  failurePolicy?: string;
  reinvocationPolicy?: string;
}

export interface ParamRef {
  name?: string;
  namespace?: string;
  selector?: LabelSelectorObject;
  parameterNotFoundAction?: string;
}

export interface BindingSpec {
  policyName?: string;
  paramRef?: ParamRef;
  matchResources?: MatchResources;
  validationActions?: string[];
}

export interface Binding {
  name: string;
  spec: BindingSpec;
}

type Named = CompiledExpression[];

export interface Policy {
  name: string;
  spec: PolicySpec;
  bindings: Binding[];
  conditions: Named;
  variables: Named;
  validations: { of: Validation; compiled: Compiled; message: Compiled | undefined }[];
  audits: { key: string; compiled: Compiled }[];
  mutations: { patchType: string; compiled: Compiled }[];
}

const compiledOnce = new WeakMap<KubeObject, Omit<Policy, "bindings">>();

function compiled(object: KubeObject): Omit<Policy, "bindings"> {
  let made = compiledOnce.get(object);
  if (!made) {
    const spec = (object["spec"] ?? {}) as PolicySpec;
    made = {
      name: object.metadata.name ?? "",
      spec,
      conditions: compileAll(spec.matchConditions),
      variables: compileAll(spec.variables),
      validations: (spec.validations ?? []).map((of) => ({
        of,
        compiled: compileExpression(of.expression),
        message: of.messageExpression ? compileExpression(of.messageExpression) : undefined,
      })),
      audits: (spec.auditAnnotations ?? []).map(({ key = "", valueExpression }) => ({
        key,
        compiled: compileExpression(valueExpression),
      })),
      mutations: (spec.mutations ?? []).map(({ patchType = "", applyConfiguration, jsonPatch }) => ({
        patchType,
        compiled: compileExpression((patchType === "JSONPatch" ? jsonPatch : applyConfiguration)?.expression),
      })),
    };
    compiledOnce.set(object, made);
  }
  return made;
}

const GROUP = "admissionregistration.k8s.io";

/** `prefix`: "validating" or "mutating". Only policies that a binding puts to work. */
export function policies(reader: Reader, prefix: string): () => readonly Policy[] {
  const policyResource = `${prefix}admissionpolicies.${GROUP}`;
  const bindingResource = `${prefix}admissionpolicybindings.${GROUP}`;
  let version = "";
  let prepared: Policy[] = [];
  return () => {
    const now = `${reader.version(policyResource)}/${reader.version(bindingResource)}`;
    if (now === version) return prepared;
    const bindings = new Map<string, Binding[]>();
    for (const object of sorted(reader.list(bindingResource))) {
      const spec = (object["spec"] ?? {}) as BindingSpec;
      const list = bindings.get(spec.policyName ?? "") ?? [];
      list.push({ name: object.metadata.name ?? "", spec });
      bindings.set(spec.policyName ?? "", list);
    }
    prepared = sorted(reader.list(policyResource)).flatMap((object) => {
      const own = bindings.get(object.metadata.name ?? "");
      return own ? [{ ...compiled(object), bindings: own }] : [];
    });
    version = now;
    return prepared;
  };
}

const sorted = (objects: Iterable<KubeObject>): KubeObject[] =>
  [...objects].toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
