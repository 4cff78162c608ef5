/** What a list or watch selects: labels and fields, checked against what the kind can be selected by. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { parseFieldSelector, parseLabelSelector } from "../../../../common/kube/selector.ts";
import type { FieldRequirement, Selector } from "../../../../common/kube/selector.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";

export interface Selection {
  /** Nothing is asked for: everything matches, unseen. */
  everything: boolean;
  /** The one object that can match, by metadata.name. */
  name?: string;
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
  return {
    everything: (labels?.empty ?? true) && fields.length === 0,
    ...(name === undefined ? {} : { name }),
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
