/** One object of every kind that can be made by hand, as short as its validation lets it be. */
const pod = "{containers: [{name: main, image: drydock.local/nginx:1}]}";
const template = (app: string): string => `{metadata: {labels: {app: ${app}}}, spec: ${pod}}`;
const jobTemplate = `{metadata: {labels: {app: one}}, spec: {restartPolicy: Never, containers: [{name: main, image: drydock.local/nginx:1}]}}`;
const rules = "[{apiGroups: ['example.com'], apiVersions: [v1], operations: [CREATE], resources: [things]}]";
const webhook = (extra = ""): string =>
  `[{name: one.example.com, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: {url: 'https://127.0.0.1:1/'}, rules: ${rules}${extra}}]`;

/** apiVersion, kind, and the rest; `name` is added. */
const kinds: [apiVersion: string, kind: string, rest: string][] = [
  ["v1", "ConfigMap", "data: {a: b}"],
  ["v1", "Secret", "stringData: {password: secret}"],
  ["v1", "ServiceAccount", ""],
  ["v1", "Service", "spec: {selector: {app: every}, ports: [{port: 80}]}"],
  ["v1", "Endpoints", "subsets: [{addresses: [{ip: 10.1.2.3}], ports: [{port: 80}]}]"],
  ["v1", "Pod", `spec: ${pod}`],
  ["v1", "PodTemplate", `template: ${template("every")}`],
  ["v1", "ReplicationController", `spec: {replicas: 0, selector: {app: rc}, template: ${template("rc")}}`],
  ["v1", "LimitRange", "spec: {limits: [{type: Container, defaultRequest: {cpu: 10m}}]}"],
  ["v1", "ResourceQuota", "spec: {hard: {pods: '50'}}"],
  [
    "v1",
    "PersistentVolumeClaim",
    "spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}",
  ],
  [
    "v1",
    "Event",
    "involvedObject: {kind: Pod, name: every, namespace: every-kind}\nreason: Testing\nmessage: by hand\ntype: Normal",
  ],
  [
    "events.k8s.io/v1",
    "Event",
    "eventTime: '2026-01-02T03:04:05.000006Z'\nreportingController: example.com/c\nreportingInstance: one\naction: Doing\nregarding: {kind: Pod, name: every, namespace: every-kind}\nreason: Testing\nnote: by hand\ntype: Normal",
  ],
  [
    "apps/v1",
    "Deployment",
    `spec: {replicas: 1, selector: {matchLabels: {app: deploy}}, template: ${template("deploy")}}`,
  ],
  ["apps/v1", "ReplicaSet", `spec: {replicas: 0, selector: {matchLabels: {app: rs}}, template: ${template("rs")}}`],
  [
    "apps/v1",
    "StatefulSet",
    `spec: {replicas: 0, serviceName: every, selector: {matchLabels: {app: sts}}, template: ${template("sts")}}`,
  ],
  ["apps/v1", "DaemonSet", `spec: {selector: {matchLabels: {app: ds}}, template: ${template("ds")}}`],
  ["apps/v1", "ControllerRevision", "revision: 1\ndata: {a: b}"],
  ["batch/v1", "Job", `spec: {suspend: true, template: ${jobTemplate}}`],
  ["batch/v1", "CronJob", `spec: {schedule: '0 0 1 1 *', jobTemplate: {spec: {template: ${jobTemplate}}}}`],
  [
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: every}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}",
  ],
  ["policy/v1", "PodDisruptionBudget", "spec: {minAvailable: 1, selector: {matchLabels: {app: sts}}}"],
  ["networking.k8s.io/v1", "Ingress", "spec: {defaultBackend: {service: {name: every, port: {number: 80}}}}"],
  ["networking.k8s.io/v1", "IngressClass", "spec: {controller: example.com/ingress}"],
  ["networking.k8s.io/v1", "NetworkPolicy", "spec: {podSelector: {matchLabels: {app: none}}, policyTypes: [Ingress]}"],
  ["networking.k8s.io/v1", "ServiceCIDR", "spec: {cidrs: [10.97.0.0/24]}"],
  [
    "discovery.k8s.io/v1",
    "EndpointSlice",
    "addressType: IPv4\nendpoints: [{addresses: [10.1.2.4]}]\nports: [{port: 80}]",
  ],
  ["coordination.k8s.io/v1", "Lease", "spec: {holderIdentity: me, leaseDurationSeconds: 15}"],
  ["rbac.authorization.k8s.io/v1", "Role", "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]"],
  [
    "rbac.authorization.k8s.io/v1",
    "RoleBinding",
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: every}\nsubjects: [{kind: ServiceAccount, name: every, namespace: every-kind}]",
  ],
  ["rbac.authorization.k8s.io/v1", "ClusterRole", "rules: [{nonResourceURLs: [/version], verbs: [get]}]"],
  [
    "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding",
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: every}\nsubjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: eve}]",
  ],
  ["v1", "Namespace", ""],
  ["v1", "Node", "spec: {unschedulable: true}"],
  [
    "v1",
    "PersistentVolume",
    "spec: {accessModes: [ReadWriteOnce], storageClassName: some, capacity: {storage: 1Gi}, hostPath: {path: /srv}}",
  ],
  ["storage.k8s.io/v1", "StorageClass", "provisioner: example.com/disk"],
  ["storage.k8s.io/v1", "CSIDriver", "spec: {attachRequired: false}"],
  ["storage.k8s.io/v1", "CSINode", "spec: {drivers: []}"],
  ["storage.k8s.io/v1", "CSIStorageCapacity", "storageClassName: every\ncapacity: 1Gi"],
  [
    "storage.k8s.io/v1",
    "VolumeAttachment",
    "spec: {attacher: example.com, nodeName: every, source: {persistentVolumeName: every}}",
  ],
  ["storage.k8s.io/v1", "VolumeAttributesClass", "driverName: example.com\nparameters: {iops: '100'}"],
  ["scheduling.k8s.io/v1", "PriorityClass", "value: 100"],
  ["node.k8s.io/v1", "RuntimeClass", "handler: runc"],
  ["admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", `webhooks: ${webhook()}`],
  [
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    `webhooks: ${webhook(", reinvocationPolicy: IfNeeded")}`,
  ],
  [
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    `spec: {matchConstraints: {resourceRules: ${rules}}, validations: [{expression: 'true'}]}`,
  ],
  [
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "spec: {policyName: every, validationActions: [Warn]}",
  ],
  [
    "admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicy",
    `spec: {reinvocationPolicy: Never, matchConstraints: {resourceRules: ${rules}}, mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{}'}}]}`,
  ],
  ["admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", "spec: {policyName: every}"],
  [
    "flowcontrol.apiserver.k8s.io/v1",
    "FlowSchema",
    "spec: {priorityLevelConfiguration: {name: global-default}, matchingPrecedence: 9000}",
  ],
  [
    "flowcontrol.apiserver.k8s.io/v1",
    "PriorityLevelConfiguration",
    "spec: {type: Limited, limited: {nominalConcurrencyShares: 5, limitResponse: {type: Reject}}}",
  ],
  ["resource.k8s.io/v1", "DeviceClass", ""],
  [
    "resource.k8s.io/v1",
    "ResourceClaim",
    "spec: {devices: {requests: [{name: one, exactly: {deviceClassName: every}}]}}",
  ],
  [
    "resource.k8s.io/v1",
    "ResourceClaimTemplate",
    "spec: {spec: {devices: {requests: [{name: one, exactly: {deviceClassName: every}}]}}}",
  ],
  [
    "resource.k8s.io/v1",
    "ResourceSlice",
    "spec: {driver: example.com, nodeName: every, pool: {name: every, generation: 1, resourceSliceCount: 1}, devices: []}",
  ],
  [
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "spec: {group: example.com, scope: Namespaced, names: {plural: everies, singular: every, kind: Every}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, description: How large it is.}}}}}}}]}",
  ],
];

const nameOf = (kind: string, apiVersion: string): string => {
  if (kind === "CustomResourceDefinition") return "everies.example.com";
  // The Service has Endpoints of its name already.
  if (kind === "Endpoints") return "every-own";
  return kind === "Event" && apiVersion !== "v1" ? "every-modern" : "every";
};

/** Manifests, one after the other. */
export const manifests = kinds
  .map(
    ([apiVersion, kind, rest]) =>
      `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: ${nameOf(kind, apiVersion)}}\n${rest}\n`,
  )
  .join("---\n");

/** "deployment.apps/every", as kubectl names them. */
export const names = kinds.map(([apiVersion, kind]) => {
  const group = apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : "";
  return `${kind.toLowerCase()}${group}/${nameOf(kind, apiVersion)}`;
});
