/** The table of nodes and plug-ins that the window makes of a PodScheduling. */
import type { PodScheduling } from "../../common/kube/explain.ts";

export interface ScoreTable {
  plugins: string[];
  nodes: { name: string; fits: boolean; scores: string[]; total: number; refusal: string }[];
}

const MOST_NODES = 50;

/** A row per node: what each plug-in gives it ("57 ×2"), or why it is refused. */
export function scoreTable(status: PodScheduling["status"] | undefined): ScoreTable {
  const reports = (status?.nodes ?? []).slice(0, MOST_NODES);
  const plugins = [...new Set(reports.flatMap(({ scores }) => scores.map(({ plugin }) => plugin)))];
  return {
    plugins,
    nodes: reports.map(({ name, fits, refusals, scores, total }) => ({
      name,
      fits,
      total,
      scores: plugins.map((wanted) => {
        const found = scores.find(({ plugin }) => plugin === wanted);
        return found ? `${found.score}${found.weight === 1 ? "" : ` ×${found.weight}`}` : "";
      }),
      refusal: refusals.map(({ plugin, reasons }) => `${plugin}: ${reasons.join(", ")}`).join("; "),
    })),
  };
}
