/** A live collection for a component: follows its source, is given up with the component. */
import { computed, onScopeDispose, shallowRef, watch, type ComputedRef } from "vue";
import { useEngine } from "../stores/engine.ts";
import { watchLive, type Live, type LiveOptions, type LiveState } from "./live.ts";
import { PLAIN_COLUMNS } from "./table.ts";

export interface LiveSource extends LiveOptions {
  cluster: string;
}

const NOTHING: LiveState = { rows: [], columns: PLAIN_COLUMNS, phase: "loading", error: undefined };

/** `source` may be undefined: then nothing is asked for. */
export function useLive(source: () => LiveSource | undefined): ComputedRef<LiveState> {
  const engine = useEngine();
  const live = shallowRef<Live>();
  watch(
    () => JSON.stringify(source() ?? null),
    () => {
      live.value?.dispose();
      const wanted = source();
      live.value = wanted ? watchLive(engine.kube(wanted.cluster), wanted) : undefined;
    },
    { immediate: true },
  );
  onScopeDispose(() => live.value?.dispose());
  return computed(() => live.value?.state ?? NOTHING);
}
