/** CustomResourceDefinitions as the rest of this folder reads them (apiextensions.k8s.io/v1). */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { KubeObject } from "../../../common/kube/object.ts";

export interface Names {
  plural: string;
  singular: string;
  kind: string;
  listKind: string;
  shortNames?: string[];
  categories?: string[];
}

export interface PrinterColumn {
  name: string;
  type: string;
  format?: string;
  description?: string;
  priority?: number;
  jsonPath: string;
}

export interface Version {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: StructuralSchema };
  subresources?: {
    status?: object;
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  };
  additionalPrinterColumns?: PrinterColumn[];
  selectableFields?: { jsonPath: string }[];
}

export interface ConversionWebhook {
  clientConfig?: {
    url?: string;
    service?: { namespace: string; name: string; path?: string; port?: number };
    caBundle?: string;
  };
  conversionReviewVersions?: string[];
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    names: Names;
    scope: "Namespaced" | "Cluster";
    versions: Version[];
    conversion?: { strategy: "None" | "Webhook"; webhook?: ConversionWebhook };
    preserveUnknownFields?: boolean;
  };
  status?: { conditions?: Condition[]; acceptedNames?: Partial<Names>; storedVersions?: string[] };
}

export const definitionsResource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  resource: "customresourcedefinitions",
} as const;

/** Holds a definition that is deleted until all its objects are gone. */
export const CLEANUP = "customresourcecleanup.apiextensions.k8s.io";

export function conditionOf(crd: CustomResourceDefinition, type: string): Condition | undefined {
  return crd.status?.conditions?.find((condition) => condition.type === type);
}

export const isTerminating = (crd: CustomResourceDefinition): boolean => crd.metadata.deletionTimestamp !== undefined;
