/**
 * RestartAllContainers (KEP-5532): a container that ends with an exit code of which it says so has all of the Pod's begin again, init
 * containers first, in the sandbox that is there. Each attempt belongs to a generation, written on it as a label: an end that asks for
 * all begins the next one, and what belongs to an earlier one is history. Nothing of it is told by clocks, which may be moved. Pure.
 */
import type { Pod } from "../../../common/kube/types.ts";
import { containersOf, mayRestartAll } from "../../../common/node/restart-all.ts";
import { restartsAll } from "../../../common/node/restart.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { exitCodeOf, isExited, latest } from "./pod.ts";
import type { PodView } from "./pod.ts";

export const LABEL_GENERATION = "io.drydock.generation";

export interface Generation {
  /** That new attempts belong to: 0 until an end has asked for all. */
  current: number;
  /** The end that asked for it, while the runtime still has it. */
  cause: RuntimeContainer | undefined;
  /** Names of the containers whose newest attempt belongs to an earlier one. */
  outdated: ReadonlyMap<string, RuntimeContainer>;
}

const FIRST: Generation = { current: 0, cause: undefined, outdated: new Map() };
const generationOf = (container: RuntimeContainer): number => Number(container.labels[LABEL_GENERATION] ?? 0);

export function generation(pod: Pod, view: PodView): Generation {
  if (!mayRestartAll(pod)) return FIRST;
  const specs = new Map(containersOf(pod).map((spec) => [spec.name, spec]));
  const asks = view.containers.filter((container) => {
    const spec = specs.get(container.name?.container ?? "");
    return spec !== undefined && isExited(container) && restartsAll(spec, exitCodeOf(container));
  });
  const current = Math.max(0, ...view.containers.map(generationOf), ...asks.map((end) => generationOf(end) + 1));
  const cause = asks.find((end) => generationOf(end) + 1 === current);
  const outdated = new Map([...latest(view)].filter(([name, one]) => specs.has(name) && generationOf(one) < current));
  return { current, cause, outdated };
}
