/**
 * componentstatuses, for `kubectl get cs`: computed at each request, never stored. Kubernetes asks each component's
 * health endpoint; here controllers and scheduler work while somebody renews their Lease, and the store is asked itself.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { define, shows, table } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import type { Reader } from "../reader.ts";

interface Condition {
  type: "Healthy";
  status: "True" | "False";
  message?: string;
  error?: string;
}

interface ComponentStatus extends KubeObject {
  conditions: Condition[];
}

export interface ComponentSources {
  reader: Pick<Reader, "live">;
  /** Throws what is wrong with the store. */
  askStore(): Promise<unknown>;
  now(): number;
}

const LEASES = "leases.coordination.k8s.io";

/** What is wrong with whoever holds the Lease; undefined when it was renewed within its time. Pure. */
export function leaseProblem(lease: KubeObject | undefined, nowMillis: number): string | undefined {
  const {
    holderIdentity,
    renewTime,
    leaseDurationSeconds = 0,
  } = (lease?.["spec"] ?? {}) as {
    holderIdentity?: string;
    renewTime?: string;
    leaseDurationSeconds?: number;
  };
  if (!holderIdentity || renewTime === undefined) return "nobody leads";
  const late = Math.floor((nowMillis - Date.parse(renewTime)) / 1000);
  return late > leaseDurationSeconds ? `its Lease was not renewed for ${late} s` : undefined;
}

/** `sources` is asked at each request: it is made after the definitions. */
export function componentStatuses(sources: () => ComponentSources): ResourceDefinition {
  const lease = async (name: string): Promise<string | undefined> => {
    const { reader, now } = sources();
    return leaseProblem(await reader.live(LEASES, "kube-system", name), now());
  };
  const components: Record<string, () => Promise<string | undefined>> = {
    scheduler: () => lease("kube-scheduler"),
    "controller-manager": () => lease("kube-controller-manager"),
    "etcd-0": async () => {
      await sources().askStore();
      return undefined;
    },
  };
  const statusOf = async (name: string, check: () => Promise<string | undefined>): Promise<ComponentStatus> => {
    const problem = await check().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    const condition: Condition =
      problem === undefined
        ? { type: "Healthy", status: "True", message: "ok" }
        : { type: "Healthy", status: "False", message: problem };
    return { apiVersion: "v1", kind: "ComponentStatus", metadata: { name }, conditions: [condition] };
  };
  return define({
    group: "",
    version: "v1",
    kind: "ComponentStatus",
    resource: "componentstatuses",
    shortNames: ["cs"],
    namespaced: false,
    verbs: ["get", "list"],
    virtual: true,
    deprecation: "v1 ComponentStatus is deprecated in v1.19+",
    table: table<ComponentStatus>(
      shows("Status", "Whether it is healthy", ({ conditions: [one] }) =>
        one?.status === "True" ? "Healthy" : "Unhealthy",
      ),
      shows("Message", "What it said", ({ conditions: [one] }) => one?.message ?? ""),
      shows("Error", "What went wrong when it was asked", ({ conditions: [one] }) => one?.error ?? ""),
    ),
    computed: {
      async get(_namespace, name) {
        const check = Object.hasOwn(components, name) ? components[name] : undefined;
        if (!check) {
          throw new StatusError("NotFound", `componentstatuses ${JSON.stringify(name)} not found`, {
            name,
            kind: "componentstatuses",
          });
        }
        return statusOf(name, check);
      },
      list: () => Promise.all(Object.entries(components).map(([name, check]) => statusOf(name, check))),
    },
  });
}
