/** Feeds a log view from its target: a Pod's container, a workload's Pods, a machine, or the engine itself. */
import { computed, onScopeDispose, shallowRef, watch, type Ref } from "vue";
import { messageOf } from "../engine/failure.ts";
import { kubePath, PODS } from "../kube/api.ts";
import { containersOf } from "../kube/pods.ts";
import { useLive } from "../kube/use-live.ts";
import type { DockTarget } from "../stores/dock.ts";
import { useEngine } from "../stores/engine.ts";
import { readContainer, readWorkload, type Sink } from "./sources.ts";

export type LogTarget =
  | Extract<DockTarget, { kind: "pod-logs" | "workload-logs" | "node-logs" }>
  | { kind: "engine-logs" };

export interface FeedSink extends Sink {
  /** Another source begins: what is there belongs to the old one. */
  reset: () => void;
}

const TAIL_LINES = 1000;
/** A whole workload begins with less of each Pod. */
const WORKLOAD_TAIL_LINES = 200;

export function useLogFeed(cluster: () => string, target: () => LogTarget, previous: Ref<boolean>, sink: FeedSink) {
  const engine = useEngine();
  const wanted = target();
  const isMachine = wanted.kind === "node-logs";
  const pods = useLive(() => {
    const now = target();
    if (now.kind === "pod-logs")
      return {
        cluster: cluster(),
        path: kubePath(PODS, { namespace: now.namespace, query: { fieldSelector: `metadata.name=${now.pod}` } }),
        table: "none",
      };
    if (now.kind === "workload-logs")
      return {
        cluster: cluster(),
        path: kubePath(PODS, { namespace: now.namespace, query: { labelSelector: now.selector } }),
        table: "none",
      };
    return undefined;
  });
  const containers = computed(() => {
    if (isMachine) return ["agent", "console"];
    return [...new Set(pods.value.rows.flatMap((row) => containersOf(row.object).map((container) => container.name)))];
  });
  const container = shallowRef(wanted.kind === "pod-logs" ? (wanted.container ?? "") : isMachine ? "agent" : "");
  watch(containers, (names) => {
    const first = pods.value.rows[0];
    if (container.value === "" && names.length > 0)
      container.value =
        (first && containersOf(first.object).find((entry) => entry.type === "container")?.name) ?? names[0] ?? "";
  });

  let stop = new AbortController();
  let update = (): void => {};

  function begin(): void {
    stop.abort();
    stop = new AbortController();
    update = () => {};
    sink.reset();
    const now = target();
    const api = engine.kube(cluster());
    const options = {
      follow: true,
      previous: previous.value,
      tailLines: now.kind === "workload-logs" ? WORKLOAD_TAIL_LINES : TAIL_LINES,
    };
    if (now.kind === "pod-logs") {
      if (container.value === "") return;
      void readContainer(
        api,
        { namespace: now.namespace, name: now.pod, container: container.value },
        options,
        sink,
        stop.signal,
      );
    } else if (now.kind === "workload-logs") {
      ({ update } = readWorkload(
        api,
        () => pods.value.rows.map((row) => row.object),
        container.value,
        options,
        sink,
        stop.signal,
      ));
      update();
    } else followEngine(now);
  }

  function followEngine(now: LogTarget): void {
    const name = now.kind === "node-logs" ? now.node : "engine";
    const end = engine.subscribe({
      open: (client, signal) => {
        sink.reset();
        return now.kind === "node-logs"
          ? client.nodes.logs(
              {
                cluster: cluster(),
                node: now.node,
                source: container.value === "console" ? "console" : "agent",
                lines: TAIL_LINES,
                follow: true,
              },
              { signal },
            )
          : client.system.logs({ lines: TAIL_LINES, follow: true }, { signal });
      },
      next: (line: string) => sink.line(name, line),
      failed: (error) => {
        sink.remark("", messageOf(error));
        return undefined;
      },
      ended: () => sink.remark("", "The log has ended."),
    });
    stop.signal.addEventListener("abort", end, { once: true });
  }

  watch([() => JSON.stringify(target()), container, previous], begin, { immediate: true });
  watch(
    () => pods.value.rows,
    () => update(),
  );
  onScopeDispose(() => stop.abort());

  return {
    containers,
    container,
    canPrevious: computed(() => target().kind === "pod-logs"),
    name: computed(() => {
      const now = target();
      return now.kind === "pod-logs"
        ? now.pod
        : now.kind === "workload-logs"
          ? now.name
          : now.kind === "node-logs"
            ? now.node
            : "engine";
    }),
  };
}
