/** Small builders that definitions are put together from: common verbs, status handling, tables. */
import { copyOf } from "../../../common/kube/copy.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type {
  Cell,
  Column,
  RequestContext,
  ResourceDefinition,
  Strategy,
  SubresourceDefinition,
  TableDefinition,
  Verb,
} from "./definition.ts";
import { age } from "./duration.ts";

export const allVerbs: readonly Verb[] = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
];

type Given = Pick<ResourceDefinition, "group" | "version" | "resource" | "kind"> & Partial<ResourceDefinition>;

/** A definition with what is usual filled in: namespaced, all verbs, the kind in lower case as singular. */
export function define(given: Given): ResourceDefinition {
  return {
    singular: given.kind.toLowerCase(),
    namespaced: true,
    verbs: [...allVerbs],
    hasGeneration: false,
    strategy: {},
    ...given,
  };
}

/** A kind that is POSTed and answered, never stored. */
export function defineVirtual(given: Given): ResourceDefinition {
  return define({ verbs: ["create"], virtual: true, ...given });
}

/** Spec belongs to clients, status to the status subresource. `initial` is the status of a new object. */
export function withStatus(strategy: Strategy = {}, initial: () => unknown = () => ({})): Strategy {
  return {
    ...strategy,
    prepareForCreate(object, context) {
      object["status"] = initial();
      strategy.prepareForCreate?.(object, context);
    },
    prepareForUpdate(object, old, context) {
      if (old["status"] === undefined) delete object["status"];
      else object["status"] = old["status"];
      strategy.prepareForUpdate?.(object, old, context);
    },
  };
}

type Validate = NonNullable<SubresourceDefinition["validateUpdate"]>;

/** /status: everything but status, labels and annotations stays as it is. */
export function statusSubresource(
  options: { validate?: Validate; prepare?(object: KubeObject, old: KubeObject, context: RequestContext): void } = {},
): SubresourceDefinition {
  return {
    name: "status",
    verbs: ["get", "patch", "update"],
    prepareForUpdate(object, old, context) {
      const { ownerReferences, finalizers } = old.metadata;
      const metadata = { ...object.metadata };
      delete metadata.ownerReferences;
      delete metadata.finalizers;
      const updated: KubeObject = {
        ...copyOf(old),
        metadata: {
          ...metadata,
          ...(ownerReferences ? { ownerReferences } : {}),
          ...(finalizers ? { finalizers } : {}),
        },
      };
      if (object["status"] === undefined) delete updated["status"];
      else updated["status"] = object["status"];
      options.prepare?.(updated, old, context);
      return updated;
    },
    ...(options.validate ? { validateUpdate: options.validate } : {}),
  };
}

/** One column; `wide` is shown only with -o wide. */
export function column(name: string, description: string, options: { type?: string; wide?: boolean } = {}): Column {
  return { name, type: options.type ?? "string", description, priority: options.wide ? 1 : 0 };
}

export const ageColumn = column("Age", "The time since the object was created, by the server's clock.");

export interface TableColumn<T> {
  column: Column;
  cell(object: T, now: Date): Cell;
}

/** A table from columns that each know their cell. T is the kind's typed view. */
export function table<T extends KubeObject = KubeObject>(...columns: TableColumn<T>[]): TableDefinition {
  return {
    columns: columns.map((one) => one.column),
    cells: (object, now) => [object.metadata.name ?? "", ...columns.map((one) => one.cell(object as T, now))],
  };
}

/** A column with its cell. */
export function shows<T = KubeObject>(
  name: string,
  description: string,
  cell: (object: T, now: Date) => Cell,
  options: { type?: string; wide?: boolean } = {},
): TableColumn<T> {
  return { column: column(name, description, options), cell };
}

export const showsAge: TableColumn<KubeObject> = {
  column: ageColumn,
  cell: (object, now) => age(object.metadata.creationTimestamp, now),
};

/** The table of kinds that have nothing more to show. */
export const nameAndAge: TableDefinition = table(showsAge);
