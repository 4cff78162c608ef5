/** Aggregated APIs for real: a HTTPS server of our own behind an APIService, and kubectl that cannot tell. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:https";
import type { Server } from "node:https";
import type { IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readKubeconfig } from "../../main/control-plane/client/node-transport.ts";
import { createAuthority, createLeaf } from "../../main/control-plane/pki/keys.ts";
import { TestServer, until } from "./support.ts";

const PLACE = "/apis/gadgets.example.test/v1";
let server: TestServer;
let backend: Server;
let port = 0;
let caBundle = "";
/** Answers 500 to discovery while set. */
let ill = false;
const seen: { method: string; url: string; headers: IncomingHttpHeaders; peer: string; body: string }[] = [];

const gadget = (name: string): object => ({
  apiVersion: "gadgets.example.test/v1",
  kind: "Gadget",
  metadata: { name, namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" },
});

function answer(method: string, url: URL): { status: number; body: object } {
  switch (url.pathname) {
    case PLACE: {
      const verbs = ["create", "get", "list", "watch"];
      const resources = [
        { name: "gadgets", singularName: "gadget", namespaced: true, kind: "Gadget", verbs, shortNames: ["gd"] },
        { name: "gadgets/status", singularName: "", namespaced: true, kind: "Gadget", verbs: ["get"] },
      ];
      const list = { kind: "APIResourceList", apiVersion: "v1", groupVersion: "gadgets.example.test/v1", resources };
      return ill ? { status: 500, body: {} } : { status: 200, body: list };
    }
    case `${PLACE}/namespaces/default/gadgets`:
      if (method === "POST") return { status: 201, body: gadget("made") };
      return {
        status: 200,
        body: { apiVersion: "gadgets.example.test/v1", kind: "GadgetList", metadata: {}, items: [gadget("one")] },
      };
    default:
      return {
        status: 404,
        body: {
          kind: "Status",
          apiVersion: "v1",
          status: "Failure",
          reason: "NotFound",
          message: "no such gadget",
          code: 404,
        },
      };
  }
}

beforeAll(async () => {
  server = await TestServer.start();
  const authority = await until(
    () => server.kubectl("get cm extension-apiserver-authentication -n kube-system -o json".split(" ")),
    ({ code }) => code === 0,
  );
  const { data } = JSON.parse(authority.stdout) as { data: Record<string, string> };
  const ca = await createAuthority("gadgets-ca");
  caBundle = Buffer.from(ca.certificate).toString("base64");
  const { certificate, key } = await createLeaf(ca, {
    commonName: "gadgets",
    sans: ["gadgets.default.svc"],
    usages: ["server auth"],
    lifetime: 3600,
  });
  const options = { cert: certificate, key, ca: data["requestheader-client-ca-file"] ?? "", requestCert: true };
  backend = createServer({ ...options, rejectUnauthorized: true }, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const url = new URL(incoming.url ?? "/", "https://gadgets");
      const peer = String((incoming.socket as TLSSocket).getPeerCertificate().subject.CN);
      const { method = "", headers } = incoming;
      seen.push({ method, url: url.pathname, headers, peer, body: Buffer.concat(chunks).toString() });
      if (url.searchParams.has("watch")) {
        response.writeHead(200, { "content-type": "application/json" });
        response.write(`${JSON.stringify({ type: "ADDED", object: gadget("first") })}\n`);
        setTimeout(() => response.end(`${JSON.stringify({ type: "ADDED", object: gadget("second") })}\n`), 50);
        return;
      }
      if (url.pathname === `/openapi/v3${PLACE}`) {
        response.writeHead(200, { "content-type": "application/json" }).end('{"openapi":"3.0.0","paths":{}}');
        return;
      }
      const { status, body } = answer(method, url);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  backend.on("upgrade", (incoming, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n");
    socket.write(`hello ${String(incoming.headers["x-remote-user"])}\n`);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  port = (backend.address() as AddressInfo).port;
});
afterAll(async () => {
  backend?.closeAllConnections();
  backend?.close();
  await server?.stop();
});

const available = async (): Promise<string> =>
  (await server.kubectl(["get", "apiservice", "v1.gadgets.example.test", "--no-headers"])).stdout;

it("every group and version this server answers for has its APIService", async () => {
  const text = await until(
    () => server.ok("get apiservices"),
    (answered) => /v1\.apps +Local +True/.test(answered),
  );
  expect(text).toMatch(/^v1\. +Local +True/m);
  expect(text).toMatch(/^v2\.autoscaling +Local +True/m);
});

it("refuses one that makes no sense, in Kubernetes' words", async () => {
  const wrong = {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1.other" },
    spec: { group: "gadgets.example.test", version: "v1", groupPriorityMinimum: 0, versionPriority: 2000 },
  };
  const said = await server.fails("create -f -", { input: JSON.stringify(wrong) });
  expect(said).toContain('must be `spec.version+"."+spec.group`: "v1.gadgets.example.test"');
  expect(said).toContain("spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000");
  expect(said).toContain("spec.versionPriority: Invalid value: 2000: must be positive and less than 1000");
});

it("says why it is not available, and answers 503 until it is", async () => {
  await server.ok("create -f -", {
    input: JSON.stringify({
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: "v1.gadgets.example.test" },
      spec: {
        group: "gadgets.example.test",
        version: "v1",
        groupPriorityMinimum: 1000,
        versionPriority: 10,
        service: { namespace: "default", name: "gadgets", port },
        caBundle,
      },
    }),
  });
  expect(await until(available, (text) => text.includes("False"))).toContain("False (ServiceNotFound)");
  expect(await server.fails(`get --raw ${PLACE}/namespaces/default/gadgets`)).toContain(
    "the server is currently unable to handle the request",
  );
  await server.ok("create service externalname gadgets --external-name=localhost");
  expect(await until(available, (text) => text.includes("True"))).toContain("default/gadgets");
});

it("is discovered, listed, created and watched as if it were ours", async () => {
  const resources = await until(
    () => server.ok("api-resources --api-group=gadgets.example.test --cached=false"),
    (text) => text.includes("gadgets"),
  );
  expect(resources).toMatch(/gadgets +gd +gadgets\.example\.test\/v1 +true +Gadget/);
  expect(await server.ok("get --raw /apis")).toContain('"gadgets.example.test"');
  expect(await server.ok("get gd")).toContain("one");
  expect(await server.fails("get gd nothing")).toContain("no such gadget");
  const made = await server.ok(`create --validate=false -f -`, { input: JSON.stringify(gadget("made")) });
  expect(made).toContain("gadget.gadgets.example.test/made created");
  expect(JSON.parse(seen.findLast(({ method }) => method === "POST")?.body ?? "{}")).toMatchObject(gadget("made"));
  const watched = await server.ok(`get --raw ${PLACE}/namespaces/default/gadgets?watch=true`);
  expect(watched.trim().split("\n")).toHaveLength(2);
  expect(await server.ok("get --raw /openapi/v3")).toContain(`"${PLACE.slice(1)}"`);
  expect(await server.ok(`get --raw /openapi/v3${PLACE}`)).toContain('"3.0.0"');
});

it("is told who asks by headers under our certificate, and nothing that the client said of itself", async () => {
  const given = { "X-Remote-User": "mallory", "Impersonate-User": "jane", "Impersonate-Group": "system:masters" };
  const path = `${PLACE}/namespaces/default/gadgets`;
  await server.raw("GET", path, { headers: { ...given, "Impersonate-Extra-team%2Fname": "blue" } });
  const { headers, peer } = seen.findLast(({ url }) => url === path) ?? {};
  expect(peer).toBe("front-proxy-client");
  expect(headers).toMatchObject({ "x-remote-user": "jane", "x-remote-extra-team%2fname": "blue" });
  expect(headers?.["x-remote-group"]).toContain("system:masters");
  expect(Object.keys(headers ?? {}).filter((name) => name.startsWith("impersonate-"))).toEqual([]);
  expect(headers?.authorization).toBeUndefined();
});

it("passes an upgrade on and joins the two connections", async () => {
  const { server: url, ...tls } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  const options = { ca: tls.ca, cert: tls.certificate, key: tls.key };
  const upgrade = request(`${url}${PLACE}/namespaces/default/gadgets/one/exec`, {
    ...options,
    headers: { connection: "upgrade", upgrade: "echo" },
  });
  upgrade.end();
  const [, socket, rest] = (await once(upgrade, "upgrade")) as [unknown, Duplex, Buffer];
  let text = rest.toString();
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.write("and back\n");
  await until(
    async () => text,
    (said) => said.includes("and back"),
  );
  expect(text).toBe("hello kubernetes-admin\nand back\n");
  socket.destroy();
});

it("asks our own authorization first", async () => {
  expect(await server.fails("get gd --as=nobody")).toContain('User "nobody" cannot list resource "gadgets"');
});

it("keeps its place in discovery while it is away, and comes back", async () => {
  ill = true;
  backend.closeAllConnections();
  await server.ok("annotate apiservice v1.gadgets.example.test look=again");
  expect(await until(available, (text) => text.includes("False"))).toContain("False (FailedDiscoveryCheck)");
  const described = await server.ok(
    "get apiservice v1.gadgets.example.test -o jsonpath={.status.conditions[0].message}",
  );
  expect(described).toContain(`failing or missing response from https://gadgets.default.svc:${port}${PLACE}`);
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const { text } = await server.raw("GET", "/apis", { headers: { accept } });
  const list = JSON.parse(text) as { items: { metadata: { name: string }; versions: object[] }[] };
  const group = list.items.find(({ metadata }) => metadata.name === "gadgets.example.test");
  expect(group?.versions).toMatchObject([{ version: "v1", freshness: "Stale", resources: [{ resource: "gadgets" }] }]);
  ill = false;
  await until(available, (text) => text.includes("True"));
  await server.ok("delete apiservice v1.gadgets.example.test");
  await until(
    () => server.ok("get --raw /apis"),
    (text) => !text.includes("gadgets.example.test"),
  );
});
