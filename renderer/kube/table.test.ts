/** Rows and columns: what is shown, sorted and found. */
import { describe, expect, it } from "vitest";
import {
  cellText,
  filterRows,
  firstSort,
  inOrderOf,
  shownColumns,
  sortRows,
  type Row,
  type TableColumn,
} from "./table.ts";

const COLUMNS: TableColumn[] = [
  { name: "Name", type: "string", format: "name", priority: 0 },
  { name: "Ready", type: "string", priority: 0 },
  { name: "Status", type: "string", priority: 0 },
  { name: "Restarts", type: "string", priority: 0 },
  { name: "Age", type: "string", priority: 0 },
  { name: "IP", type: "string", priority: 1 },
];

function row(name: string, restarts: string, created: string, labels: Record<string, string> = {}): Row {
  return {
    id: name,
    cells: [name, "1/1", "Running", restarts, "5m", "10.244.0.4"],
    object: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "shop", creationTimestamp: created, labels },
    },
  };
}
const rows = [
  row("web-10", "12 (3m ago)", "2026-01-02T00:00:00Z", { app: "web" }),
  row("web-9", "2", "2026-01-03T00:00:00Z", { app: "web" }),
  row("cache", "0", "2026-01-01T00:00:00Z", { app: "cache", tier: "data" }),
];
const columns = shownColumns(COLUMNS, { namespaced: true, wide: false });
const named = (title: string) => columns.find((column) => column.title === title);
const names = (sorted: Row[]) => sorted.map((entry) => entry.id);

describe("columns", () => {
  it("put the namespace after the name and keep wide ones for wide", () => {
    expect(columns.map((column) => column.title)).toEqual(["Name", "Namespace", "Ready", "Status", "Restarts", "Age"]);
    expect(shownColumns(COLUMNS, { namespaced: false, wide: true }).map((column) => column.title)).toEqual([
      "Name",
      "Ready",
      "Status",
      "Restarts",
      "Age",
      "IP",
    ]);
  });
  it("take the namespace from the object", () => {
    expect(cellText(rows[0] as Row, { index: -1, title: "Namespace", role: "namespace", numeric: false })).toBe("shop");
  });
});

describe("sorting", () => {
  it("counts digits in names as numbers", () => {
    expect(names(sortRows(rows, named("Name"), false))).toEqual(["cache", "web-9", "web-10"]);
  });
  it("takes the leading number of a count with a remark", () => {
    expect(names(sortRows(rows, named("Restarts"), true))).toEqual(["web-10", "web-9", "cache"]);
  });
  it("keeps the order there was, with changed rows in place and new ones last", () => {
    const [web10, web9, cache] = rows as [Row, Row, Row];
    const changed = { ...web9, cells: [] };
    expect(inOrderOf([cache, changed, row("new", "0", "")], [web9, web10, cache]).map((entry) => entry.id)).toEqual([
      "web-9",
      "cache",
      "new",
    ]);
    expect(inOrderOf([changed], [web9])[0]).toBe(changed);
  });
  it("puts the youngest first by age", () => {
    expect(names(sortRows(rows, named("Age"), false))).toEqual(["web-9", "web-10", "cache"]);
  });
});

describe("filtering", () => {
  it.each([
    ["web", ["web-10", "web-9"]],
    ["WEB 9", ["web-9"]],
    ["tier=data", ["cache"]],
    ["running !cache", ["web-10", "web-9"]],
    ["", ["web-10", "web-9", "cache"]],
    ["nothing", []],
  ])("%s", (filter, found) => {
    expect(names(filterRows(rows, columns, filter))).toEqual(found);
  });
});

describe("events", () => {
  const eventColumns = shownColumns(
    [
      { name: "Last Seen", type: "string", priority: 0 },
      { name: "Type", type: "string", priority: 0 },
      { name: "Name", type: "string", format: "name", priority: 1 },
    ],
    { namespaced: true, wide: false },
  );
  it("come newest first, by when they were last seen, with their namespace", () => {
    const event = (name: string, lastTimestamp: string): Row => ({
      id: name,
      cells: ["", name, name],
      object: {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, creationTimestamp: "2026-01-01T00:00:00Z" },
        lastTimestamp,
      },
    });
    const list = [event("old", "2026-01-01T00:00:01Z"), event("new", "2026-01-01T00:05:00Z")];
    expect(eventColumns.map((column) => [column.title, column.role])).toEqual([
      ["Last Seen", "age"],
      ["Namespace", "namespace"],
      ["Type", "status"],
    ]);
    expect(firstSort(eventColumns)).toBe("Last Seen");
    expect(names(sortRows(list, eventColumns[0], false))).toEqual(["new", "old"]);
  });
});
