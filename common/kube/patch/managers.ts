/** Managers as metadata.managedFields lists them: read, written, capped, and named in conflicts. */
import { timestamp } from "../clock.ts";
import type { KubeObject, ManagedFieldsEntry } from "../object.ts";
import { StatusError } from "../status.ts";
import type { FieldSet } from "./field-set.ts";
import { fromFieldsV1, isEmptySet, showPath, toFieldsV1, union } from "./field-set.ts";

const mostUpdaters = 10;
const bucket = "ancient-changes";

export interface Manager {
  manager: string;
  operation: "Apply" | "Update";
  apiVersion: string;
  subresource: string;
  time: string;
  set: FieldSet;
}

export const stamp = (now: Date): string => timestamp(now.getTime());

/** An entry as it is stored. Its fields become a set when somebody looks at them: most writes concern few managers. */
class StoredManager implements Manager {
  readonly manager: string;
  readonly operation: Manager["operation"];
  readonly apiVersion: string;
  readonly subresource: string;
  time: string;
  readonly #entry: ManagedFieldsEntry;
  #set: FieldSet | undefined;
  #changed = false;

  constructor(entry: ManagedFieldsEntry) {
    this.manager = entry.manager ?? "";
    this.operation = entry.operation as Manager["operation"];
    this.apiVersion = entry.apiVersion ?? "";
    this.subresource = entry.subresource ?? "";
    this.time = entry.time ?? "";
    this.#entry = entry;
  }

  get set(): FieldSet {
    return (this.#set ??= { ...fromFieldsV1(this.#entry.fieldsV1), member: false });
  }

  set set(set: FieldSet) {
    this.#changed ||= set !== this.#set;
    this.#set = set;
  }

  /** The entry itself, where it is as it was. */
  get unchanged(): ManagedFieldsEntry | undefined {
    return this.#changed || this.time !== (this.#entry.time ?? "") ? undefined : this.#entry;
  }
}

export function readManagers(object: KubeObject | undefined): Manager[] {
  return (object?.metadata.managedFields ?? [])
    .filter((entry) => entry.operation !== undefined)
    .map((entry) => new StoredManager(entry));
}

/** `reuse`: entries that were stored so may stay as they are. Those that a client wrote are put into the usual form. */
export function writeManagers(managers: readonly Manager[], reuse: boolean): ManagedFieldsEntry[] {
  const unchanged = (one: Manager): ManagedFieldsEntry | undefined =>
    reuse && one instanceof StoredManager ? one.unchanged : undefined;
  const owning = managers.filter((one) => unchanged(one) !== undefined || !isEmptySet(one.set));
  return capped(owning).map((one) => unchanged(one) ?? entryOf(one));
}

function entryOf({ manager, operation, apiVersion, time, set, subresource }: Manager): ManagedFieldsEntry {
  return {
    manager,
    operation,
    apiVersion,
    ...(time ? { time } : {}),
    fieldsType: "FieldsV1",
    fieldsV1: toFieldsV1(set),
    ...(subresource ? { subresource } : {}),
  };
}

/** At most ten who update: the oldest are put into one bucket. */
function capped(managers: Manager[]): Manager[] {
  if (managers.length <= mostUpdaters) return managers;
  const updaters = managers
    .filter(({ operation }) => operation === "Update")
    .toSorted((a, b) => (a.time < b.time ? -1 : 1));
  if (updaters.length <= mostUpdaters) return managers;
  const old = updaters.slice(0, updaters.length - mostUpdaters + 1);
  const merged: Manager = {
    operation: "Update",
    apiVersion: old.at(-1)?.apiVersion ?? "",
    time: old.at(-1)?.time ?? "",
    manager: bucket,
    subresource: "",
    set: old.map(({ set }) => set).reduce(union),
  };
  return [merged, ...managers.filter((one) => !old.includes(one))];
}

export const isSame = (a: Omit<Manager, "set" | "time">, b: Omit<Manager, "set" | "time">): boolean =>
  a.manager === b.manager &&
  a.operation === b.operation &&
  a.apiVersion === b.apiVersion &&
  a.subresource === b.subresource;

export function conflictError(conflicts: readonly { other: Manager; path: string[] }[]): StatusError {
  const causes = conflicts.map(({ other, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${showManager(other)}`,
    field: showPath(path),
  }));
  let message: string;
  if (conflicts.length === 1) {
    message = `Apply failed with 1 conflict: ${causes[0]?.message}: ${causes[0]?.field}`;
  } else {
    const byManager = Map.groupBy(conflicts, ({ other }) => showManager(other));
    const lines = [...byManager]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, list]) => [`conflicts with ${name}:`, ...list.map(({ path }) => `- ${showPath(path)}`)]);
    message = `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
  }
  return new StatusError("Conflict", message, { causes });
}

function showManager({ manager, operation, apiVersion, subresource, time }: Manager): string {
  const name = JSON.stringify(manager);
  if (operation === "Apply") return name;
  const by = subresource ? ` with subresource ${JSON.stringify(subresource)}` : "";
  return `${name}${by} using ${apiVersion}${time ? ` at ${time}` : ""}`;
}
