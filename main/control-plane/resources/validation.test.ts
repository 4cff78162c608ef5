/**
 * What is refused of manifests that people write, kind by kind: a manifest, and the status causes (field, reason's
 * words) that kube-apiserver 1.36 gives for it.
 */
import { describe, expect, test } from "vitest";
import { fromYaml, judgeCreate, judgeUpdate } from "./testing/judge.ts";

const problemsOf = (text: string): string[] => judgeCreate(fromYaml(text)).problems;

/** A Pod whose spec has these fields, in YAML's flow style; a container where none is given. */
function pod(spec: string): string[] {
  const containers = /\bcontainers:/.test(spec) ? "" : "containers: [{name: c, image: i}], ";
  return problemsOf(`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {${containers}${spec}}}`);
}
const container = (fields: string): string[] => pod(`containers: [{name: c, image: i, ${fields}}]`);
const volume = (fields: string): string[] => pod(`volumes: [{name: v, ${fields}}]`);

type Row = [manifest: string, causes: string[]];

describe("containers", () => {
  test.each<Row>([
    [
      "resources: {limits: {hugepages-2Mi: 2Mi}}",
      ["spec.containers[0].resources: Forbidden: HugePages require cpu or memory"],
    ],
    ["resources: {claims: [{name: gpu}]}", ['spec.containers[0].resources.claims[0]: Not found: "gpu"']],
    [
      "resizePolicy: [{resourceName: disk, restartPolicy: Maybe}]",
      [
        'spec.containers[0].resizePolicy[0].resourceName: Unsupported value: "disk": supported values: "cpu", "memory"',
        'spec.containers[0].resizePolicy[0].restartPolicy: Unsupported value: "Maybe": supported values: "NotRequired", "RestartContainer"',
      ],
    ],
    [
      "resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: cpu, restartPolicy: NotRequired}]",
      ['spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"'],
    ],
    [
      "securityContext: {appArmorProfile: {type: Localhost}}",
      [
        "spec.containers[0].securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost",
      ],
    ],
    [
      "securityContext: {appArmorProfile: {type: RuntimeDefault, localhostProfile: x}}",
      [
        'spec.containers[0].securityContext.appArmorProfile.localhostProfile: Invalid value: "x": can only be set when AppArmor type is Localhost',
      ],
    ],
    [
      "securityContext: {appArmorProfile: {type: Odd}}",
      [
        'spec.containers[0].securityContext.appArmorProfile.type: Unsupported value: "Odd": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
      ],
    ],
    [
      "securityContext: {seccompProfile: {type: Localhost, localhostProfile: ../up}}",
      [
        "spec.containers[0].securityContext.seccompProfile.localhostProfile: Invalid value: \"../up\": must not contain '..'",
      ],
    ],
    [
      "livenessProbe: {exec: {command: [a]}, terminationGracePeriodSeconds: 0, failureThreshold: -1}",
      [
        "spec.containers[0].livenessProbe.failureThreshold: Invalid value: -1: must be greater than or equal to 0",
        "spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
      ],
    ],
    ["startupProbe: {}", ["spec.containers[0].startupProbe: Required value: must specify a handler type"]],
    [
      "readinessProbe: {tcpSocket: {port: 70000}}",
      [
        "spec.containers[0].readinessProbe.tcpSocket.port: Invalid value: 70000: must be between 1 and 65535, inclusive",
      ],
    ],
    ["volumeMounts: [{name: v, mountPath: /a}]", ['spec.containers[0].volumeMounts[0].name: Not found: "v"']],
    [
      "ports: [{name: web, containerPort: 80}, {name: web, containerPort: 81}]",
      ['spec.containers[0].ports[1].name: Duplicate value: "web"'],
    ],
    [
      "env: [{name: a=b}]",
      [
        "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
      ],
    ],
    [
      "env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: '3'}}}]",
      [
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
      ],
    ],
    [
      "imagePullPolicy: Sometimes",
      [
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
      ],
    ],
    [
      "resources: {requests: {cpu: 2}, limits: {cpu: 1}}",
      ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ],
    [
      "resources: {limits: {example.com/gpu: 1500m}}",
      [
        'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
        'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
      ],
    ],
  ])("%s", (fields, causes) => expect(container(fields)).toEqual(causes));
});

describe("Pods", () => {
  test.each<Row>([
    [
      "nodeName: n, schedulingGates: [{name: a/b}]",
      ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    ],
    [
      "resourceClaims: [{name: A}, {name: b}]",
      [
        "spec.resourceClaims[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        'spec.resourceClaims[0]: Invalid value: {"name":"A"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
        'spec.resourceClaims[1]: Invalid value: {"name":"b"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
      ],
    ],
    [
      "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, nodeAffinityPolicy: Odd, nodeTaintsPolicy: Odd}]",
      [
        'spec.topologySpreadConstraints[0].nodeAffinityPolicy: Unsupported value: "Odd": supported values: "Honor", "Ignore"',
        'spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: "Odd": supported values: "Honor", "Ignore"',
      ],
    ],
    [
      "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [a]}]",
      [
        "spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
      ],
    ],
    [
      "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}, matchLabelKeys: [a, '!']}]",
      [
        'spec.topologySpreadConstraints[0].matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and labelSelector',
        "spec.topologySpreadConstraints[0].matchLabelKeys[1]: Invalid value: \"!\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ],
    ],
    [
      "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, matchLabelKeys: [a]}]}}",
      [
        "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
      ],
    ],
    [
      "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, namespaceSelector: {matchExpressions: [{key: a, operator: Odd}]}}]}}",
      [
        'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaceSelector.matchExpressions[0].operator: Invalid value: "Odd": not a valid selector operator',
      ],
    ],
    [
      "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: ['-']}]}]}}}",
      [
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values[0]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      ],
    ],
    [
      "securityContext: {supplementalGroupsPolicy: Odd}",
      ['spec.securityContext.supplementalGroupsPolicy: Unsupported value: "Odd": supported values: "Merge", "Strict"'],
    ],
    [
      "securityContext: {appArmorProfile: {type: Localhost}}",
      [
        "spec.securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost",
      ],
    ],
    [
      `dnsConfig: {searches: [${Array.from({ length: 33 }, (_, at) => `s${at}`).join(", ")}]}`,
      [
        `spec.dnsConfig.searches: Invalid value: [${Array.from({ length: 33 }, (_, at) => `"s${at}"`).join(",")}]: must not have more than 32 search paths`,
      ],
    ],
    ["hostNetwork: true, hostUsers: false", ["spec.hostNetwork: Forbidden: when `hostUsers` is false"]],
    [
      "restartPolicy: Odd",
      ['spec.restartPolicy: Unsupported value: "Odd": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      "dnsPolicy: Odd",
      [
        'spec.dnsPolicy: Unsupported value: "Odd": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
      ],
    ],
    ["overhead: {cpu: -1}", ['spec.overhead[cpu]: Invalid value: "-1": must be greater than or equal to 0']],
  ])("%s", (spec, causes) => expect(pod(spec)).toEqual(causes));
});

describe("volumes", () => {
  test.each<Row>([
    [
      "ephemeral: {volumeClaimTemplate: {spec: {resources: {}}}}",
      [
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
      ],
    ],
    [
      "projected: {sources: [{configMap: {name: a, items: [{key: k, path: x}]}}, {secret: {name: b, items: [{key: k, path: x}]}}]}",
      ['spec.volumes[0].projected: Invalid value: "b": conflicting duplicate paths'],
    ],
    [
      "image: {reference: a, pullPolicy: Odd}",
      [
        'spec.volumes[0].image.pullPolicy: Unsupported value: "Odd": supported values: "Always", "IfNotPresent", "Never"',
      ],
    ],
    ["nfs: {server: a, path: b}", ['spec.volumes[0].nfs.path: Invalid value: "b": must be an absolute path']],
    [
      "emptyDir: {}, hostPath: {path: /a}",
      ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
    ],
    ["configMap: {}", ["spec.volumes[0].configMap.name: Required value"]],
    [
      "secret: {secretName: s, defaultMode: 01000}",
      [
        "spec.volumes[0].secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
      ],
    ],
    [
      "projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 60}}]}",
      [
        "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
      ],
    ],
    [
      "projected: {sources: [{serviceAccountToken: {expirationSeconds: 600}}]}",
      ["spec.volumes[0].projected.sources[0].serviceAccountToken.path: Required value"],
    ],
    [
      "downwardAPI: {items: [{path: a, fieldRef: {fieldPath: spec.nodeName}}]}",
      [
        'spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "spec.nodeName": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"',
      ],
    ],
  ])("%s", (fields, causes) => expect(volume(fields)).toEqual(causes));
});

describe("other kinds", () => {
  test.each<Row>([
    [
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: -1, minReadySeconds: -1, progressDeadlineSeconds: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: [{name: c, image: i}]}}}}",
      [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        'spec.template.metadata.labels: Invalid value: {"a":"c"}: `selector` does not match template `labels`',
        "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    [
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 0}}, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}",
      ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
    ],
    [
      "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {podManagementPolicy: Odd, updateStrategy: {type: Odd}, ordinals: {start: -1}, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}",
      [
        "spec.podManagementPolicy: Invalid value: \"Odd\": must be 'OrderedReady' or 'Parallel'",
        "spec.updateStrategy: Invalid value: {\"type\":\"Odd\"}: must be 'RollingUpdate' or 'OnDelete'",
        "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    [
      "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: s}, spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 0}}, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}",
      ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
    ],
    [
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {parallelism: -1, completions: -1, backoffLimit: -1, activeDeadlineSeconds: -1, ttlSecondsAfterFinished: -1, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
      [
        "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        "spec.completions: Invalid value: -1: must be greater than or equal to 0",
        "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
        "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    [
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: {containers: [{name: c, image: i}]}}}}",
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completionMode: Indexed, parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
      ["spec.completions: Required value: when completion mode is Indexed"],
    ],
    [
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [0]}}]}, template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: i}]}}}}",
      [
        "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ],
    ],
    [
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {managedBy: us, maxFailedIndexes: 1, podReplacementPolicy: TerminatingOrFailed, successPolicy: {rules: []}, podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {containerName: d, operator: In, values: [3, 2]}}, {action: Ignore, onPodConditions: [{type: Gone, status: Maybe}]}]}, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
      [
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        'spec.managedBy: Invalid value: "us": must be a domain-prefixed path (such as "acme.io/foo")',
        "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
        'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "d": must be one of the container or initContainer names in the pod template',
        "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,2]: must be ordered",
        'spec.podFailurePolicy.rules[1].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        'spec.successPolicy: Invalid value: {"rules":[]}: requires indexed completion mode',
        'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
      ],
    ],
    [
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completionMode: Indexed, completions: 200000, parallelism: 20000, backoffLimitPerIndex: 1, successPolicy: {rules: [{}, {succeededIndexes: 1-x}, {succeededIndexes: '5,3'}, {succeededIndexes: '0-2', succeededCount: 4}]}, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
      [
        "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
        "spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
        "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
        'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "1-x": error parsing succeededIndexes: cannot convert string to integer for index: "x"',
        'spec.successPolicy.rules[2].succeededIndexes: Invalid value: "5,3": error parsing succeededIndexes: non-increasing order, previous: 5, current: 3',
        "spec.successPolicy.rules[3].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of indexes in the specified succeededIndexes field)",
      ],
    ],
    [
      "{apiVersion: batch/v1, kind: CronJob, metadata: {name: j}, spec: {schedule: '61 * * * *', concurrencyPolicy: Odd, timeZone: Nowhere/Land, startingDeadlineSeconds: -1, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}",
      [
        'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61',
        'spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land',
        "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
        'spec.concurrencyPolicy: Unsupported value: "Odd": supported values: "Allow", "Forbid", "Replace"',
      ],
    ],
    [
      "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {rules: [{host: 1.2.3.4, http: {paths: [{path: a, pathType: Prefix, backend: {service: {name: s, port: {}}}}, {path: /, backend: {}}]}}]}}",
      [
        'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        'spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path',
        "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
        "spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified",
        'spec.rules[0].http.paths[1].backend: Invalid value: "": resource or service backend is required',
      ],
    ],
    [
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: n}, spec: {podSelector: {}, policyTypes: [Odd], ingress: [{from: [{}, {ipBlock: {cidr: 1.2.3.4/33}, podSelector: {}}], ports: [{protocol: Odd, endPort: 5}, {port: 80, endPort: 70}]}]}}",
      [
        'spec.ingress[0].ports[0].protocol: Unsupported value: "Odd": supported values: "TCP", "UDP", "SCTP"',
        "spec.ingress[0].ports[0].endPort: Invalid value: 5: may not be specified when `port` is not specified",
        "spec.ingress[0].ports[1].endPort: Invalid value: 70: must be greater than or equal to `port`",
        "spec.ingress[0].from[0]: Required value: must specify a peer",
        "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
        'spec.ingress[0].from[1].ipBlock.cidr: Invalid value: "1.2.3.4/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        'spec.policyTypes[0]: Unsupported value: "Odd": supported values: "Ingress", "Egress"',
      ],
    ],
    [
      "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {minReplicas: 0, maxReplicas: 0, scaleTargetRef: {}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization}}}]}}",
      [
        "spec.scaleTargetRef.kind: Required value",
        "spec.scaleTargetRef.name: Required value",
        "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        "spec.maxReplicas: Invalid value: 0: must be greater than 0",
        "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
      ],
    ],
    [
      "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: {minAvailable: 1, maxUnavailable: 101%}}",
      [
        'spec: Invalid value: {"minAvailable":1,"maxUnavailable":"101%"}: minAvailable and maxUnavailable cannot be both set',
        'spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
      ],
    ],
    [
      "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, spec: {accessModes: [Odd], resources: {requests: {storage: '0'}}, volumeMode: Odd}}",
      [
        'spec.accessModes: Unsupported value: "Odd": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        'spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"',
      ],
    ],
    [
      "{apiVersion: v1, kind: PersistentVolume, metadata: {name: c}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /}, persistentVolumeReclaimPolicy: Recycle}}",
      ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
    ],
    [
      "{apiVersion: v1, kind: PersistentVolume, metadata: {name: c}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], local: {path: /a}}}",
      ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
    ],
    [
      "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, provisioner: '', reclaimPolicy: Odd, volumeBindingMode: Odd}",
      [
        "provisioner: Required value",
        'reclaimPolicy: Unsupported value: "Odd": supported values: "Delete", "Retain"',
        'volumeBindingMode: Unsupported value: "Odd": supported values: "Immediate", "WaitForFirstConsumer"',
      ],
    ],
    [
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: r}, roleRef: {kind: Odd, apiGroup: x}, subjects: [{kind: User}, {kind: ServiceAccount, name: a}]}",
      [
        'roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
        'roleRef.kind: Unsupported value: "Odd": supported values: "Role", "ClusterRole"',
        "roleRef.name: Required value",
        "subjects[0].name: Required value",
        "subjects[1].namespace: Required value",
      ],
    ],
    [
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}, rules: [{verbs: [], apiGroups: [], resources: []}, {verbs: [get], nonResourceURLs: [/a]}]}",
      [
        "rules[0].verbs: Required value: verbs must contain at least one value",
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[0].resources: Required value: resource rules must supply at least one resource",
        'rules[1].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs',
      ],
    ],
    [
      "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: '-1', odd: 1}, scopes: [Terminating, NotTerminating]}}",
      [
        'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
        'spec.hard[odd]: Invalid value: "odd": must be a standard resource type or fully qualified',
        'spec.hard[odd]: Invalid value: "odd": must be a standard resource for quota',
        'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes',
      ],
    ],
    [
      "{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Container, min: {cpu: 2}, max: {cpu: 1}, default: {cpu: 3}}, {type: Container}]}}",
      [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 1',
        'spec.limits[0].default[cpu]: Invalid value: "3": default value 3 is greater than max value 1',
        'spec.limits[1].type: Duplicate value: "Container"',
      ],
    ],
    [
      "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: system-mine}, value: 2000000001, preemptionPolicy: Odd}",
      [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
        'preemptionPolicy: Unsupported value: "Odd": supported values: "Never", "PreemptLowerPriority"',
      ],
    ],
    [
      "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: r}, handler: A_b}",
      [
        "handler: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
      ],
    ],
    [
      "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l}, spec: {leaseDurationSeconds: 0, leaseTransitions: -1}}",
      [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    [
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a b: x, k: y}, binaryData: {k: eA==}}",
      [
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        'data[k]: Invalid value: "k": duplicate of key present in binaryData',
      ],
    ],
    [
      "{apiVersion: v1, kind: Secret, metadata: {name: s}, type: kubernetes.io/tls, data: {}}",
      ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
    ],
    [
      "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, ports: [{port: 80, protocol: TCP}], loadBalancerSourceRanges: [odd]}}",
      [
        'spec.loadBalancerSourceRanges[0]: Invalid value: "odd": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      ],
    ],
    [
      "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}], sessionAffinity: Odd}}",
      ['spec.sessionAffinity: Unsupported value: "Odd": supported values: "ClientIP", "None"'],
    ],
    [
      "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 90000}}}}",
      [
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be greater than 0 and less than 86400",
      ],
    ],
    [
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s}, addressType: IPv4, endpoints: [{addresses: [127.0.0.1]}, {addresses: [10.0.0.1], hostname: A}]}",
      [
        'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        "endpoints[1].hostname: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
      ],
    ],
  ])("%s", (manifest, causes) => expect(problemsOf(manifest)).toEqual(causes));
});

describe("what may not change", () => {
  const workload = (kind: string, more = ""): string =>
    `{apiVersion: apps/v1, kind: ${kind}, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, ${more} template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`;
  const select = (object: object): void => {
    const { spec } = object as { spec: { selector: object; template: { metadata: { labels: object } } } };
    spec.selector = { matchLabels: { a: "c" } };
    spec.template.metadata.labels = { a: "c" };
  };
  test.each<
    [string, string, (object: { spec: Record<string, unknown> } & Record<string, unknown>) => unknown, string[]]
  >([
    [
      "a Deployment's selector",
      workload("Deployment"),
      select,
      ['spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'],
    ],
    [
      "a DaemonSet's selector",
      workload("DaemonSet"),
      select,
      ['spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'],
    ],
    [
      "a ReplicaSet's selector",
      workload("ReplicaSet"),
      select,
      ['spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'],
    ],
    [
      "a StatefulSet's service",
      workload("StatefulSet"),
      ({ spec }) => (spec["serviceName"] = "x"),
      [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ],
    ],
    [
      "a Secret's type",
      "{apiVersion: v1, kind: Secret, metadata: {name: s}}",
      (object) => (object["type"] = "x"),
      ['type: Invalid value: "x": field is immutable'],
    ],
    [
      "an immutable ConfigMap",
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: s}, immutable: true}",
      (object) => (object["data"] = { a: "b" }),
      ["data: Forbidden: field is immutable when `immutable` is set"],
    ],
    [
      "a StorageClass's provisioner",
      "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, provisioner: a}",
      (object) => (object["provisioner"] = "b"),
      ["provisioner: Forbidden: updates to provisioner are forbidden."],
    ],
    [
      "a PriorityClass's value",
      "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: s}, value: 1}",
      (object) => (object["value"] = 2),
      ["value: Forbidden: may not be changed in an update."],
    ],
    [
      "a RoleBinding's role",
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: r}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}}",
      (object) => (object["roleRef"] = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "b" }),
      [
        'roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"b"}: cannot change roleRef',
      ],
    ],
    [
      "a Job's completion mode",
      "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
      ({ spec }) => (spec["completions"] = 5),
      ["spec.completions: Invalid value: 5: field is immutable"],
    ],
  ])("%s", (_, manifest, change, causes) => {
    const { object } = judgeCreate(fromYaml(manifest));
    expect(judgeUpdate(object, change as never).problems).toEqual(causes);
  });
});
