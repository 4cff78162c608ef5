/** What plug-ins keep for a Pod between the choice of its node and the binding, as one. */
import type { ClusterCache } from "./cache.ts";
import type { BindContext, Plugin, Reservation } from "./framework.ts";
import type { PodInfo } from "./model.ts";

export interface Reservations {
  /** undefined: nothing is to be done before the binding. */
  preBind: ((context: BindContext) => Promise<void>) | undefined;
  release(): void;
}

export function reserveAll(
  plugins: readonly Plugin[],
  pod: PodInfo,
  cluster: ClusterCache,
  nodeName: string,
): Reservations {
  const node = cluster.node(nodeName);
  const all: Reservation[] = [];
  for (const plugin of plugins) {
    const reservation = node && plugin.reserve?.(pod, cluster, node);
    if (reservation) all.push(reservation);
  }
  const steps = all.filter(({ preBind }) => preBind !== undefined);
  return {
    preBind:
      steps.length === 0
        ? undefined
        : async (context) => {
            for (const step of steps) await step.preBind?.(context);
          },
    release: () => {
      for (const reservation of all) reservation.release?.();
    },
  };
}
