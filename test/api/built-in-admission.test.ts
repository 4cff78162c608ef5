/** The built-in admission plug-ins, one by one, and what Pod security and policies leave in the audit log. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { jsonLines } from "./json-lines.ts";
import { TestServer, until } from "./support.ts";

let server: TestServer;
let folder: string;
let log: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-admission-"));
  log = path.join(folder, "audit.log");
  await writeFile(
    path.join(folder, "policy.yaml"),
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [create]}]\n",
  );
  server = await TestServer.start(`--audit-policy-file=${folder}/policy.yaml`, `--audit-log-path=${log}`);
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What the audit log notes of the create of an object, by its name. */
async function noted(name: string): Promise<Record<string, string>> {
  interface Event {
    stage: string;
    objectRef?: { name?: string };
    annotations?: Record<string, string>;
  }
  const events = async (): Promise<Event[]> =>
    (await jsonLines<Event>(log)).filter(
      ({ stage, objectRef }) => stage === "ResponseComplete" && objectRef?.name === name,
    );
  const [event] = await until(events, (found) => found.length > 0);
  return event?.annotations ?? {};
}

interface Answered {
  status: number;
  body: { message?: string; spec?: Record<string, unknown>; metadata?: { finalizers?: string[] }; details?: object };
  warnings: string | undefined;
}

async function post(uri: string, object: object): Promise<Answered> {
  const { status, text, headers } = await server.raw("POST", uri, {
    headers: { "content-type": "application/json" },
    body: JSON.stringify(object),
  });
  return { status, body: JSON.parse(text) as Answered["body"], warnings: headers["warning"] };
}

const pod = (name: string, spec: object = {}, container: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [{ name: "main", image: "example.com/a:1", ...container }], ...spec },
});
const makePod = (name: string, spec?: object, namespace = "default"): Promise<Answered> =>
  post(`/api/v1/namespaces/${namespace}/pods`, pod(name, spec));
const claim = (name: string, spec: object = {}): Promise<Answered> =>
  post("/api/v1/namespaces/default/persistentvolumeclaims", {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
  });
const said = ({ status, body }: Answered): [number, string | undefined] => [status, body.message];
const make = (...objects: object[]): Promise<string> =>
  server.ok("create -f -", { input: objects.map((object) => JSON.stringify(object)).join("\n---\n") });

it("NamespaceLifecycle: nothing is made where no namespace is, or where one goes", async () => {
  expect(said(await makePod("a", {}, "nowhere"))).toEqual([404, 'namespaces "nowhere" not found']);
  await server.ok("create namespace going");
  await make({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "holds", namespace: "going", finalizers: ["example.com/hold"] },
  });
  await server.ok("delete namespace going --wait=false");
  const answer = await makePod("late", {}, "going");
  expect(said(answer)).toEqual([
    403,
    'pods "late" is forbidden: unable to create new content in namespace going because it is being terminated',
  ]);
  expect(answer.body.details).toMatchObject({
    causes: [
      { reason: "NamespaceTerminating", message: "namespace going is being terminated", field: "metadata.namespace" },
    ],
  });
  await server.ok('patch configmap holds -n going --type=merge -p {"metadata":{"finalizers":null}}');
  for (const name of ["default", "kube-system", "kube-public"]) {
    expect(await server.fails(`delete namespace ${name}`)).toContain("this namespace may not be deleted");
  }
});

it("ServiceAccount: the account is there, and its pull secrets are the Pod's", async () => {
  expect(said(await makePod("sa", { serviceAccountName: "none" }))).toEqual([
    403,
    'pods "sa" is forbidden: error looking up service account default/none: serviceaccount "none" not found',
  ]);
  await make({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "puller" },
    imagePullSecrets: [{ name: "registry" }],
    automountServiceAccountToken: false,
  });
  const { body } = await makePod("pulls", { serviceAccountName: "puller" });
  expect(body.spec).toMatchObject({
    serviceAccountName: "puller",
    serviceAccount: "puller",
    imagePullSecrets: [{ name: "registry" }],
  });
  expect(body.spec).not.toHaveProperty("volumes");
});

it("Priority: the number behind the class, and none but that", async () => {
  expect(said(await makePod("p", { priorityClassName: "none" }))).toEqual([
    403,
    'pods "p" is forbidden: no PriorityClass with name none was found',
  ]);
  await make({
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: { name: "calm" },
    value: 7,
    preemptionPolicy: "Never",
  });
  expect((await makePod("calm", { priorityClassName: "calm" })).body.spec).toMatchObject({
    priority: 7,
    preemptionPolicy: "Never",
  });
  expect(said(await makePod("own", { priorityClassName: "calm", priority: 8 }))).toEqual([
    403,
    'pods "own" is forbidden: the integer value of priority (8) must not be provided in pod spec; priority admission controller computed 7 from the given PriorityClass name',
  ]);
  expect((await makePod("system", { priorityClassName: "system-node-critical" })).body.spec).toMatchObject({
    priority: 2_000_001_000,
  });
  await server.ok("create priorityclass usual --value=3 --global-default=true");
  expect((await makePod("usual")).body.spec).toMatchObject({ priorityClassName: "usual", priority: 3 });
  expect(await server.fails("create priorityclass second --value=4 --global-default=true")).toContain(
    "PriorityClass usual is already marked as default. Only one default can exist",
  );
  await server.ok("delete priorityclass usual");
  expect((await makePod("nothing")).body.spec).toMatchObject({ priority: 0, preemptionPolicy: "PreemptLowerPriority" });
});

it("DefaultTolerationSeconds: five minutes, unless the Pod says how long", async () => {
  const short = { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 5 };
  const { body } = await makePod("tolerates", { tolerations: [short] });
  expect(body.spec?.["tolerations"]).toEqual([
    short,
    { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
  ]);
});

it("RuntimeClass: its overhead, where its Pods may go, and that it is there", async () => {
  expect(said(await makePod("r", { runtimeClassName: "none" }))).toEqual([
    403,
    'pods "r" is forbidden: pod rejected: RuntimeClass "none" not found',
  ]);
  await make({
    apiVersion: "node.k8s.io/v1",
    kind: "RuntimeClass",
    metadata: { name: "boxed" },
    handler: "boxed",
    overhead: { podFixed: { memory: "64Mi" } },
    scheduling: { nodeSelector: { boxes: "yes" }, tolerations: [{ key: "boxes", operator: "Exists" }] },
  });
  expect((await makePod("boxed", { runtimeClassName: "boxed" })).body.spec).toMatchObject({
    overhead: { memory: "64Mi" },
    nodeSelector: { boxes: "yes" },
    tolerations: expect.arrayContaining([{ key: "boxes", operator: "Exists" }]) as object[],
  });
  expect(said(await makePod("more", { runtimeClassName: "boxed", overhead: { memory: "1Mi" } }))).toEqual([
    403,
    "pods \"more\" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
  ]);
  expect(said(await makePod("other", { runtimeClassName: "boxed", nodeSelector: { boxes: "no" } }))[1]).toContain(
    "conflict: runtimeClass.scheduling.nodeSelector[boxes] = yes; pod.spec.nodeSelector[boxes] = no",
  );
});

it("DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize", async () => {
  const storageClass = (name: string, more: object = {}): object => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "example.com/none",
    ...more,
  });
  await make(storageClass("fast", { allowVolumeExpansion: true }));
  const { body } = await claim("defaulted");
  expect(body.spec).toMatchObject({ storageClassName: "fast" });
  expect(body.metadata?.finalizers).toEqual(["kubernetes.io/pvc-protection"]);
  expect((await claim("classless", { storageClassName: "" })).body.spec).toMatchObject({ storageClassName: "" });
  const { body: volume } = await post("/api/v1/persistentvolumes", {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "kept" },
    spec: { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" }, hostPath: { path: "/x" } },
  });
  expect(volume.metadata?.finalizers).toEqual(["kubernetes.io/pv-protection"]);
  await make(storageClass("slow", { metadata: { name: "slow" }, allowVolumeExpansion: false }));
  await make({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "slow-1" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "1Gi" },
      hostPath: { path: "/y" },
      storageClassName: "slow",
    },
  });
  await claim("stays", { storageClassName: "slow", volumeName: "slow-1" });
  await server.ok("wait pvc/stays --for=jsonpath={.status.phase}=Bound --timeout=60s");
  expect(await server.fails('patch pvc stays -p {"spec":{"resources":{"requests":{"storage":"2Gi"}}}}')).toContain(
    'persistentvolumeclaims "stays" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
});

it("DefaultIngressClass: what names no class gets the one that is marked", async () => {
  const ingress = (name: string): object => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name },
    spec: { defaultBackend: { service: { name: "web", port: { number: 80 } } } },
  });
  const make1 = (name: string): Promise<Answered> =>
    post("/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress(name));
  const classes = await server.ok("get ingressclass -o name");
  for (const name of classes.split("\n").filter((line) => line.startsWith("ingressclass"))) {
    await server.ok(`annotate ${name} ingressclass.kubernetes.io/is-default-class-`);
  }
  expect((await make1("classless")).body.spec).not.toHaveProperty("ingressClassName");
  await make({
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    metadata: { name: "usual", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
    spec: { controller: "example.com/usual" },
  });
  expect((await make1("classed")).body.spec).toMatchObject({ ingressClassName: "usual" });
});

it("LimitRanger: its defaults are what the quota then counts", async () => {
  await server.ok("create namespace bounded");
  await make({
    apiVersion: "v1",
    kind: "LimitRange",
    metadata: { name: "bounds", namespace: "bounded" },
    spec: { limits: [{ type: "Container", defaultRequest: { cpu: "100m" }, default: { cpu: "200m" } }] },
  });
  await server.ok("create quota cpu --hard=requests.cpu=250m -n bounded");
  await until(
    () => server.ok("get quota cpu -n bounded -o jsonpath={.status.used}"),
    (used) => used !== "",
  );
  for (const name of ["a", "b"]) expect((await makePod(name, {}, "bounded")).status).toBe(201);
  expect(said(await makePod("c", {}, "bounded"))).toEqual([
    403,
    'pods "c" is forbidden: exceeded quota: cpu, requested: requests.cpu=100m, used: requests.cpu=200m, limited: requests.cpu=250m',
  ]);
});

describe("PodSecurity", () => {
  const labels = (name: string, values: Record<string, string>): Promise<string> =>
    make({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name,
        labels: Object.fromEntries(
          Object.entries(values).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]),
        ),
      },
    });
  const settle = (name: string): Promise<unknown> =>
    until(
      () => server.kubectl(["get", "serviceaccount", "default", "-n", name]),
      ({ code }) => code === 0,
    );
  const restricted = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "main",
        image: "example.com/a:1",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  };

  it.each<[string, object, string]>([
    [
      "privileged",
      { containers: [{ name: "a", image: "a", securityContext: { privileged: true } }] },
      'privileged (container "a" must not set securityContext.privileged=true)',
    ],
    [
      "namespaces",
      { hostNetwork: true, hostPID: true, hostIPC: true },
      "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
    ],
    ["volumes", { volumes: [{ name: "h", hostPath: { path: "/" } }] }, 'hostPath volumes (volume "h")'],
    [
      "ports",
      { containers: [{ name: "a", image: "a", ports: [{ containerPort: 1, hostPort: 1 }] }] },
      'hostPort (container "a" uses hostPort 1)',
    ],
    [
      "capabilities",
      { containers: [{ name: "a", image: "a", securityContext: { capabilities: { add: ["NET_ADMIN"] } } }] },
      'non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      "sysctls",
      { securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } },
      "forbidden sysctls (kernel.msgmax)",
    ],
  ])("baseline refuses %s", async (name, spec, why) => {
    if ((await server.kubectl(["get", "namespace", "base"])).code !== 0) {
      await labels("base", { enforce: "baseline" });
      await settle("base");
    }
    expect(said(await makePod(name, spec, "base"))).toEqual([
      403,
      `pods "${name}" is forbidden: violates PodSecurity "baseline:latest": ${why}`,
    ]);
    expect((await makePod(`${name}-plain`, {}, "base")).status).toBe(201);
  });

  it("restricted is by version, and is said to the log and to the client where asked", async () => {
    await labels("told", { audit: "restricted", warn: "restricted", "warn-version": "v1.24", enforce: "baseline" });
    await settle("told");
    const answer = await makePod("watched", {}, "told");
    expect(answer.status).toBe(201);
    expect(answer.warnings).toContain('would violate PodSecurity \\"restricted:v1.24\\"');
    expect(await noted("watched")).toMatchObject({
      "pod-security.kubernetes.io/enforce-policy": "baseline:latest",
      "pod-security.kubernetes.io/audit-violations": expect.stringContaining(
        'would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
      ) as string,
    });
    const good = await makePod("good", restricted, "told");
    expect([good.status, good.warnings]).toEqual([201, undefined]);
    expect(await noted("good")).not.toHaveProperty(["pod-security.kubernetes.io/audit-violations"]);
    // What Pods are made of is looked at, but never refused.
    const deployment = await post("/apis/apps/v1/namespaces/told/deployments", {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web" },
      spec: {
        replicas: 0,
        selector: { matchLabels: { a: "b" } },
        template: {
          metadata: { labels: { a: "b" } },
          spec: { hostNetwork: true, containers: [{ name: "a", image: "a" }] },
        },
      },
    });
    expect([deployment.status, deployment.warnings]).toEqual([201, expect.stringContaining("hostNetwork=true")]);
  });
});

describe("policies", () => {
  const policy = (kind: string, name: string, spec: object, binding: object = {}): object[] => [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind,
      metadata: { name },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
          objectSelector: { matchLabels: { policy: name } },
        },
        ...spec,
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: `${kind}Binding`,
      metadata: { name: `${name}-binding` },
      spec: { policyName: name, ...binding },
    },
  ];
  const map = (name: string, of: string, data: Record<string, string> = {}): Promise<Answered> =>
    post("/api/v1/namespaces/default/configmaps", {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, labels: { policy: of } },
      data,
    });
  const denies = async (of: string, data: Record<string, string> = {}): Promise<string> => {
    let at = 0;
    const answer = await until(
      () => map(`${of}-try-${(at += 1)}`, of, data),
      ({ status }) => status === 422,
    );
    return answer.body.message ?? "";
  };

  it("audit annotations and validation failures are in the log", async () => {
    await make(
      ...policy(
        "ValidatingAdmissionPolicy",
        "noted",
        {
          validations: [{ expression: "has(object.data) && 'a' in object.data", message: "data.a is wanted" }],
          auditAnnotations: [{ key: "size", valueExpression: "'keys: ' + string(size(object.?data.orValue({})))" }],
        },
        { validationActions: ["Audit"] },
      ),
    );
    let at = 0;
    const annotations = await until(
      async () => {
        const name = `noted-${(at += 1)}`;
        expect((await map(name, "noted", { b: "1" })).status).toBe(201);
        return noted(name);
      },
      (found) => found["noted/size"] !== undefined,
    );
    expect(annotations["noted/size"]).toBe("keys: 1");
    expect(JSON.parse(annotations["validation.policy.admission.k8s.io/validation_failure"] ?? "")).toEqual([
      {
        message: "data.a is wanted",
        policy: "noted",
        binding: "noted-binding",
        expressionIndex: 0,
        validationActions: ["Audit"],
      },
    ]);
  });

  it("take every parameter that a selector finds, and say where there is none", async () => {
    await make(
      ...policy(
        "ValidatingAdmissionPolicy",
        "chosen",
        {
          paramKind: { apiVersion: "v1", kind: "ConfigMap" },
          validations: [
            {
              expression: "object.data.name.startsWith(params.data.prefix)",
              messageExpression: "'must start with ' + params.data.prefix",
            },
          ],
        },
        {
          validationActions: ["Deny"],
          paramRef: { selector: { matchLabels: { prefix: "yes" } }, parameterNotFoundAction: "Allow" },
        },
      ),
    );
    expect((await map("free", "chosen", { name: "x" })).status).toBe(201);
    await server.ok("create configmap prefix-1 --from-literal=prefix=a");
    await server.ok("label configmap prefix-1 prefix=yes");
    expect(await denies("chosen", { name: "x" })).toContain("denied request: must start with a");
    expect((await map("fits", "chosen", { name: "ab" })).status).toBe(201);
    await server.ok("create configmap prefix-2 --from-literal=prefix=ab");
    await server.ok("label configmap prefix-2 prefix=yes");
    expect(await denies("chosen", { name: "ax" })).toContain("denied request: must start with ab");
  });

  it("conditions of a match that fail are failures of the policy, and cost has its limits", async () => {
    await make(
      ...policy(
        "ValidatingAdmissionPolicy",
        "conditional",
        {
          failurePolicy: "Fail",
          matchConditions: [
            { name: "never-here", expression: "object.data.skip != 'yes'" },
            { name: "typed", expression: "int(object.data.number) > 0" },
          ],
          validations: [{ expression: "false", message: "no" }],
        },
        { validationActions: ["Deny"] },
      ),
    );
    expect(await denies("conditional", { skip: "no", number: "1" })).toContain("denied request: no");
    expect((await map("skips", "conditional", { skip: "yes", number: "x" })).status).toBe(201);
    const failing = await map("breaks", "conditional", { skip: "no", number: "x" });
    expect([failing.status >= 400, failing.body.message]).toEqual([
      true,
      expect.stringContaining("expression 'int(object.data.number) > 0' resulted in error:"),
    ]);
    const [costly] = policy("ValidatingAdmissionPolicy", "costly", { validations: [{ expression: "1 +" }] });
    expect(await server.fails("create -f -", { input: JSON.stringify(costly) })).toContain(
      'spec.validations[0].expression: Invalid value: "1 +": compilation failed',
    );
  });

  it("change what is written by variables and parameters, and once more where others changed it after", async () => {
    await server.ok("create configmap suffix --from-literal=value=dock");
    await make(
      ...policy(
        "MutatingAdmissionPolicy",
        "first",
        {
          failurePolicy: "Fail",
          reinvocationPolicy: "IfNeeded",
          paramKind: { apiVersion: "v1", kind: "ConfigMap" },
          variables: [{ name: "seen", expression: "size(object.?data.orValue({}))" }],
          matchConditions: [{ name: "not-settled", expression: "!('settled' in object.?data.orValue({}))" }],
          mutations: [
            {
              patchType: "ApplyConfiguration",
              applyConfiguration: {
                expression:
                  'Object{metadata: Object.metadata{annotations: {"seen": string(variables.seen), "by": params.data.value}}}',
              },
            },
          ],
        },
        { paramRef: { name: "suffix", namespace: "default", parameterNotFoundAction: "Deny" } },
      ),
    );
    const second = policy(
      "MutatingAdmissionPolicy",
      "second",
      {
        failurePolicy: "Fail",
        reinvocationPolicy: "Never",
        mutations: [
          {
            patchType: "JSONPatch",
            jsonPatch: {
              expression:
                '[JSONPatch{op: "test", path: "/metadata/labels/policy", value: "first"}, JSONPatch{op: "add", path: "/data/added", value: "yes"}]',
            },
          },
        ],
      },
      {},
    ) as { spec: { matchConstraints?: { objectSelector: object } } }[];
    const constraints = second[0]?.spec.matchConstraints;
    if (constraints) constraints.objectSelector = { matchLabels: { policy: "first" } };
    await make(...second);
    let at = 0;
    const settled = await until(
      async () => {
        const name = `mutated-${(at += 1)}`;
        await map(name, "first", { a: "b" });
        return JSON.parse(await server.ok(`get configmap ${name} -o json`)) as {
          metadata: { annotations?: Record<string, string> };
          data: Record<string, string>;
        };
      },
      ({ metadata, data }) => data["added"] === "yes" && metadata.annotations?.["seen"] === "2",
    );
    expect(settled).toMatchObject({
      metadata: { annotations: { seen: "2", by: "dock" } },
      data: { a: "b", added: "yes" },
    });
  });
});
