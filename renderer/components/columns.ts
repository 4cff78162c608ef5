/** How wide each column is, and which give way when there is not enough room for all. */
import { cellText, type Row, type ShownColumn } from "../kube/table.ts";

export interface Fitted {
  columns: ShownColumn[];
  /** For grid-template-columns. */
  template: string;
}

const SAMPLED = 150;
const CHARACTER_PX = 7.4;
const GAP_PX = 12;
const PADDING_PX = 32;
const MOST_CHARACTERS = 46;
const ROOM: Record<ShownColumn["role"], number> = { name: 22, namespace: 10, age: 7, status: 12, plain: 5 };

/** Columns in their order, without those that do not fit: plain ones from the right first, then ages, then namespaces. */
export function fitColumns(columns: ShownColumn[], rows: Row[], width: number): Fitted {
  const measured = columns.map((column) => {
    let longest = column.title.length + 2;
    for (const row of rows.slice(0, SAMPLED))
      longest = Math.max(longest, cellText(row, column).length + (column.role === "status" ? 2 : 0));
    const characters =
      column.role === "age"
        ? Math.max(ROOM.age, column.title.length + 4)
        : Math.max(ROOM[column.role], Math.min(longest, MOST_CHARACTERS));
    return { column, px: characters * CHARACTER_PX, characters };
  });
  const needed = (kept: typeof measured): number =>
    PADDING_PX + kept.reduce((sum, entry) => sum + leastOf(entry) + GAP_PX, 0);
  let kept = measured;
  for (const role of ["plain", "age", "namespace"] as const) {
    while (needed(kept) > width) {
      const index = kept.findLastIndex((entry) => entry.column.role === role);
      if (index < 0) break;
      kept = kept.toSpliced(index, 1);
    }
  }
  return {
    columns: kept.map((entry) => entry.column),
    template: kept
      .map((entry) =>
        entry.column.role === "age"
          ? `${Math.round(entry.px)}px`
          : `minmax(${Math.round(leastOf(entry))}px, ${entry.characters}fr)`,
      )
      .join(" "),
  };
}

/** Long texts may be cut; short ones and statuses are shown whole. */
function leastOf(entry: { column: ShownColumn; px: number }): number {
  return entry.column.role === "name" ? Math.min(entry.px, 190) : Math.min(entry.px, 120);
}
