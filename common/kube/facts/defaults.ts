/**
 * Defaulting: the constant defaults of each type as data, and the few that depend on other fields as
 * functions. What the API server of 1.36 sets for a field that was left out; kinds whose defaults need
 * more than the object itself (allocation, other objects) are their strategy's.
 */
import { copyOf } from "../copy.ts";
import type { KubeObject } from "../object.ts";
import { parseApiVersion } from "../object.ts";
import { applySchemaDefaults, customKind } from "./custom.ts";
import { factsOf, typeFact } from "./index.ts";
import type { TypeFact } from "./index.ts";

/** How fast an autoscaler goes when nobody says. */
const SCALING = {
  scaleUp: {
    stabilizationWindowSeconds: 0,
    selectPolicy: "Max",
    policies: [
      { type: "Pods", value: 4, periodSeconds: 15 },
      { type: "Percent", value: 100, periodSeconds: 15 },
    ],
  },
  scaleDown: { selectPolicy: "Max", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] },
};
const MOST_INT32 = 2_147_483_647;

type Values = Record<string, unknown>;
type Struct = Record<string, unknown>;

const admission = (name: string): string => `io.k8s.api.admissionregistration.v1.${name}`;
const flow = (name: string): string => `io.k8s.api.flowcontrol.v1.${name}`;
const core = (name: string): string => `io.k8s.api.core.v1.${name}`;

/** Type id → field → value. Objects are copied for each use. */
const constants: Record<string, Values> = {
  [core("PodSpec")]: {
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    enableServiceLinks: true,
  },
  [core("Container")]: {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    resources: {},
  },
  [core("EphemeralContainer")]: {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    resources: {},
  },
  [core("ContainerPort")]: { protocol: "TCP" },
  [core("Probe")]: { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
  [core("HTTPGetAction")]: { path: "/", scheme: "HTTP" },
  [core("GRPCAction")]: { service: "" },
  [core("SecretVolumeSource")]: { defaultMode: 420 },
  [core("ConfigMapVolumeSource")]: { defaultMode: 420 },
  [core("DownwardAPIVolumeSource")]: { defaultMode: 420 },
  [core("ProjectedVolumeSource")]: { defaultMode: 420 },
  [core("ServiceAccountTokenProjection")]: { expirationSeconds: 3600 },
  [core("HostPathVolumeSource")]: { type: "" },
  [core("ObjectFieldSelector")]: { apiVersion: "v1" },
  [core("ServicePort")]: { protocol: "TCP" },
  [core("ServiceSpec")]: { sessionAffinity: "None", type: "ClusterIP" },
  [core("EndpointPort")]: { protocol: "TCP" },
  [core("Secret")]: { type: "Opaque" },
  [core("ReplicationControllerSpec")]: { replicas: 1 },
  [core("PersistentVolumeSpec")]: { persistentVolumeReclaimPolicy: "Retain", volumeMode: "Filesystem" },
  [core("PersistentVolumeClaimSpec")]: { volumeMode: "Filesystem" },
  "io.k8s.api.discovery.v1.EndpointPort": { name: "", protocol: "TCP" },
  "io.k8s.api.apps.v1.DeploymentSpec": {
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: {},
  },
  "io.k8s.api.apps.v1.DeploymentStrategy": { type: "RollingUpdate" },
  "io.k8s.api.apps.v1.ReplicaSetSpec": { replicas: 1 },
  "io.k8s.api.apps.v1.StatefulSetSpec": {
    replicas: 1,
    revisionHistoryLimit: 10,
    podManagementPolicy: "OrderedReady",
    updateStrategy: {},
    persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
  },
  "io.k8s.api.apps.v1.StatefulSetUpdateStrategy": { type: "RollingUpdate" },
  "io.k8s.api.apps.v1.DaemonSetSpec": { revisionHistoryLimit: 10, updateStrategy: {} },
  "io.k8s.api.apps.v1.DaemonSetUpdateStrategy": { type: "RollingUpdate" },
  "io.k8s.api.apps.v1.RollingUpdateDaemonSet": { maxUnavailable: 1, maxSurge: 0 },
  "io.k8s.api.batch.v1.JobSpec": { completionMode: "NonIndexed", suspend: false },
  "io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern": { status: "True" },
  "io.k8s.api.batch.v1.CronJobSpec": {
    concurrencyPolicy: "Allow",
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  },
  "io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec": { minReplicas: 1 },
  "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec": { minReplicas: 1 },
  "io.k8s.api.networking.v1.IngressClassParametersReference": { scope: "Cluster" },
  "io.k8s.api.networking.v1.NetworkPolicyPort": { protocol: "TCP" },
  "io.k8s.api.storage.v1.StorageClass": { reclaimPolicy: "Delete", volumeBindingMode: "Immediate" },
  "io.k8s.api.rbac.v1.RoleRef": { apiGroup: "rbac.authorization.k8s.io" },
  "io.k8s.api.scheduling.v1.PriorityClass": { preemptionPolicy: "PreemptLowerPriority" },
  "io.k8s.api.certificates.v1.CertificateSigningRequestSpec": {},
  [admission("MutatingWebhook")]: {
    failurePolicy: "Fail",
    matchPolicy: "Equivalent",
    namespaceSelector: {},
    objectSelector: {},
    timeoutSeconds: 10,
    reinvocationPolicy: "Never",
  },
  [admission("ValidatingWebhook")]: {
    failurePolicy: "Fail",
    matchPolicy: "Equivalent",
    namespaceSelector: {},
    objectSelector: {},
    timeoutSeconds: 10,
  },
  [admission("RuleWithOperations")]: { scope: "*" },
  [admission("NamedRuleWithOperations")]: { scope: "*" },
  [admission("ServiceReference")]: { port: 443 },
  [admission("MatchResources")]: { matchPolicy: "Equivalent", namespaceSelector: {}, objectSelector: {} },
  [admission("ValidatingAdmissionPolicySpec")]: { failurePolicy: "Fail" },
  [admission("MutatingAdmissionPolicySpec")]: { failurePolicy: "Fail" },
  [flow("FlowSchemaSpec")]: { matchingPrecedence: 1000 },
  [flow("LimitedPriorityLevelConfiguration")]: { nominalConcurrencyShares: 30, lendablePercent: 0, limitResponse: {} },
  [flow("ExemptPriorityLevelConfiguration")]: { nominalConcurrencyShares: 0, lendablePercent: 0 },
  [flow("QueuingConfiguration")]: { queues: 64, handSize: 8, queueLengthLimit: 50 },
  "io.k8s.api.storage.v1.CSIDriverSpec": {
    attachRequired: true,
    podInfoOnMount: false,
    volumeLifecycleModes: ["Persistent"],
    storageCapacity: false,
    fsGroupPolicy: "ReadWriteOnceWithFSType",
    requiresRepublish: false,
    seLinuxMount: false,
  },
  "io.k8s.api.resource.v1.ExactDeviceRequest": { allocationMode: "ExactCount" },
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec": {
    conversion: { strategy: "None" },
  },
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ServiceReference": { port: 443 },
  "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference": { port: 443 },
};

const set = (target: Struct, field: string, value: unknown): void => {
  if (target[field] === undefined || target[field] === null) target[field] = value;
};
const struct = (value: unknown): Struct | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Struct) : undefined;
const list = (value: unknown): Struct[] =>
  Array.isArray(value) ? value.map(struct).filter((item) => item !== undefined) : [];

/** IfNotPresent, or Always where the reference names no tag, or the tag "latest". */
export function defaultPullPolicy(image: string): "Always" | "IfNotPresent" {
  if (image.includes("@")) return "IfNotPresent";
  const name = image.slice(image.lastIndexOf("/") + 1);
  const colon = name.indexOf(":");
  return colon < 0 || name.slice(colon + 1) === "latest" ? "Always" : "IfNotPresent";
}

/** Requests that were left out equal the limits. */
function requestsFromLimits(container: Struct): void {
  const resources = struct(container["resources"]);
  const limits = struct(resources?.["limits"]);
  if (!resources || !limits) return;
  const requests = { ...struct(resources["requests"]) };
  for (const [name, value] of Object.entries(limits)) set(requests, name, value);
  resources["requests"] = requests;
}

const container = (value: Struct): void => {
  if (typeof value["image"] === "string" && value["image"] !== "")
    set(value, "imagePullPolicy", defaultPullPolicy(value["image"]));
};

/** Selector and labels of a workload come from its template when absent (ReplicationController only; apps/v1 requires them). */
function fromTemplateLabels(object: Struct): void {
  const spec = struct(object["spec"]);
  const labels = struct(struct(struct(spec?.["template"])?.["metadata"])?.["labels"]);
  if (!spec || !labels) return;
  if (Object.keys(struct(spec["selector"]) ?? {}).length === 0) spec["selector"] = { ...labels };
  const metadata = struct(object["metadata"]);
  if (metadata && Object.keys(struct(metadata["labels"]) ?? {}).length === 0) metadata["labels"] = { ...labels };
}

/** Type id → defaults that depend on the rest of the object; run after the constants, before the children. */
const computed: Record<string, (value: Struct) => void> = {
  [core("Container")]: container,
  [core("EphemeralContainer")]: container,
  [core("Pod")]: (pod) => {
    const spec = struct(pod["spec"]);
    // Pod templates keep what was written; only Pods themselves get their requests filled in.
    for (const item of [...list(spec?.["containers"]), ...list(spec?.["initContainers"])]) requestsFromLimits(item);
    if (spec?.["hostNetwork"] === true) hostPorts(spec);
  },
  [core("PodTemplateSpec")]: (template) => {
    const spec = struct(template["spec"]);
    if (spec?.["hostNetwork"] === true) hostPorts(spec);
  },
  [core("PodSpec")]: (spec) => {
    if (spec["serviceAccountName"] !== undefined) set(spec, "serviceAccount", spec["serviceAccountName"]);
    else if (spec["serviceAccount"] !== undefined) spec["serviceAccountName"] = spec["serviceAccount"];
  },
  [core("ServiceSpec")]: (spec) => {
    const type = spec["type"];
    if (spec["sessionAffinity"] === "ClientIP")
      set(spec, "sessionAffinityConfig", { clientIP: { timeoutSeconds: 10800 } });
    if (type === "NodePort" || type === "LoadBalancer") set(spec, "externalTrafficPolicy", "Cluster");
    if (type !== "ExternalName") set(spec, "internalTrafficPolicy", "Cluster");
    if (type === "LoadBalancer") set(spec, "allocateLoadBalancerNodePorts", true);
  },
  [core("ServicePort")]: (port) => {
    if (port["targetPort"] === undefined || port["targetPort"] === 0 || port["targetPort"] === "")
      port["targetPort"] = port["port"];
  },
  [core("ReplicationController")]: fromTemplateLabels,
  [core("HTTPGetAction")]: (action) => {
    if (action["path"] === "") action["path"] = "/";
  },
  "io.k8s.api.apps.v1.DeploymentStrategy": (strategy) => {
    if (strategy["type"] !== "RollingUpdate") return;
    const rolling = struct(strategy["rollingUpdate"]) ?? {};
    set(rolling, "maxUnavailable", "25%");
    set(rolling, "maxSurge", "25%");
    strategy["rollingUpdate"] = rolling;
  },
  "io.k8s.api.apps.v1.StatefulSetUpdateStrategy": (strategy) => {
    if (strategy["type"] !== "RollingUpdate") return;
    const rolling = struct(strategy["rollingUpdate"]) ?? {};
    set(rolling, "partition", 0);
    strategy["rollingUpdate"] = rolling;
  },
  "io.k8s.api.apps.v1.DaemonSetUpdateStrategy": (strategy) => {
    if (strategy["type"] === "RollingUpdate") set(strategy, "rollingUpdate", {});
  },
  "io.k8s.api.batch.v1.JobSpec": (spec) => {
    if (spec["completions"] === undefined && spec["parallelism"] === undefined) set(spec, "completions", 1);
    set(spec, "parallelism", 1);
    // Where each index has a limit of its own, the Job as a whole has none.
    const limited = (spec["backoffLimitPerIndex"] ?? undefined) !== undefined;
    set(spec, "backoffLimit", limited ? MOST_INT32 : 6);
    const judged = (spec["podFailurePolicy"] ?? undefined) !== undefined;
    set(spec, "podReplacementPolicy", judged ? "Failed" : "TerminatingOrFailed");
  },
  // A behaviour that says something says all: what it leaves out is filled in.
  "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior": (behavior) => {
    for (const [direction, rules] of Object.entries(SCALING)) {
      const given = struct(behavior[direction]) ?? {};
      for (const [field, value] of Object.entries(rules)) set(given, field, copyOf(value));
      behavior[direction] = given;
    }
  },
  [flow("PriorityLevelConfigurationSpec")]: (spec) => {
    if (spec["type"] === "Exempt") set(spec, "exempt", {});
  },
  [flow("LimitResponse")]: (response) => {
    if (response["type"] === "Queue") set(response, "queuing", {});
  },
  "io.k8s.api.resource.v1.ExactDeviceRequest": (request) => {
    if (request["allocationMode"] === "ExactCount") set(request, "count", 1);
  },
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec": (spec) => {
    const names = struct(spec["names"]);
    if (typeof names?.["kind"] !== "string") return;
    set(names, "singular", names["kind"].toLowerCase());
    set(names, "listKind", `${names["kind"]}List`);
  },
  "io.k8s.api.rbac.v1.Subject": (subject) => {
    if (subject["kind"] === "User" || subject["kind"] === "Group")
      set(subject, "apiGroup", "rbac.authorization.k8s.io");
  },
  "io.k8s.api.networking.v1.NetworkPolicySpec": (spec) => {
    if (Array.isArray(spec["policyTypes"]) && spec["policyTypes"].length > 0) return;
    spec["policyTypes"] =
      Array.isArray(spec["egress"]) && spec["egress"].length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
  },
};

/** Containers of a host-network Pod listen on the host's port of the same number. */
function hostPorts(spec: Struct): void {
  for (const item of [...list(spec["containers"]), ...list(spec["initContainers"])]) {
    for (const port of list(item["ports"])) set(port, "hostPort", port["containerPort"]);
  }
}

/** Fills in what was left out, in place, from the object's own type downwards; custom resources by their schemas. */
export function applyDefaults(object: KubeObject): void {
  const fact = factsOf(object);
  if (fact) visit(object, fact);
  else applySchemaDefaults(object, customKind({ ...parseApiVersion(object.apiVersion), kind: object.kind })?.schema);
}

function visit(value: Struct, fact: TypeFact): void {
  const byDefault = constants[fact.id];
  for (const name in byDefault) if ((value[name] ?? undefined) === undefined) value[name] = copyOf(byDefault[name]);
  computed[fact.id]?.(value);
  for (const name of Object.keys(value)) {
    const child = value[name];
    if (typeof child !== "object" || child === null) continue;
    const field = fact.fields.get(name);
    if (!field) continue;
    const type = typeFact(field.type);
    if (!type) continue;
    if (field.list) for (const item of list(child)) visit(item, type);
    else if (field.map) for (const item of list(Object.values(child))) visit(item, type);
    else visit(child as Struct, type);
  }
}
