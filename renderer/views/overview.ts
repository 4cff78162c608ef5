/** Figures of the overview, counted from the Pods' Table. */
import type { LiveState } from "../kube/live.ts";
import { toneOf, type Tone } from "../kube/tone.ts";

export interface Counted {
  total: number;
  /** Most first. */
  byStatus: { status: string; tone: Tone; count: number }[];
  byNode: Map<string, number>;
}

export function countPods(pods: Pick<LiveState, "rows" | "columns">): Counted {
  const column = (name: string): number => pods.columns.findIndex((entry) => entry.name.toLowerCase() === name);
  const [status, node] = [column("status"), column("node")];
  const statuses = new Map<string, number>();
  const byNode = new Map<string, number>();
  for (const row of pods.rows) {
    const word = String(row.cells[status] ?? "Unknown");
    statuses.set(word, (statuses.get(word) ?? 0) + 1);
    const on = row.cells[node];
    if (typeof on === "string" && on !== "<none>") byNode.set(on, (byNode.get(on) ?? 0) + 1);
  }
  const byStatus = [...statuses]
    .map(([word, count]) => ({ status: word, tone: toneOf(word), count }))
    .toSorted((a, b) => b.count - a.count);
  return { total: pods.rows.length, byStatus, byNode };
}
