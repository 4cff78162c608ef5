/** Server-side Tables (meta.k8s.io/v1): what `kubectl get` prints, for any kind the server knows. */
import type { KubeObject, ListMeta } from "../../common/kube/object.ts";
import type { Event } from "../../common/kube/types.ts";
import { lastSeen } from "./events.ts";

export const TABLE_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

export interface TableColumn {
  name: string;
  type: string;
  format?: string;
  description?: string;
  /** 0 is shown by default; higher ones with "wide". */
  priority: number;
}

export interface Table {
  kind: "Table";
  apiVersion: string;
  metadata: ListMeta;
  columnDefinitions?: TableColumn[];
  rows: { cells: unknown[]; object: KubeObject }[] | null;
}

/** One line of a live list: the object (often only its metadata) and the server's cells for it. */
export interface Row {
  id: string;
  object: KubeObject;
  cells: unknown[];
}

/** Columns as shown. "Age" and its like are computed here from a time, so that they go on counting. */
export interface ShownColumn {
  /** Index into `cells`; -1 for columns of our own. */
  index: number;
  title: string;
  numeric: boolean;
  /** The name column stays visible however narrow. */
  role: "name" | "namespace" | "age" | "status" | "plain";
  description?: string;
}

const LAST_SEEN = "last seen";
/** Columns that count from a time. */
const AGES = new Set(["age", LAST_SEEN]);
const NAMESPACE_COLUMN: ShownColumn = { index: -1, title: "Namespace", role: "namespace", numeric: false };
const STATUS_TITLES = new Set(["status", "phase", "condition", "state"]);

export function shownColumns(columns: TableColumn[], options: { namespaced: boolean; wide: boolean }): ShownColumn[] {
  const shown: ShownColumn[] = [];
  const events = columns.some((column) => column.name.toLowerCase() === LAST_SEEN);
  for (const [index, column] of columns.entries()) {
    if (column.priority > 0 && !options.wide) continue;
    const title = column.name;
    const lower = title.toLowerCase();
    const role =
      column.format === "name" || lower === "name"
        ? "name"
        : AGES.has(lower)
          ? "age"
          : STATUS_TITLES.has(lower) || (lower === "type" && events)
            ? "status"
            : "plain";
    shown.push({
      index,
      title,
      role,
      numeric: column.type === "integer" || column.type === "number",
      ...(column.description && { description: column.description }),
    });
    if (role === "name" && options.namespaced) {
      shown.push(NAMESPACE_COLUMN);
    }
  }
  // Lists that do not show names (events) have the namespace after their first column.
  if (options.namespaced && !shown.some((column) => column.role === "namespace")) shown.splice(1, 0, NAMESPACE_COLUMN);
  return shown;
}

/** Columns for servers that answer a plain list. */
export const PLAIN_COLUMNS: TableColumn[] = [
  { name: "Name", type: "string", format: "name", priority: 0 },
  { name: "Age", type: "string", priority: 0 },
];

export function cellText(row: Row, column: ShownColumn): string {
  if (column.role === "namespace") return row.object.metadata.namespace ?? "";
  const cell = row.cells[column.index];
  return cell === null || cell === undefined ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/** The time an age column counts from. */
export function timeOf(row: Row, column: ShownColumn): string | undefined {
  if (column.title.toLowerCase() === LAST_SEEN) return lastSeen(row.object as unknown as Event);
  return row.object.metadata.creationTimestamp;
}

/** What a list is sorted by at first: events by when they were, everything else by name. */
export function firstSort(columns: ShownColumn[]): string {
  return (
    (
      columns.find((column) => column.title.toLowerCase() === LAST_SEEN) ??
      columns.find((column) => column.role === "name")
    )?.title ?? ""
  );
}

/** What to sort by: numbers as numbers, ages by the time they count from (youngest first), the rest as text. */
export function sortValue(row: Row, column: ShownColumn): string | number {
  if (column.role === "age") return -Date.parse(timeOf(row, column) ?? "") || 0;
  const text = cellText(row, column);
  if (column.numeric) return Number(text) || 0;
  // "3 (5m ago)" and "2/3" sort by their first number.
  const leading = /^\d+/.exec(text);
  return leading && /^(\d+$|\d+\/|\d+ )/.test(text) ? Number(leading[0]) : text;
}

/**
 * Rows in the order they had before, new ones last. Sorting what is nearly sorted takes a pass instead of
 * a sort, which is what a list of thousands does several times a second.
 */
export function inOrderOf(rows: Row[], before: Row[]): Row[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const ordered: Row[] = [];
  for (const { id } of before) {
    const row = byId.get(id);
    if (!row) continue;
    ordered.push(row);
    byId.delete(id);
  }
  ordered.push(...byId.values());
  return ordered;
}

const collator = new Intl.Collator("en", { numeric: true });

export function sortRows(rows: Row[], column: ShownColumn | undefined, descending: boolean): Row[] {
  if (!column) return rows;
  const sign = descending ? -1 : 1;
  const keyed = rows.map((row) => ({ row, value: sortValue(row, column), name: row.object.metadata.name ?? "" }));
  keyed.sort((a, b) => {
    const order =
      typeof a.value === "number" && typeof b.value === "number"
        ? a.value - b.value
        : compareText(String(a.value), String(b.value));
    return sign * order || compareText(a.name, b.name);
  });
  return keyed.map((entry) => entry.row);
}

/** As people count: worker-2 before worker-10. */
function compareText(a: string, b: string): number {
  return a === b ? 0 : collator.compare(a, b);
}

/** Rows whose visible text or labels contain every word; `!word` excludes, `key=value` also looks at labels. */
export function filterRows(rows: Row[], columns: ShownColumn[], filter: string): Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => {
    const text = columns
      .map((column) => cellText(row, column))
      .join(" ")
      .toLowerCase();
    const labels = Object.entries(row.object.metadata.labels ?? {}).map(([key, value]) =>
      `${key}=${value}`.toLowerCase(),
    );
    const has = (word: string): boolean => text.includes(word) || labels.some((label) => label.includes(word));
    return words.every((word) => (word.startsWith("!") && word.length > 1 ? !has(word.slice(1)) : has(word)));
  });
}
