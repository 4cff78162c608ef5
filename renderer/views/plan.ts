/** The choices for a new cluster, checked live by the engine against this computer. */
import { computed, onScopeDispose, reactive, shallowRef, watch } from "vue";
import { ClusterPlan, type Finding, type SystemInfo } from "../../common/contract/index.ts";
import { messageOf } from "../engine/failure.ts";
import { useClusters } from "../stores/clusters.ts";
import { useEngine } from "../stores/engine.ts";

const DEBOUNCE_MS = 150;

/** "drydock", or the first "drydock-N" that is free. */
export function freeName(taken: string[]): string {
  if (!taken.includes("drydock")) return "drydock";
  let number = 2;
  while (taken.includes(`drydock-${number}`)) number += 1;
  return `drydock-${number}`;
}

export function usePlan() {
  const engine = useEngine();
  const clusters = useClusters();
  const values = reactive(ClusterPlan.parse({}));
  const findings = shallowRef<Finding[]>([]);
  const system = shallowRef<SystemInfo>();
  let named = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asked = 0;

  watch(
    () => clusters.list.map((cluster) => cluster.name).join(),
    () => {
      if (!named) values.name = freeName(clusters.list.map((cluster) => cluster.name));
    },
    { immediate: true },
  );
  watch(values, () => {
    clearTimeout(timer);
    timer = setTimeout(() => void check(), DEBOUNCE_MS);
  });

  async function check(): Promise<void> {
    asked += 1;
    const mine = asked;
    try {
      const client = await engine.client();
      const [found, info] = await Promise.all([client.system.check({ ...values }), client.system.info()]);
      // Only the newest answer counts, whatever the order they come in.
      if (mine !== asked) return;
      findings.value = found;
      system.value = info;
      // The accelerator is probed by booting a kernel, which takes seconds: ask again until it is known.
      if (!info.accelerator || info.image.state === "building") timer = setTimeout(() => void check(), 1000);
    } catch (error) {
      if (mine !== asked) return;
      findings.value = [
        { severity: "warning", field: "host", message: `The choices could not be checked: ${messageOf(error)}` },
      ];
      timer = setTimeout(() => void check(), 2000);
    }
  }
  void check();
  onScopeDispose(() => {
    asked += 1;
    clearTimeout(timer);
  });

  return {
    values,
    system,
    findings,
    touchName: () => (named = true),
    at: (field: Finding["field"]) => findings.value.filter((finding) => finding.field === field),
    image: computed(() => system.value?.image.state),
    blocked: computed(() => findings.value.some((finding) => finding.severity === "error")),
  };
}

export type Plan = ReturnType<typeof usePlan>;
