/** Webhooks and policies for real: a HTTPS webhook server of our own, policies in CEL, and kubectl. */
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAuthority, createLeaf } from "../../main/control-plane/pki/keys.ts";
import { TestServer, until } from "./support.ts";

interface Review {
  request: {
    uid: string;
    operation: string;
    name?: string;
    dryRun: boolean;
    kind: { group: string; version: string; kind: string };
    requestKind: { group: string; version: string; kind: string };
    namespace?: string;
    subResource?: string;
    object: { metadata: { labels?: Record<string, string>; name: string } } | null;
    oldObject: object | null;
  };
}

let server: TestServer;
let hook: Server;
let port = 0;
let caBundle = "";
const asked: Review["request"][] = [];
let answer: (request: Review["request"]) => object = () => ({ allowed: true });

beforeAll(async () => {
  const ca = await createAuthority("webhook-ca");
  const { certificate, key } = await createLeaf(ca, {
    commonName: "webhook",
    sans: ["127.0.0.1", "hook.default.svc"],
    usages: ["server auth"],
    lifetime: 3600,
  });
  caBundle = Buffer.from(ca.certificate).toString("base64");
  hook = createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      asked.push(review.request);
      const body = answer(review.request);
      if ("hang" in body) return;
      response.writeHead(200, { "content-type": "application/json" });
      response.end(
        JSON.stringify({
          apiVersion: "admission.k8s.io/v1",
          kind: "AdmissionReview",
          response: { uid: review.request.uid, ...body },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  port = (hook.address() as AddressInfo).port;
  server = await TestServer.start();
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(async () => {
  hook?.closeAllConnections();
  hook?.close();
  await server?.stop();
});

const apply = (...objects: object[]): Promise<string> =>
  server.ok("apply -f -", { input: objects.map((object) => JSON.stringify(object)).join("\n---\n") });

interface HookOptions {
  clientConfig?: object;
  rules?: object[];
  [field: string]: unknown;
}

function webhooks(kind: string, name: string, ...hooks: HookOptions[]): object {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind,
    metadata: { name },
    webhooks: hooks.map((one, at) => ({
      name: `w${at}.${name}.example.com`,
      clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle },
      rules: [
        { operations: ["CREATE", "UPDATE", "DELETE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] },
      ],
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      timeoutSeconds: 5,
      ...one,
    })),
  };
}

const patch = (...operations: object[]): object => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
});

describe("webhooks", () => {
  it("refuse with their own words and code, warn, and are shown the whole request", async () => {
    await apply(
      webhooks("ValidatingWebhookConfiguration", "checks", {
        matchConditions: [{ name: "not-calm", expression: "!(object != null && object.metadata.name == 'calm')" }],
        namespaceSelector: { matchExpressions: [{ key: "free", operator: "DoesNotExist" }] },
      }),
    );
    answer = ({ operation, object }) =>
      operation === "CREATE" && object?.metadata.name === "bad"
        ? { allowed: false, status: { code: 418, message: "not in my house" } }
        : { allowed: true, warnings: ["look twice"] };
    expect(await server.fails("create configmap bad")).toContain(
      'admission webhook "w0.checks.example.com" denied the request: not in my house',
    );
    expect(await server.ok("create configmap good")).toContain("Warning: look twice");
    expect(asked.at(-1)).toMatchObject({
      operation: "CREATE",
      name: "good",
      dryRun: false,
      kind: { group: "", version: "v1", kind: "ConfigMap" },
      oldObject: null,
    });
    await server.ok("create configmap calm");
    await server.ok("create ns free");
    await server.ok("label ns free free=yes");
    await server.ok("create configmap bad -n free");
    await server.ok("delete configmap good");
    expect(asked.at(-1)).toMatchObject({ operation: "DELETE", name: "good", object: null, oldObject: {} });
    await server.ok("delete validatingwebhookconfiguration checks");
  });

  it("change what is written, one after the other, and again where others changed it after them", async () => {
    await apply(webhooks("MutatingWebhookConfiguration", "changes", { reinvocationPolicy: "IfNeeded" }, {}));
    asked.length = 0;
    answer = ({ object }) => {
      const labels = object?.metadata.labels;
      if (!labels) return patch({ op: "add", path: "/metadata/labels", value: { first: "yes" } });
      if (!labels["second"]) return patch({ op: "add", path: "/metadata/labels/second", value: "yes" });
      return { allowed: true };
    };
    await server.ok("create configmap changed");
    expect(await server.ok("get configmap changed -o jsonpath={.metadata.labels}")).toBe(
      '{"first":"yes","second":"yes"}',
    );
    expect(asked).toHaveLength(3);
    await server.ok("create configmap dry --dry-run=server");
    expect(asked.at(-1)?.dryRun).toBe(true);
    await server.ok("delete mutatingwebhookconfiguration changes");
  });

  it("that fail stop the request, or are passed by, as their policy says", async () => {
    const nobody = { clientConfig: { url: "https://127.0.0.1:1/", caBundle }, failurePolicy: "Fail" };
    await apply(webhooks("ValidatingWebhookConfiguration", "broken", nobody));
    expect(await server.fails("create configmap stopped")).toMatch(
      /Internal error occurred: failed calling webhook "w0.broken.example.com": failed to call webhook: Post "https:\/\/127.0.0.1:1\/\?timeout=5s": dial tcp 127.0.0.1:1: connect: connection refused/,
    );
    await apply(webhooks("ValidatingWebhookConfiguration", "broken", { ...nobody, failurePolicy: "Ignore" }));
    await server.ok("create configmap passed");
    answer = () => ({ hang: true });
    await apply(webhooks("ValidatingWebhookConfiguration", "broken", { timeoutSeconds: 1 }));
    expect(await server.fails("create configmap slow")).toContain("context deadline exceeded");
    const stranger = { clientConfig: { url: `https://127.0.0.1:${port}/` } };
    await apply(webhooks("ValidatingWebhookConfiguration", "broken", stranger));
    expect(await server.fails("create configmap untrusted")).toContain("certificate signed by unknown authority");
    await server.ok("delete validatingwebhookconfiguration broken");
  });

  it("are asked about equivalent kinds, and found behind Services", async () => {
    await apply(
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "hook" },
        spec: { clusterIP: "None", ports: [{ port: 443 }] },
      },
      {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: "hook", labels: { "kubernetes.io/service-name": "hook" } },
        addressType: "FQDN",
        endpoints: [{ addresses: ["localhost"] }],
        ports: [{ port }],
      },
    );
    answer = () => ({ allowed: false });
    await apply(
      webhooks("ValidatingWebhookConfiguration", "served", {
        clientConfig: { service: { namespace: "default", name: "hook", path: "/x" }, caBundle },
        rules: [
          {
            operations: ["CREATE"],
            apiGroups: ["autoscaling"],
            apiVersions: ["v1"],
            resources: ["horizontalpodautoscalers"],
          },
        ],
      }),
    );
    const scaler = {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "a" },
      spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "a" } },
    };
    expect(await server.fails("create -f -", { input: JSON.stringify(scaler) })).toContain(
      'admission webhook "w0.served.example.com" denied the request without explanation',
    );
    expect(asked.at(-1)).toMatchObject({
      kind: { group: "autoscaling", version: "v1" },
      requestKind: { group: "autoscaling", version: "v2" },
    });
    await server.ok("delete validatingwebhookconfiguration served");
  });
});

function policy(kind: string, name: string, spec: object, binding: object): object[] {
  return [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind,
      metadata: { name },
      spec: {
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ["apps"],
              apiVersions: ["v1"],
              operations: ["CREATE", "UPDATE"],
              resources: ["deployments"],
            },
          ],
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
}

describe("policies", () => {
  it("refuse by expressions with parameters, variables and messages of their own", async () => {
    await server.ok("create configmap limits --from-literal=most=3");
    await apply(
      ...policy(
        "ValidatingAdmissionPolicy",
        "replicas",
        {
          paramKind: { apiVersion: "v1", kind: "ConfigMap" },
          variables: [{ name: "most", expression: "int(params.data.most)" }],
          matchConditions: [{ name: "not-by-nodes", expression: "!('system:nodes' in request.userInfo.groups)" }],
          validations: [
            {
              expression: "object.spec.replicas <= variables.most",
              messageExpression: "'at most ' + string(variables.most) + ' replicas'",
              reason: "Forbidden",
            },
            {
              expression:
                "authorizer.group('apps').resource('deployments').namespace('default').check('delete').allowed()",
            },
            { expression: "authorizer.requestResource.check('create').allowed()" },
          ],
        },
        {
          validationActions: ["Deny"],
          paramRef: { name: "limits", namespace: "default", parameterNotFoundAction: "Deny" },
        },
      ),
    );
    expect(await server.fails("create deployment big --image=a --replicas=5")).toContain(
      "deployments.apps \"big\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas-binding' denied request: at most 3 replicas",
    );
    await server.ok("create deployment small --image=a --replicas=2");
    // The rule names no subresource.
    await server.ok("scale deployment small --replicas=9");
    await server.ok("delete configmap limits");
    expect(await server.fails("create deployment none --image=a")).toContain(
      "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    );
    await server.ok("delete validatingadmissionpolicy replicas");
  });

  it("warn where a binding says so", async () => {
    await apply(
      ...policy(
        "ValidatingAdmissionPolicy",
        "owner",
        { validations: [{ expression: "'owner' in object.metadata.?labels.orValue({})" }] },
        { validationActions: ["Warn", "Audit"] },
      ),
    );
    expect(await server.ok("create deployment owned --image=a")).toContain(
      "Warning: Validation failed for ValidatingAdmissionPolicy 'owner' with binding 'owner-binding': failed expression: 'owner' in object.metadata.?labels.orValue({})",
    );
    await server.ok("delete validatingadmissionpolicy owner");
  });

  it("change what is written by apply configurations and JSON patches", async () => {
    await apply(
      ...policy(
        "MutatingAdmissionPolicy",
        "sidecar",
        {
          failurePolicy: "Fail",
          reinvocationPolicy: "Never",
          mutations: [
            {
              patchType: "ApplyConfiguration",
              applyConfiguration: {
                expression:
                  'Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "side", image: "b"}]}}}}',
              },
            },
            {
              patchType: "JSONPatch",
              jsonPatch: {
                expression:
                  '[JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/by"), value: string(size(object.spec.template.spec.containers))}]',
              },
            },
          ],
        },
        {},
      ),
    );
    await apply({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "mutated", annotations: { x: "y" } },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "main", image: "a" }] } },
      },
    });
    expect(await server.ok("get deployment mutated -o jsonpath={.spec.template.spec.containers[*].name}")).toBe(
      "main side",
    );
    expect(await server.ok("get deployment mutated -o jsonpath={.metadata.annotations.example\\.com/by}")).toBe("2");
    await server.ok("delete mutatingadmissionpolicy sidecar");
  });
});

describe("what writes nothing is asked about, too", () => {
  const rule = (operation: string, resource: string): object => ({
    operations: [operation],
    apiGroups: [""],
    apiVersions: ["v1"],
    resources: [resource],
  });
  const evict = (name: string): ReturnType<TestServer["raw"]> =>
    server.raw("POST", `/api/v1/namespaces/default/pods/${name}/eviction`, {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: "default" } }),
    });

  it("webhooks about CONNECT: exec, and the proxy", async () => {
    await server.ok("run shells --image=a");
    await apply(
      webhooks("ValidatingWebhookConfiguration", "shells", {
        rules: [rule("CONNECT", "pods/exec"), rule("CONNECT", "pods/proxy")],
      }),
    );
    answer = () => ({ allowed: false, status: { message: "no shells" } });
    asked.length = 0;
    expect(await server.fails("exec shells -c shells -i -- sh -c date")).toContain(
      'admission webhook "w0.shells.example.com" denied the request: no shells',
    );
    expect(asked[0]).toMatchObject({
      operation: "CONNECT",
      name: "shells",
      namespace: "default",
      kind: { group: "", version: "v1", kind: "PodExecOptions" },
      resource: { group: "", version: "v1", resource: "pods" },
      subResource: "exec",
      options: null,
      object: {
        kind: "PodExecOptions",
        apiVersion: "v1",
        stdin: true,
        stdout: true,
        stderr: true,
        container: "shells",
        command: ["sh", "-c", "date"],
      },
      oldObject: null,
    });
    expect(await server.fails("get --raw /api/v1/namespaces/default/pods/shells:80/proxy/a/b/")).toContain("no shells");
    expect(asked.at(-1)).toMatchObject({ subResource: "proxy", object: { kind: "PodProxyOptions", path: "/a/b/" } });
    // Reading is no CONNECT. Of a Pod without a node there are no logs.
    expect(await server.ok("logs shells")).toBe("");
    await server.ok("delete validatingwebhookconfiguration shells");
  });

  it("a policy about CONNECT", async () => {
    const policy = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: "no-terminals" },
      spec: {
        matchConstraints: { resourceRules: [rule("CONNECT", "pods/attach")] },
        validations: [{ expression: "!has(object.stdin) || !object.stdin", message: "look, do not touch" }],
      },
    };
    const binding = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: "no-terminals" },
      spec: { policyName: "no-terminals", validationActions: ["Deny"] },
    };
    await apply(policy, binding);
    const attach = async (query: string): Promise<string> =>
      (await server.raw("POST", `/api/v1/namespaces/default/pods/shells/attach?${query}`)).text;
    await until(
      () => attach("stdin=true&stdout=true"),
      (said) => said.includes("look, do not touch"),
    );
    expect(await attach("stdout=true")).not.toContain("look, do not touch");
    await server.ok("delete validatingadmissionpolicy no-terminals");
  });

  it("webhooks about evictions, and not about the deletion that follows", async () => {
    await server.ok("run kept --image=a");
    const wrong = await server.raw("POST", "/api/v1/namespaces/default/pods/kept/eviction", {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "other" } }),
    });
    expect([wrong.status, (JSON.parse(wrong.text) as { message: string }).message]).toEqual([
      400,
      "name in URL does not match name in Eviction object",
    ]);
    const rules = [rule("CREATE", "pods/eviction"), rule("DELETE", "pods"), rule("UPDATE", "pods/status")];
    await apply(webhooks("ValidatingWebhookConfiguration", "evictions", { rules }));
    answer = () => ({ allowed: false, status: { message: "kept" } });
    expect((await evict("kept")).text).toContain("denied the request: kept");
    expect(asked.at(-1)).toMatchObject({
      operation: "CREATE",
      subResource: "eviction",
      kind: { group: "policy", version: "v1", kind: "Eviction" },
      object: { kind: "Eviction", metadata: { name: "kept" } },
    });
    await server.ok("get pod kept");
    await server.ok('patch pod kept --type=merge -p {"metadata":{"finalizers":["example.com/hold"]}}');
    answer = ({ subResource }) => ({ allowed: subResource === "eviction" });
    asked.length = 0;
    expect((await evict("kept")).status).toBe(201);
    expect(asked.map(({ subResource }) => subResource)).toEqual(["eviction"]);
    const { metadata, status } = JSON.parse(await server.ok("get pod kept -o json")) as {
      metadata: { deletionTimestamp?: string };
      status: { conditions: object[] };
    };
    expect(metadata.deletionTimestamp).toBeDefined();
    expect(status.conditions).toContainEqual(
      expect.objectContaining({ type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI" }),
    );
    await server.ok("delete validatingwebhookconfiguration evictions");
    await server.ok('patch pod kept --type=merge -p {"metadata":{"finalizers":null}}');
  });
});

describe("the order", () => {
  it("is built-in plug-ins, mutating policies, mutating webhooks, validating policies and webhooks, quotas", async () => {
    const pods = [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }];
    const only = { rules: pods, objectSelector: { matchLabels: { ordered: "yes" } } };
    const admission = "admissionregistration.k8s.io/v1";
    const matchConstraints = { resourceRules: pods, objectSelector: only.objectSelector };
    await apply(
      { apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "last" }, spec: { hard: { "count/pods": "50" } } },
      webhooks("MutatingWebhookConfiguration", "b-mutates", only),
      webhooks("ValidatingWebhookConfiguration", "d-validates", only),
      {
        apiVersion: admission,
        kind: "MutatingAdmissionPolicy",
        metadata: { name: "a-mutates" },
        spec: {
          matchConstraints,
          reinvocationPolicy: "Never",
          failurePolicy: "Fail",
          mutations: [
            {
              patchType: "ApplyConfiguration",
              applyConfiguration: { expression: 'Object{metadata: Object.metadata{labels: {"policy": "seen"}}}' },
            },
          ],
        },
      },
      {
        apiVersion: admission,
        kind: "MutatingAdmissionPolicyBinding",
        metadata: { name: "a-mutates" },
        spec: { policyName: "a-mutates" },
      },
      {
        apiVersion: admission,
        kind: "ValidatingAdmissionPolicy",
        metadata: { name: "c-validates" },
        spec: {
          matchConstraints,
          validations: [
            { expression: "object.metadata.labels['webhook'] == 'seen' && !('bad' in object.metadata.labels)" },
          ],
        },
      },
      {
        apiVersion: admission,
        kind: "ValidatingAdmissionPolicyBinding",
        metadata: { name: "c-validates" },
        spec: { policyName: "c-validates", validationActions: ["Deny"] },
      },
    );
    answer = ({ object }) => {
      if (object?.metadata.labels?.["webhook"]) return { allowed: true };
      return patch({ op: "add", path: "/metadata/labels/webhook", value: "seen" });
    };
    const used = (): Promise<string> => server.ok("get quota last -o jsonpath={.status.used.count/pods}");
    const run = (name: string, labels: string): ReturnType<TestServer["kubectl"]> =>
      server.kubectl(["run", name, "--image=a", `--labels=${labels}`]);
    // All is in place when the last of them, by name, says no.
    let at = 0;
    await until(
      () => run(`refused-${(at += 1)}`, "ordered=yes,bad=yes"),
      ({ stderr }) => stderr.includes("'c-validates' with binding 'c-validates' denied request"),
    );
    const before = await until(used, (count) => count !== "");
    asked.length = 0;
    expect((await run("refused", "ordered=yes,bad=yes")).code).not.toBe(0);
    // Policies refuse before webhooks are asked, and what is refused is not counted.
    expect(asked).toHaveLength(1);
    expect((await run("unselected", "bad=yes")).code).toBe(0);
    asked.length = 0;
    expect((await run("ordered", "ordered=yes")).code).toBe(0);
    const [mutating, validating] = asked as unknown as {
      object: { metadata: { labels: Record<string, string> }; spec: Record<string, unknown> };
    }[];
    expect(mutating?.object.metadata.labels).toEqual({ ordered: "yes", policy: "seen" });
    expect(mutating?.object.spec).toMatchObject({
      serviceAccountName: "default",
      priority: 0,
      tolerations: [expect.anything(), expect.anything()] as object[],
      volumes: [expect.objectContaining({ projected: expect.anything() as object })] as object[],
    });
    expect(validating?.object.metadata.labels).toEqual({ ordered: "yes", policy: "seen", webhook: "seen" });
    await until(used, (count) => Number(count) === Number(before) + 2);
    await server.ok("delete mutatingwebhookconfiguration b-mutates");
    await server.ok("delete validatingwebhookconfiguration d-validates");
    await server.ok("delete quota last");
  });
});

describe("Pod security", () => {
  it("refuses, warns, and tells what is there already", async () => {
    await server.ok("create ns strict");
    await server.ok("run loose --image=a -n strict --labels=a=b");
    expect(await server.ok("label ns strict pod-security.kubernetes.io/enforce=restricted")).toContain(
      'Warning: existing pods in namespace "strict" violate the new PodSecurity enforce level "restricted:latest"',
    );
    expect(await server.fails("run more --image=a -n strict")).toContain(
      'pods "more" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "more" must set',
    );
    await server.ok("label ns strict pod-security.kubernetes.io/warn=baseline pod-security.kubernetes.io/enforce-");
    const daemon = {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { name: "d", namespace: "strict" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: {
          metadata: { labels: { a: "b" } },
          spec: { hostNetwork: true, containers: [{ name: "c", image: "a" }] },
        },
      },
    };
    expect(await apply(daemon)).toContain(
      'Warning: would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    );
    expect(await server.fails("label ns strict pod-security.kubernetes.io/audit=strictest")).toContain(
      "must be one of privileged, baseline, restricted",
    );
  });
});
