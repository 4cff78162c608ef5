/** meta.k8s.io/v1 Tables, what `kubectl get` prints, and PartialObjectMetadata, for what a watcher of names needs. */
import type { KubeObject, ListMeta } from "../../../common/kube/object.ts";
import { nameAndAge } from "../resources/define.ts";
import type { Cell, Column, ResourceDefinition } from "../resources/definition.ts";

export type IncludeObject = "None" | "Metadata" | "Object";

interface Row {
  cells: Cell[];
  object?: unknown;
}

export interface Table {
  kind: "Table";
  apiVersion: string;
  metadata: ListMeta;
  columnDefinitions: Record<string, unknown>[];
  rows: Row[];
}

const nameColumn = {
  name: "Name",
  type: "string",
  format: "name",
  description: "The object's name, unique within its namespace and kind.",
  priority: 0,
};

const definitionOf = ({ name, type, format = "", description, priority }: Column): Record<string, unknown> => ({
  name,
  type,
  format,
  description,
  priority,
});

/** `columns` false leaves the headers out, as in a watch's later events. */
export function tableOf(
  definition: Pick<ResourceDefinition, "table">,
  objects: Iterable<KubeObject>,
  options: { metadata: ListMeta; version: string; include: IncludeObject; now: Date; columns?: boolean },
): Table {
  const table = definition.table ?? nameAndAge;
  const { metadata, version, include, now, columns = true } = options;
  const headers = [...(table.placesName ? [] : [nameColumn]), ...table.columns.map(definitionOf)];
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: columns ? headers : [],
    rows: Array.from(objects, (object) => ({
      cells: table.cells(object, now),
      ...(include === "None" ? {} : { object: include === "Object" ? object : partial(object, version) }),
    })),
  };
}

/** The object without all but its metadata. */
export function partial(object: KubeObject, version: string): KubeObject {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

export function readInclude(value: string | null): IncludeObject {
  return value === "None" || value === "Object" ? value : "Metadata";
}
