/** One table for the kinds that need no test file of their own: what is refused, what may not change, what is shown. */
import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { context, definitionOf, fromYaml, judgeCreate, judgeUpdate, row } from "./testing/judge.ts";

const template = "template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}";
const workload = (kind: string, more = ""): string =>
  `{apiVersion: apps/v1, kind: ${kind}, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, ${template}${more}}}`;
const job = (more = "", policy = "restartPolicy: Never"): string =>
  `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: {${policy}, containers: [{name: c, image: i}]}}${more}}}`;
const of = (kind: string, rest: string, apiVersion = "v1"): string =>
  `{apiVersion: ${apiVersion}, kind: ${kind}, metadata: {name: x}, ${rest}}`;
const rbac = "rbac.authorization.k8s.io/v1";
const networking = "networking.k8s.io/v1";

describe("good ones", () => {
  test.each([
    workload("Deployment"),
    workload("ReplicaSet"),
    workload("StatefulSet", ", serviceName: web"),
    workload("DaemonSet"),
    job(),
    `{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {schedule: "*/5 * * * mon-fri", timeZone: Europe/Berlin, jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: i}]}}}}}}`,
    of("ConfigMap", "data: {a.txt: hello}"),
    of("Secret", "stringData: {a: hello}"),
    of("Namespace", "spec: {}"),
    of("Node", "spec: {podCIDR: 10.244.1.0/24}"),
    of("Endpoints", "subsets: [{addresses: [{ip: 10.244.0.1}], ports: [{port: 80}]}]"),
    of(
      "EndpointSlice",
      "addressType: IPv4, endpoints: [{addresses: [10.244.0.1]}], ports: [{port: 80}]",
      "discovery.k8s.io/v1",
    ),
    of("Lease", "spec: {holderIdentity: a, leaseDurationSeconds: 40}", "coordination.k8s.io/v1"),
    of("PriorityClass", "value: 10", "scheduling.k8s.io/v1"),
    of("PodDisruptionBudget", "spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}", "policy/v1"),
    of("Role", "rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]", rbac),
    of(
      "ClusterRoleBinding",
      "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{kind: User, name: ann}]",
      rbac,
    ),
    of(
      "Ingress",
      "spec: {rules: [{host: a.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}",
      networking,
    ),
    of("NetworkPolicy", "spec: {podSelector: {}}", networking),
    of("PersistentVolume", "spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /data}}"),
    of("PersistentVolumeClaim", "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"),
    of("StorageClass", "provisioner: example.com/p", "storage.k8s.io/v1"),
    of(
      "HorizontalPodAutoscaler",
      "spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}",
      "autoscaling/v2",
    ),
    of("LimitRange", "spec: {limits: [{type: Container, max: {cpu: '1'}}]}"),
    of("ResourceQuota", "spec: {hard: {pods: '10'}}"),
    of("RuntimeClass", "handler: runc", "node.k8s.io/v1"),
    of("Event", "involvedObject: {kind: Pod, namespace: default, name: web}, reason: Started"),
  ])("%s", (text) => {
    expect(judgeCreate(fromYaml(text)).problems).toEqual([]);
  });
});

describe("refused", () => {
  test.each<[string, string[]]>([
    [
      workload("Deployment").replace("matchLabels: {app: web}", "matchLabels: {app: api}"),
      ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
    ],
    [workload("Deployment").replace("selector: {matchLabels: {app: web}}, ", ""), ["spec.selector: Required value"]],
    [
      workload("Deployment", ", replicas: -1"),
      ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    ],
    [
      workload("Deployment").replace("containers:", "restartPolicy: Never, containers:"),
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      workload("Deployment", ", strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}"),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
    ],
    [
      workload("Deployment", ", strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}"),
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      workload("DaemonSet", ", updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}"),
      ["spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"],
    ],
    [
      job("", "restartPolicy: Always"),
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      `{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {schedule: "61 * * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}`,
      ['spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
    ],
    [
      of("ConfigMap", "data: {a/b: x}"),
      [
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ],
    ],
    [of("Secret", "type: kubernetes.io/tls, stringData: {tls.crt: x}"), ["data[tls.key]: Required value"]],
    [
      of("Node", "spec: {taints: [{key: a, effect: Never}]}"),
      [
        'spec.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
      ],
    ],
    [
      of("PriorityClass", "value: 2000000000", "scheduling.k8s.io/v1"),
      ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    ],
    [
      of("Role", "rules: [{apiGroups: [''], resources: [pods]}]", rbac),
      ["rules[0].verbs: Required value: verbs must contain at least one value"],
    ],
    [
      of(
        "RoleBinding",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: a}]",
        rbac,
      ),
      ["subjects[0].namespace: Required value"],
    ],
    [
      of(
        "Ingress",
        "spec: {rules: [{http: {paths: [{path: x, pathType: Prefix, backend: {service: {name: web}}}]}}]}",
        networking,
      ),
      [
        'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
        "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
      ],
    ],
    [
      of("PersistentVolumeClaim", "spec: {}"),
      [
        "spec.accessModes: Required value: at least 1 access mode is required",
        "spec.resources[storage]: Required value",
      ],
    ],
    [
      of("PodDisruptionBudget", "spec: {minAvailable: 1, maxUnavailable: 1}", "policy/v1"),
      [
        'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
    [
      of("Event", "involvedObject: {kind: Pod, namespace: other, name: web}"),
      ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
    ],
  ])("%s", (text, expected) => {
    expect(judgeCreate(fromYaml(text)).problems).toEqual(expected);
  });
});

describe("may not change", () => {
  const set = (path: string, value: unknown) => (object: KubeObject) => {
    const parts = path.split(".");
    const last = parts.pop() as string;
    let at = object as unknown as Record<string, unknown>;
    for (const part of parts) at = (at[part] ??= {}) as Record<string, unknown>;
    at[last] = value;
  };
  test.each<[string, string, unknown, string]>([
    [
      workload("StatefulSet", ", serviceName: web"),
      "spec.serviceName",
      "other",
      "spec: Forbidden: updates to statefulset spec for fields other than",
    ],
    [
      of("ConfigMap", "immutable: true, data: {a: b}"),
      "data.a",
      "c",
      "data: Forbidden: field is immutable when `immutable` is set",
    ],
    [
      of("Secret", "type: Opaque"),
      "type",
      "kubernetes.io/tls",
      'type: Invalid value: "kubernetes.io/tls": field is immutable',
    ],
    [job(), "spec.completionMode", "Indexed", 'spec.completionMode: Invalid value: "Indexed": field is immutable'],
    [
      of("ClusterRoleBinding", "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}", rbac),
      "roleRef.name",
      "edit",
      "roleRef: Invalid value:",
    ],
    [
      of("PersistentVolumeClaim", "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}"),
      "spec.resources.requests.storage",
      "1Gi",
      "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
    ],
    [of("Namespace", "spec: {}"), "metadata.uid", "other", 'metadata.uid: Invalid value: "other": field is immutable'],
    [
      of("StorageClass", "provisioner: a/b", "storage.k8s.io/v1"),
      "provisioner",
      "c/d",
      "provisioner: Forbidden: updates to provisioner are forbidden.",
    ],
  ])("%s: %s", (text, path, value, expected) => {
    expect(judgeUpdate(fromYaml(text), set(path, value)).problems.join("\n")).toContain(expected);
  });

  test("a Deployment's selector, while its template may", () => {
    const { problems } = judgeUpdate(fromYaml(workload("Deployment")), (object) => {
      const spec = object["spec"] as { selector: object; template: { metadata: { labels: object } } };
      spec.selector = { matchLabels: { app: "api" } };
      spec.template.metadata.labels = { app: "api" };
    });
    expect(problems).toEqual(['spec.selector: Invalid value: {"matchLabels":{"app":"api"}}: field is immutable']);
  });
});

describe("what the server makes of it", () => {
  test("stringData becomes data and wins", () => {
    const { object } = judgeCreate(fromYaml(of("Secret", "data: {a: eA==, b: eQ==}, stringData: {b: hello}")));
    expect(object["data"]).toEqual({ a: "eA==", b: "aGVsbG8=" });
    expect(object["stringData"]).toBeUndefined();
    expect(object["type"]).toBe("Opaque");
  });

  test("a Namespace is active, labelled and finalized by us", () => {
    const { object } = judgeCreate(fromYaml(of("Namespace", "spec: {}")));
    expect(object).toMatchObject({
      metadata: { labels: { "kubernetes.io/metadata.name": "x" } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    });
  });

  test("a Job selects its own Pods by its uid", () => {
    const { object } = judgeCreate(fromYaml(job()));
    const uid = object.metadata.uid ?? "";
    expect(object["spec"]).toMatchObject({
      completions: 1,
      parallelism: 1,
      selector: { matchLabels: { "batch.kubernetes.io/controller-uid": uid } },
      template: {
        metadata: { labels: { "job-name": "j", "controller-uid": uid, "batch.kubernetes.io/job-name": "j" } },
      },
    });
  });

  test("clients cannot write status", () => {
    const { object } = judgeUpdate(fromYaml(workload("Deployment")), (one) => (one["status"] = { replicas: 7 }));
    expect(object["status"]).toEqual({});
  });

  test("scale shows and changes the replicas alone", () => {
    const { object } = judgeCreate(fromYaml(workload("Deployment", ", replicas: 2")));
    object.metadata.resourceVersion = "7";
    const scale = definitionOf(object).subresources?.find(({ name }) => name === "scale");
    const shown = scale?.read?.(object) as KubeObject;
    expect(shown).toMatchObject({
      kind: "Scale",
      metadata: { name: "web", resourceVersion: "7" },
      spec: { replicas: 2 },
      status: { replicas: 0, selector: "app=web" },
    });
    shown["spec"] = { replicas: 5 };
    expect(scale?.prepareForUpdate?.(shown, object, context())).toMatchObject({
      kind: "Deployment",
      spec: { replicas: 5 },
    });
    shown["spec"] = { replicas: -5 };
    expect(scale?.validate?.(shown, context())).toHaveLength(1);
  });

  test("an event has two faces", () => {
    const modern = fromYaml(
      of(
        "Event",
        "regarding: {kind: Pod, namespace: default, name: web}, note: hi, reportingController: c",
        "events.k8s.io/v1",
      ),
    );
    const stored = definitionOf(modern).storedAs?.toStored(modern) as KubeObject;
    expect(stored).toMatchObject({
      apiVersion: "v1",
      involvedObject: { name: "web" },
      message: "hi",
      reportingComponent: "c",
    });
    expect(definitionOf(modern).storedAs?.fromStored(stored)).toEqual(modern);
  });
});

describe("kubectl get", () => {
  test.each<[string, object, object]>([
    [
      workload("Deployment", ", replicas: 3"),
      { status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 } },
      { Ready: "2/3", "Up-to-date": 3, Available: 2, Age: "5m", Containers: "c", Images: "i", Selector: "app=web" },
    ],
    [
      workload("ReplicaSet", ", replicas: 3"),
      { status: { replicas: 3, readyReplicas: 1 } },
      { Desired: 3, Current: 3, Ready: 1 },
    ],
    [
      `{apiVersion: v1, kind: Node, metadata: {name: w1, labels: {node-role.kubernetes.io/worker: ""}}, spec: {unschedulable: true}}`,
      {
        status: {
          conditions: [{ type: "Ready", status: "True" }],
          nodeInfo: { kubeletVersion: "v1.36.0" },
          addresses: [{ type: "InternalIP", address: "10.240.0.21" }],
        },
      },
      {
        Status: "Ready,SchedulingDisabled",
        Roles: "worker",
        Version: "v1.36.0",
        "Internal-IP": "10.240.0.21",
        "External-IP": "<none>",
      },
    ],
    [of("Namespace", "status: {phase: Active}"), {}, { Status: "Active" }],
    [of("ConfigMap", "data: {a: b, c: d}"), {}, { Data: 2 }],
    [of("Secret", "type: Opaque, data: {a: b}"), {}, { Type: "Opaque", Data: 1 }],
    [
      of("Endpoints", "subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{port: 80}, {port: 81}]}]"),
      {},
      { Endpoints: "10.0.0.1:80,10.0.0.1:81,10.0.0.2:80 + 1 more..." },
    ],
    [
      job(", completions: 3"),
      { status: { succeeded: 1, startTime: "2025-12-31T23:58:30Z" } },
      { Status: "Running", Completions: "1/3", Duration: "90s" },
    ],
    [
      of(
        "Event",
        "involvedObject: {kind: Pod, name: web}, type: Warning, reason: BackOff, message: 'again ', source: {component: kubelet, host: w1}, count: 4, firstTimestamp: '2025-12-31T23:00:00Z', lastTimestamp: '2025-12-31T23:59:58Z'",
      ),
      {},
      {
        "Last Seen": "2s",
        Type: "Warning",
        Reason: "BackOff",
        Object: "pod/web",
        Source: "kubelet, w1",
        Message: "again",
        "First Seen": "60m",
        Count: 4,
        Name: "x",
      },
    ],
    [of("Lease", "spec: {holderIdentity: me}", "coordination.k8s.io/v1"), {}, { Holder: "me" }],
    [
      of(
        "RoleBinding",
        "roleRef: {kind: Role, name: r}, subjects: [{kind: ServiceAccount, namespace: a, name: b}]",
        rbac,
      ),
      {},
      { Role: "Role/r", ServiceAccounts: "a/b" },
    ],
    [
      of(
        "CertificateSigningRequest",
        "spec: {signerName: a/b, username: u}, status: {certificate: eA==, conditions: [{type: Approved}]}",
        "certificates.k8s.io/v1",
      ),
      {},
      { SignerName: "a/b", Requestor: "u", Condition: "Approved,Issued", RequestedDuration: "<none>" },
    ],
  ])("%s", (text, changes, expected) => {
    const object = { ...fromYaml(text), ...changes };
    object.metadata.creationTimestamp = "2025-12-31T23:55:00Z";
    expect(row(object)).toMatchObject(expected);
  });
});

describe("kinds of admission, flow control, storage drivers and devices", () => {
  const registration = "admissionregistration.k8s.io/v1";
  const rule = "operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]";
  const constraints = `matchConstraints: {resourceRules: [{${rule}}]}`;
  test.each([
    of(
      "ValidatingAdmissionPolicy",
      `spec: {${constraints}, validations: [{expression: "object.spec.replicas <= 5"}]}`,
      registration,
    ),
    of("ValidatingAdmissionPolicyBinding", "spec: {policyName: p, validationActions: [Deny]}", registration),
    of("MutatingAdmissionPolicyBinding", "spec: {policyName: p}", registration),
    of(
      "ValidatingWebhookConfiguration",
      `webhooks: [{name: a.b.example.com, clientConfig: {service: {name: s, namespace: n}}, rules: [{${rule}}], sideEffects: None, admissionReviewVersions: [v1]}]`,
      registration,
    ),
    of(
      "FlowSchema",
      "spec: {priorityLevelConfiguration: {name: l}, rules: [{subjects: [{kind: User, user: {name: u}}], nonResourceRules: [{verbs: [get], nonResourceURLs: ['*']}]}]}",
      "flowcontrol.apiserver.k8s.io/v1",
    ),
    of(
      "PriorityLevelConfiguration",
      "spec: {type: Limited, limited: {limitResponse: {type: Queue}}}",
      "flowcontrol.apiserver.k8s.io/v1",
    ),
    of("CSIDriver", "spec: {}", "storage.k8s.io/v1"),
    of("ServiceCIDR", "spec: {cidrs: [10.0.0.0/8]}", networking),
    of(
      "ResourceClaim",
      "spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}",
      "resource.k8s.io/v1",
    ),
    of(
      "HorizontalPodAutoscaler",
      "spec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: web}}",
      "autoscaling/v1",
    ),
  ])("%s", (text) => {
    expect(judgeCreate(fromYaml(text)).problems).toEqual([]);
  });

  test.each<[string, string[]]>([
    [
      of(
        "ValidatingAdmissionPolicy",
        `spec: {${constraints}, validations: [{expression: "object.x >"}]}`,
        registration,
      ),
      [
        expect.stringContaining(
          'spec.validations[0].expression: Invalid value: "object.x >": compilation failed: ERROR: <input>:1:',
        ) as string,
      ],
    ],
    [
      of("ValidatingAdmissionPolicyBinding", "spec: {}", registration),
      [
        "spec.policyName: Required value",
        "spec.validationActions: Required value: at least one validation action is required",
      ],
    ],
    [
      of(
        "MutatingWebhookConfiguration",
        `webhooks: [{name: a.b.c, clientConfig: {url: "http://x/"}, rules: [{${rule}}], sideEffects: Some, admissionReviewVersions: [v1]}]`,
        registration,
      ),
      [
        "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
        'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
      ],
    ],
    [
      of("ServiceCIDR", "spec: {cidrs: [10.0.0.0]}", networking),
      ['spec.cidrs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'],
    ],
    [
      of("VolumeAttributesClass", "driverName: d", "storage.k8s.io/v1"),
      ["parameters: Required value: must contain at least one key/value pair"],
    ],
  ])("%s", (text, problems) => {
    expect(judgeCreate(fromYaml(text)).problems).toEqual(problems);
  });
});
