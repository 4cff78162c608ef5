/** What a list or watch selects: labels and fields, checked against what the kind can be selected by. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { parseFieldSelector, parseLabelSelector } from "../../../../common/kube/selector.ts";
import type { FieldRequirement, Selector } from "../../../../common/kube/selector.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import type { IndexDefinition, KeyValue, Topic } from "../../store/store.ts";
import { decodeSlim } from "../stored.ts";
import { slimViewOf } from "./context.ts";

export interface Selection {
  /** Nothing is asked for: everything matches, unseen. */
  everything: boolean;
  /** The one object that can match, by metadata.name. */
  name?: string;
  /** What all that match have in common, by which they are found and watched without looking at the others. */
  topic?: Topic;
  matches(object: KubeObject): boolean;
}

const common: Record<string, (object: KubeObject) => string> = {
  "metadata.name": ({ metadata }) => metadata.name ?? "",
  "metadata.namespace": ({ metadata }) => metadata.namespace ?? "",
};

/** Throws BadRequest on selectors that do not parse and on fields the kind cannot be selected by. */
export function selectionOf(
  definition: ResourceDefinition,
  query: { labelSelector?: string | undefined; fieldSelector?: string | undefined },
): Selection {
  const labels = query.labelSelector ? parseLabelSelector(query.labelSelector) : undefined;
  const fields = query.fieldSelector ? parseFieldSelector(query.fieldSelector) : [];
  const getters = fields.map((requirement) => getterOf(definition, requirement));
  const name = fields.find(({ field, equal }) => equal && field === "metadata.name")?.value;
  const topic = topicOf(definition, fields, labels);
  return {
    everything: (labels?.empty ?? true) && fields.length === 0,
    ...(name === undefined ? {} : { name }),
    ...(topic ? { topic } : {}),
    matches: (object) =>
      (labels as Selector | undefined)?.matches(object.metadata.labels) !== false &&
      fields.every(({ equal, value }, at) => (getters[at]?.(object) === value) === equal),
  };
}

function getterOf(definition: ResourceDefinition, { field }: FieldRequirement): (object: KubeObject) => string {
  const getter = common[field] ?? definition.selectableFields?.[field];
  if (!getter) {
    throw new StatusError("BadRequest", `field label not supported: ${field}`);
  }
  return getter;
}

const lastPart = ({ key }: KeyValue): string => key.slice(key.lastIndexOf("/") + 1);
/** The least number of objects have in common what stands first. */
const nameFirst = [
  "metadata.name",
  "involvedObject.uid",
  "regarding.uid",
  "spec.nodeName",
  "involvedObject.name",
  "regarding.name",
];
const rank = ({ field }: FieldRequirement): number =>
  nameFirst.includes(field) ? nameFirst.indexOf(field) : nameFirst.length;

function topicOf(
  definition: ResourceDefinition,
  fields: readonly FieldRequirement[],
  labels: Selector | undefined,
): Topic | undefined {
  // What a conversion that takes time would have to be asked for is no way to find or to route objects.
  const direct = definition.storedAs?.conversion === undefined;
  const field = fields
    .filter((one) => one.equal && (direct || one.field === "metadata.name") && one.field !== "metadata.namespace")
    .toSorted((a, b) => rank(a) - rank(b))[0];
  const label = labels?.requirements.find(({ operator, values }) => operator === "In" && values.length === 1);
  // Of any other field's answers ("Running") a label's is the rarer.
  if (field && (rank(field) < nameFirst.length || !label))
    return { ...fieldTopic(definition, field.field), value: field.value };
  if (!label) return undefined;
  const { key, values } = label;
  const value = values[0] as string;
  return {
    name: `label ${key}`,
    value,
    of: (item) => decodeSlim(item).metadata.labels?.[key],
    index: { name: labelIndex.name, value: `${key}=${value}` },
  };
}

/** All labels of an object. */
export const labelIndex: IndexDefinition = {
  name: "labels",
  of: (item) => Object.entries(decodeSlim(item).metadata.labels ?? {}).map(([key, value]) => `${key}=${value}`),
};

const serials = new WeakMap<ResourceDefinition, number>();
let serial = 0;

/** The question what a field says, as this definition reads it. */
export function fieldTopic(definition: ResourceDefinition, field: string): Omit<Topic, "value"> {
  if (field === "metadata.name") return { name: field, of: lastPart };
  if (!serials.has(definition)) serials.set(definition, (serial += 1));
  const getter = getterOf(definition, { field, equal: true, value: "" });
  const of = (item: KeyValue): string | undefined => {
    try {
      return getter(slimViewOf(definition, item));
    } catch {
      // An object of a shape that its kind's getter did not expect answers nothing: no write may fail for it.
      return undefined;
    }
  };
  return { name: `field ${serials.get(definition)} ${field}`, of };
}
