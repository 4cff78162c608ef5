/** A StatefulSet as its controller sees it. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { PodTemplate } from "../kernel/pods.ts";
import type { StatefulInput, StatefulStatus } from "./decide.ts";

export type StatefulSetObject = KubeObject & {
  spec: {
    replicas?: number;
    selector: LabelSelectorObject;
    template: PodTemplate;
    serviceName?: string;
    podManagementPolicy?: string;
    minReadySeconds?: number;
    revisionHistoryLimit?: number;
    updateStrategy?: NonNullable<StatefulInput["strategy"]>;
    ordinals?: { start?: number };
    volumeClaimTemplates?: KubeObject[];
    persistentVolumeClaimRetentionPolicy?: { whenDeleted?: string; whenScaled?: string };
  };
  status?: StatefulStatus;
};
