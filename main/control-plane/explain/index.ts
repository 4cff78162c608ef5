/** What explains itself, put together: the recorder of writes, and the scheduler's view of Pods. */
import type { Informer } from "../../../common/kube/informer.ts";
import type { Pod } from "../../../common/kube/types.ts";
import type { ResourceDefinition } from "../resources/definition.ts";
import { explainPod } from "../scheduler/explanation.ts";
import type { SchedulerView } from "../scheduler/index.ts";
import { explainResources } from "./definitions.ts";
import { historySource } from "./histories.ts";
import { podSchedulingSource } from "./podschedulings.ts";
import { HistoryRecorder } from "./recorder.ts";

export interface Explain {
  recorder: HistoryRecorder;
  definitions: ResourceDefinition[];
  /** Before this, and after the function it returns, Pods cannot be explained: a get finds none. */
  attach(scheduler: SchedulerView, pods: Informer<Pod>): () => void;
}

export function createExplain(now: () => number = Date.now): Explain {
  const recorder = new HistoryRecorder({ now });
  let attached: { scheduler: SchedulerView; pods: Informer<Pod> } | undefined;
  const definitions = explainResources({
    podSchedulings: podSchedulingSource({
      pod: (namespace, name) => attached?.pods.get(`${namespace}/${name}`),
      pods: (namespace) => attached?.pods.list(namespace) ?? [],
      explain: (pod) => explainPod((attached as { scheduler: SchedulerView }).scheduler, pod),
      now,
    }),
    histories: historySource(recorder, true),
    clusterHistories: historySource(recorder, false),
  });
  return {
    recorder,
    definitions,
    attach: (scheduler, pods) => {
      const mine = (attached = { scheduler, pods });
      return () => {
        if (attached === mine) attached = undefined;
      };
    },
  };
}
