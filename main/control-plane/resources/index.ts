/** Every built-in kind, one definition each. A new kind is one more file and one more line here. */
import {
  mutatingAdmissionPolicy,
  mutatingAdmissionPolicyBinding,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
} from "./admission/policies.ts";
import { mutatingWebhookConfiguration, validatingWebhookConfiguration } from "./admission/webhooks.ts";
import { apiService } from "../aggregation/apiservice.ts";
import { customResourceDefinition } from "../custom-resources/crd.ts";
import { daemonSet } from "./apps/daemonset.ts";
import { deployment } from "./apps/deployment.ts";
import { replicaSet, replicationController } from "./apps/replicaset.ts";
import { controllerRevision, statefulSet } from "./apps/statefulset.ts";
import { cronJob } from "./batch/cronjob.ts";
import { job } from "./batch/job.ts";
import { configMap, secret } from "./core/config.ts";
import { endpoints, endpointSlice } from "./core/endpoints.ts";
import { event, modernEvent } from "./core/event.ts";
import { namespace } from "./core/namespace.ts";
import { node } from "./core/node.ts";
import { pod } from "./core/pod/pod.ts";
import { podTemplate } from "./core/podtemplate.ts";
import { ServiceAllocator } from "./core/service-allocator.ts";
import { service } from "./core/service.ts";
import { serviceAccount } from "./core/serviceaccount.ts";
import type { ResourceDefinition } from "./definition.ts";
import { ipAddress, serviceCidr } from "./networking/addresses.ts";
import { ingress, ingressClass, networkPolicy } from "./networking/networking.ts";
import { horizontalPodAutoscaler } from "./other/autoscaling.ts";
import { oldHorizontalPodAutoscaler } from "./other/autoscaling-v1.ts";
import { certificateSigningRequest } from "./other/certificates.ts";
import { lease, priorityClass, runtimeClass } from "./other/coordination.ts";
import { deviceClass, resourceClaim, resourceClaimTemplate, resourceSlice } from "./other/dynamic-resources.ts";
import { flowSchema, priorityLevelConfiguration } from "./other/flowcontrol.ts";
import { limitRange, podDisruptionBudget, resourceQuota } from "./other/policy.ts";
import { persistentVolume, persistentVolumeClaim, storageClass } from "./other/storage.ts";
import {
  csiDriver,
  csiNode,
  csiStorageCapacity,
  volumeAttachment,
  volumeAttributesClass,
} from "./other/storage-drivers.ts";
import { clusterRole, clusterRoleBinding, role, roleBinding } from "./rbac/rbac.ts";
import { virtualKinds } from "./virtual/definitions.ts";

export { ServiceAllocator } from "./core/service-allocator.ts";

export interface BuiltinOptions {
  /** Who hands out cluster IPs and node ports; rebuild it from the stored Services before serving. */
  services?: ServiceAllocator;
}

/** Reads nothing and starts nothing. */
export function builtinResources(options: BuiltinOptions = {}): ResourceDefinition[] {
  return [
    configMap,
    endpoints,
    event,
    limitRange,
    namespace,
    node,
    persistentVolume,
    persistentVolumeClaim,
    pod,
    podTemplate,
    replicationController,
    resourceQuota,
    secret,
    serviceAccount,
    service(options.services ?? new ServiceAllocator()),
    controllerRevision,
    daemonSet,
    deployment,
    replicaSet,
    statefulSet,
    horizontalPodAutoscaler,
    oldHorizontalPodAutoscaler,
    cronJob,
    job,
    certificateSigningRequest,
    lease,
    endpointSlice,
    modernEvent,
    ingress,
    ingressClass,
    networkPolicy,
    runtimeClass,
    podDisruptionBudget,
    clusterRole,
    clusterRoleBinding,
    role,
    roleBinding,
    priorityClass,
    storageClass,
    csiDriver,
    csiNode,
    csiStorageCapacity,
    volumeAttachment,
    volumeAttributesClass,
    ipAddress,
    serviceCidr,
    mutatingWebhookConfiguration,
    validatingWebhookConfiguration,
    validatingAdmissionPolicy,
    validatingAdmissionPolicyBinding,
    mutatingAdmissionPolicy,
    mutatingAdmissionPolicyBinding,
    customResourceDefinition,
    apiService,
    flowSchema,
    priorityLevelConfiguration,
    deviceClass,
    resourceClaim,
    resourceClaimTemplate,
    resourceSlice,
    ...virtualKinds,
  ];
}
