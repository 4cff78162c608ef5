/**
 * A good object of every kind, as flow YAML without apiVersion, kind and name. Mutation starts here, so that
 * much of what is sent gets past the first check and meets the deeper ones.
 */
import { parse } from "yaml";

const pod =
  "containers: [{name: c, image: 'drydock.local/busybox', ports: [{containerPort: 80, name: http}], env: [{name: A, value: b}, {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: '1'}}, volumeMounts: [{name: v, mountPath: /v}], readinessProbe: {httpGet: {path: /, port: 80}}}], volumes: [{name: v, emptyDir: {}}]";
const template = `template: {metadata: {labels: {app: web}}, spec: {${pod}}}`;
const workload = `selector: {matchLabels: {app: web}}, ${template}`;
const jobTemplate = `template: {spec: {restartPolicy: Never, ${pod}}}`;
const rules = "{operations: [CREATE, UPDATE], apiGroups: ['*'], apiVersions: ['*'], resources: ['*']}";
const webhook = `name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], timeoutSeconds: 1, failurePolicy: Ignore, clientConfig: {url: 'https://127.0.0.1:1/x'}, rules: [${rules}]`;
const schema = `{type: object, properties: {
  spec: {type: object, required: [size], properties: {
    size: {type: integer, minimum: 0, maximum: 100, default: 3},
    name: {type: string, pattern: '^[a-z]*$', maxLength: 20},
    when: {type: string, format: date-time},
    free: {type: object, x-kubernetes-preserve-unknown-fields: true},
    either: {x-kubernetes-int-or-string: true},
    parts: {type: array, maxItems: 8, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [key], items: {type: object, required: [key], properties: {key: {type: string, maxLength: 10}, value: {type: number, nullable: true}}}},
    set: {type: array, maxItems: 8, x-kubernetes-list-type: set, items: {type: string, maxLength: 10}},
    map: {type: object, maxProperties: 8, additionalProperties: {type: string, maxLength: 10}},
    embedded: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true},
    choice: {type: string, enum: [a, b, '']}},
    x-kubernetes-validations: [{rule: 'self.size < 50 || has(self.name)', message: too big}, {rule: '!has(oldSelf.name) || has(self.name)', reason: FieldValueForbidden, fieldPath: .name}, {rule: 'self.?parts.orValue([]).all(p, p.key.size() > 0)'}]},
  status: {type: object, properties: {replicas: {type: integer}, selector: {type: string}, ready: {type: boolean}}}}}`;

export const CERTIFICATE_REQUEST =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQmd6Q0NBU3NDQVFBd1FURVRNQkVHQTFVRUNnd0tjM2x6ZEdWdE9tNXZaR1Z6";

/** By "group/Kind" ("/Pod" in the core group). */
const texts: Record<string, string> = {
  "/ConfigMap": "{data: {a.txt: hello, b: ''}, binaryData: {c: AAEC}}",
  "/Secret": "{type: Opaque, data: {a: aGVsbG8=}, stringData: {b: hello}}",
  "/Event": "{involvedObject: {kind: Pod, name: web}, reason: Started, message: m, type: Normal, count: 1}",
  "events.k8s.io/Event":
    "{regarding: {kind: Pod, name: web}, reason: Started, note: m, type: Normal, action: Run, eventTime: '2024-01-01T00:00:00.000000Z', reportingController: a/b, reportingInstance: c}",
  "/Endpoints": "{subsets: [{addresses: [{ip: 10.244.0.1}], ports: [{port: 80}]}]}",
  "/LimitRange": "{spec: {limits: [{type: Container, max: {cpu: '4'}, default: {cpu: '1'}}]}}",
  "/Namespace": "{spec: {}}",
  "/Node": "{spec: {taints: [{key: a, value: b, effect: NoSchedule}]}, status: {capacity: {cpu: '4'}}}",
  "/PersistentVolume":
    "{spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: none, hostPath: {path: /data}}}",
  "/PersistentVolumeClaim":
    "{spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}}",
  "/Pod": `{spec: {schedulerName: nobody, ${pod}}}`,
  "/PodTemplate": `{template: {metadata: {labels: {app: web}}, spec: {${pod}}}}`,
  "/ReplicationController": `{spec: {replicas: 0, selector: {app: web}, ${template}}}`,
  "/ResourceQuota": "{spec: {hard: {pods: '100', requests.cpu: '10', count/configmaps: '1000'}}}",
  "/ServiceAccount": "{automountServiceAccountToken: false}",
  "/Service": "{spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}}",
  "apps/ControllerRevision": "{data: {a: 1}, revision: 1}",
  "apps/DaemonSet": `{spec: {${workload}}}`,
  "apps/Deployment": `{spec: {replicas: 0, ${workload}}}`,
  "apps/ReplicaSet": `{spec: {replicas: 0, ${workload}}}`,
  "apps/StatefulSet": `{spec: {replicas: 0, serviceName: web, ${workload}, volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}`,
  "autoscaling/HorizontalPodAutoscaler":
    "{spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}",
  "batch/CronJob": `{spec: {suspend: true, schedule: '*/5 * * * mon-fri', timeZone: Europe/Berlin, jobTemplate: {spec: {${jobTemplate}}}}}`,
  "batch/Job": `{spec: {suspend: true, ${jobTemplate}}}`,
  "certificates.k8s.io/CertificateSigningRequest": `{spec: {request: ${CERTIFICATE_REQUEST}, signerName: example.com/own, usages: [client auth]}}`,
  "coordination.k8s.io/Lease":
    "{spec: {holderIdentity: a, leaseDurationSeconds: 40, renewTime: '2024-01-01T00:00:00.000000Z'}}",
  "discovery.k8s.io/EndpointSlice": "{addressType: IPv4, endpoints: [{addresses: [10.244.0.1]}], ports: [{port: 80}]}",
  "networking.k8s.io/Ingress":
    "{spec: {ingressClassName: none, rules: [{host: a.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}",
  "networking.k8s.io/IngressClass": "{spec: {controller: example.com/c}}",
  "networking.k8s.io/NetworkPolicy":
    "{spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]}}",
  "networking.k8s.io/IPAddress": "{spec: {parentRef: {resource: services, namespace: default, name: web}}}",
  "networking.k8s.io/ServiceCIDR": "{spec: {cidrs: [10.97.0.0/24]}}",
  "node.k8s.io/RuntimeClass": "{handler: runc, overhead: {podFixed: {cpu: 1m}}}",
  "policy/PodDisruptionBudget": "{spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}}",
  "rbac.authorization.k8s.io/ClusterRole": "{rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]}",
  "rbac.authorization.k8s.io/ClusterRoleBinding":
    "{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}]}",
  "rbac.authorization.k8s.io/Role": "{rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]}",
  "rbac.authorization.k8s.io/RoleBinding":
    "{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: a, namespace: default}]}",
  "scheduling.k8s.io/PriorityClass": "{value: 10}",
  "storage.k8s.io/StorageClass": "{provisioner: example.com/p, parameters: {a: b}}",
  "storage.k8s.io/CSIDriver": "{spec: {attachRequired: false}}",
  "storage.k8s.io/CSINode": "{spec: {drivers: [{name: d.example.com, nodeID: n}]}}",
  "storage.k8s.io/CSIStorageCapacity": "{storageClassName: none, capacity: 1Gi, nodeTopology: {matchLabels: {a: b}}}",
  "storage.k8s.io/VolumeAttachment":
    "{spec: {attacher: a.example.com, nodeName: n, source: {persistentVolumeName: v}}}",
  "storage.k8s.io/VolumeAttributesClass": "{driverName: d.example.com, parameters: {a: b}}",
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": `{webhooks: [{${webhook}, reinvocationPolicy: Never}]}`,
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": `{webhooks: [{${webhook}, matchConditions: [{name: c, expression: "object.metadata.name != 'x'"}]}]}`,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": `{spec: {failurePolicy: Fail, matchConstraints: {resourceRules: [${rules}]}, variables: [{name: n, expression: "object.metadata.name"}], validations: [{expression: "variables.n != 'never'", messageExpression: "'no ' + variables.n"}], auditAnnotations: [{key: k, valueExpression: "variables.n"}]}}`,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding":
    "{spec: {policyName: $other, validationActions: [Deny, Audit]}}",
  "admissionregistration.k8s.io/MutatingAdmissionPolicy": `{spec: {failurePolicy: Ignore, reinvocationPolicy: Never, matchConstraints: {resourceRules: [${rules}]}, mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{metadata: Object.metadata{labels: {'added': 'x'}}}"}}, {patchType: JSONPatch, jsonPatch: {expression: "[JSONPatch{op: 'test', path: '/kind', value: object.kind}]"}}]}}`,
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": "{spec: {policyName: $other}}",
  "apiextensions.k8s.io/CustomResourceDefinition": `{spec: {group: $group, scope: Namespaced, names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wi]}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: ${schema}}, subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}}, selectableFields: [{jsonPath: .spec.name}], additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}, {name: Age, type: date, jsonPath: .metadata.creationTimestamp}]}]}}`,
  "flowcontrol.apiserver.k8s.io/FlowSchema":
    "{spec: {priorityLevelConfiguration: {name: global-default}, matchingPrecedence: 9000, rules: [{subjects: [{kind: User, user: {name: nobody}}], nonResourceRules: [{verbs: ['*'], nonResourceURLs: [/nothing]}]}]}}",
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration":
    "{spec: {type: Limited, limited: {nominalConcurrencyShares: 1, limitResponse: {type: Queue, queuing: {queues: 4, handSize: 2, queueLengthLimit: 5}}}}}",
  "resource.k8s.io/DeviceClass": `{spec: {selectors: [{cel: {expression: "device.driver == 'd.example.com'"}}]}}`,
  "resource.k8s.io/ResourceClaim":
    "{spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c.example.com, allocationMode: ExactCount, count: 1}}]}}}",
  "resource.k8s.io/ResourceClaimTemplate":
    "{spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c.example.com}}]}}}}",
  "resource.k8s.io/ResourceSlice":
    "{spec: {driver: d.example.com, nodeName: n, pool: {name: p, generation: 1, resourceSliceCount: 1}, devices: [{name: d}]}}",
  "authentication.k8s.io/TokenReview": "{spec: {token: a.b.c, audiences: [x]}}",
  "authentication.k8s.io/SelfSubjectReview": "{}",
  "authentication.k8s.io/TokenRequest": "{spec: {audiences: [a], expirationSeconds: 600}}",
  "authorization.k8s.io/SubjectAccessReview":
    "{spec: {user: ann, groups: [g], resourceAttributes: {verb: get, resource: pods, namespace: default}}}",
  "authorization.k8s.io/SelfSubjectAccessReview": "{spec: {nonResourceAttributes: {verb: get, path: /metrics}}}",
  "authorization.k8s.io/SelfSubjectRulesReview": "{spec: {namespace: default}}",
  "authorization.k8s.io/LocalSubjectAccessReview":
    "{spec: {user: ann, resourceAttributes: {verb: get, resource: pods}}}",
  "autoscaling/Scale": "{spec: {replicas: 0}}",
  "policy/Eviction": "{deleteOptions: {gracePeriodSeconds: 0}}",
  "/Binding": "{target: {kind: Node, name: fuzz-node}}",
  "apiregistration.k8s.io/APIService":
    "{spec: {group: none.example.com, version: v1, groupPriorityMinimum: 100, versionPriority: 10, service: {name: web, namespace: default, port: 443}, insecureSkipTLSVerify: true}}",
  "widgets/Widget":
    "{spec: {size: 4, name: abc, when: '2024-01-01T00:00:00Z', free: {x: [1, {y: null}]}, either: 5, parts: [{key: a, value: 1.5}], set: [a, b], map: {k: v}, choice: a}, status: {replicas: 1}}",
};

const parsed = new Map<string, Record<string, unknown>>();

/** A fresh copy; an empty object for a kind that has none. */
export function seedOf(group: string, kind: string): Record<string, unknown> {
  const key = `${group}/${kind}`;
  let seed = parsed.get(key);
  if (!seed) parsed.set(key, (seed = parse(texts[key] ?? "{}") as Record<string, unknown>));
  return structuredClone(seed);
}
