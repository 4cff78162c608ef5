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

export function readManagers(object: KubeObject | undefined): Manager[] {
  return (object?.metadata.managedFields ?? [])
    .filter((entry) => entry.operation !== undefined)
    .map((entry) => ({
      manager: entry.manager ?? "",
      operation: entry.operation as Manager["operation"],
      apiVersion: entry.apiVersion ?? "",
      subresource: entry.subresource ?? "",
      time: entry.time ?? "",
      set: { ...fromFieldsV1(entry.fieldsV1), member: false },
    }));
}

export function writeManagers(managers: readonly Manager[]): ManagedFieldsEntry[] {
  return capped(managers.filter(({ set }) => !isEmptySet(set))).map((one) => ({
    manager: one.manager,
    operation: one.operation,
    apiVersion: one.apiVersion,
    ...(one.time ? { time: one.time } : {}),
    fieldsType: "FieldsV1",
    fieldsV1: toFieldsV1(one.set),
    ...(one.subresource ? { subresource: one.subresource } : {}),
  }));
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
    ...(old.at(-1) as Manager),
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
