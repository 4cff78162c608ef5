/**
 * What plug-ins said of nodes before, for Pods of the same shape: a node that has stayed as it was is not asked again.
 * Most Pods are made by the dozen, and each changes only the node that it goes to.
 */
import type { NodeInfo, PodInfo } from "./model.ts";
import type { Profile } from "./profiles.ts";
import { filterNode } from "./ready.ts";
import type { Ready, Refused } from "./ready.ts";

/** Shapes remembered at once, the ones used last: with 5,000 nodes some 300 kB each. */
const MOST_SHAPES = 16;

/** A Pod's plug-ins, told apart by whether their answers may be kept. */
export interface Asked {
  /** Those that refuse first; all that come before one whose answers may not be kept. */
  keptFilters: Ready[];
  filters: Ready[];
  keptScores: Ready[];
  scores: Ready[];
}

export function tellApart(ready: readonly Ready[]): Asked {
  const filtering = ready.filter(({ prepared }) => prepared.filter !== undefined);
  const first = filtering.findIndex(({ plugin }) => !plugin.ofNodeAlone);
  const kept = first < 0 ? filtering.length : first;
  const scoring = ready.filter(({ prepared }) => prepared.score !== undefined);
  return {
    keptFilters: filtering.slice(0, kept),
    filters: filtering.slice(kept),
    keptScores: scoring.filter(({ plugin }) => plugin.ofNodeAlone),
    scores: scoring.filter(({ plugin }) => !plugin.ofNodeAlone),
  };
}

/** Answers for one shape; nodes go by their place in the list. */
export class ShapeAnswers {
  readonly #nodes: readonly NodeInfo[];
  /** Of each node when it was asked; 0: never. */
  readonly #versions: Float64Array;
  readonly #refused: (Refused | undefined)[];
  /** For each scoring plug-in, before it is normalized. */
  readonly #scores: Float64Array[] = [];

  constructor(nodes: readonly NodeInfo[]) {
    this.#nodes = nodes;
    this.#versions = new Float64Array(nodes.length);
    this.#refused = Array.from<Refused | undefined>({ length: nodes.length });
  }

  isOf(nodes: readonly NodeInfo[]): boolean {
    return this.#nodes === nodes;
  }

  /** What the first plug-in says that refuses the node. */
  refusal(at: number, { keptFilters, keptScores }: Asked): Refused | undefined {
    const node = this.#nodes[at] as NodeInfo;
    if (this.#versions[at] !== node.version) {
      this.#versions[at] = node.version;
      this.#refused[at] = filterNode(keptFilters, node);
      if (!this.#refused[at]) {
        for (let which = 0; which < keptScores.length; which += 1) {
          const scores = (this.#scores[which] ??= new Float64Array(this.#nodes.length));
          scores[at] = keptScores[which]?.prepared.score?.(node) ?? 0;
        }
      }
    }
    return this.#refused[at];
  }

  /** Of one scoring plug-in, for nodes that were not refused. */
  scores(which: number, places: readonly number[]): number[] {
    const scores = this.#scores[which];
    return places.map((at) => scores?.[at] ?? 0);
  }
}

export class NodeAnswers {
  readonly #shapes = new Map<string, ShapeAnswers>();

  of({ schedulerName }: Profile, pod: PodInfo, nodes: readonly NodeInfo[]): ShapeAnswers {
    const key = `${schedulerName} ${pod.shape}`;
    let answers = this.#shapes.get(key);
    this.#shapes.delete(key);
    if (!answers?.isOf(nodes)) answers = new ShapeAnswers(nodes);
    this.#shapes.set(key, answers);
    for (const oldest of this.#shapes.keys()) {
      if (this.#shapes.size <= MOST_SHAPES) break;
      this.#shapes.delete(oldest);
    }
    return answers;
  }
}
