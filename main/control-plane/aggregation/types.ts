/** APIServices as the rest of this folder reads them (apiregistration.k8s.io/v1). */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Condition } from "../custom-resources/types.ts";
import type { ServiceReference } from "../outbound/services.ts";

export type { Condition } from "../custom-resources/types.ts";

export interface ApiService extends KubeObject {
  spec: {
    group?: string;
    version?: string;
    /** Who answers; absent where this server does. */
    service?: ServiceReference;
    /** Base64 of PEM. */
    caBundle?: string;
    insecureSkipTLSVerify?: boolean;
    groupPriorityMinimum?: number;
    versionPriority?: number;
  };
  status?: { conditions?: Condition[] };
}

export const apiServices = { group: "apiregistration.k8s.io", version: "v1", resource: "apiservices" } as const;

/** Says that this server made an APIService: once at its start, or for as long as there is a definition. */
export const AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged";

export const availability = (service: ApiService): Condition | undefined =>
  service.status?.conditions?.find(({ type }) => type === "Available");
