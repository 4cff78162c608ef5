/** A webhook that runs in the cluster, whose Pod can be reached by its node's kubelet alone. */
import { once } from "node:events";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority, createLeaf } from "../../../main/control-plane/pki/keys.ts";
import { until } from "../support.ts";
import { ProcessNode } from "./process-node.ts";

let node: ProcessNode;
let hook: Server;
let caBundle = "";

beforeAll(async () => {
  const ca = await createAuthority("webhook-ca");
  const { certificate, key } = await createLeaf(ca, {
    commonName: "webhook",
    sans: ["hook.default.svc"],
    usages: ["server auth"],
    lifetime: 3600,
  });
  caBundle = Buffer.from(ca.certificate).toString("base64");
  hook = createServer({ cert: certificate, key }, (request, response) => {
    void json(request).then((review) => {
      const { uid } = (review as { request: { uid: string } }).request;
      const answer = { uid, allowed: false, status: { message: "said the Pod" } };
      response.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: answer }));
    });
  }).listen(0, "127.0.0.1");
  await once(hook, "listening");
  node = await ProcessNode.start();
});

afterAll(async () => {
  hook?.closeAllConnections();
  hook?.close();
  await node?.stop();
});

it("is asked, and its answer counts", async () => {
  const { port } = hook.address() as AddressInfo;
  await node.pod("hook", {
    labels: { app: "hook" },
    containers: { main: { command: ["true"], ports: [{ name: "https", containerPort: port }] } },
  });
  await node.server.ok("expose pod hook --port=443 --target-port=https");
  await until(
    () => node.server.ok("get endpointslices -o jsonpath={.items[*].endpoints[*].targetRef.name}"),
    (names) => names.includes("hook"),
  );
  const configuration = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: "in-cluster" },
    webhooks: [
      {
        name: "in-cluster.example.com",
        clientConfig: { service: { namespace: "default", name: "hook" }, caBundle },
        rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
      },
    ],
  };
  await node.server.ok("create -f -", { input: JSON.stringify(configuration) });
  expect(await node.server.fails("create configmap refused")).toContain(
    'admission webhook "in-cluster.example.com" denied the request: said the Pod',
  );
});
