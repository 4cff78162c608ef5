/** Watching over a WebSocket, as dashboards that run in a browser do. */
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { readKubeconfig } from "../../../main/control-plane/client/node-transport.ts";
import { TestServer, until } from "../support.ts";

interface Told {
  type: string;
  object: { kind: string; metadata?: { name?: string; resourceVersion?: string }; code?: number };
}

const MAPS = "/api/v1/namespaces/default/configmaps";
const SUBPROTOCOL = "base64.binary.k8s.io";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

async function connect(path: string, protocols: string[] = [SUBPROTOCOL]): Promise<WebSocket> {
  const { server: url, ca, certificate, key } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  return new WebSocket(`${url.replace("https", "wss")}${path}`, protocols, {
    ...(ca ? { ca } : {}),
    ...(certificate ? { cert: certificate } : {}),
    ...(key ? { key } : {}),
    origin: "https://dashboard.example.com",
  });
}

async function watch(query: string): Promise<{ webSocket: WebSocket; told: Told[] }> {
  const webSocket = await connect(`${MAPS}?watch=true${query}`);
  const told: Told[] = [];
  webSocket.on("message", (data: Buffer, isBinary) => {
    expect(isBinary).toBe(false);
    told.push(JSON.parse(data.toString()) as Told);
  });
  await once(webSocket, "open");
  return { webSocket, told };
}

const make = (name: string): Promise<unknown> => server.ok(`create configmap ${name} --from-literal=a=b`);
const said = (told: Told[]): string[] => told.map(({ type, object }) => `${type} ${object.metadata?.name}`);

it("tells one event a message, the first ones and those that follow", async () => {
  await make("first");
  const { webSocket, told } = await watch("&fieldSelector=metadata.name!=kube-root-ca.crt");
  expect(webSocket.protocol).toBe(SUBPROTOCOL);
  await until(
    async () => said(told),
    (all) => all.includes("ADDED first"),
  );
  await make("second");
  await server.ok("delete configmap first");
  await until(
    async () => told.length,
    (count) => count === 3,
  );
  expect(said(told)).toEqual(["ADDED first", "ADDED second", "DELETED first"]);
  webSocket.close();
  await once(webSocket, "close");
});

it("goes on where another watch ended, and ends when its time is over", async () => {
  const { text } = await server.raw("GET", MAPS);
  const { resourceVersion } = (JSON.parse(text) as { metadata: { resourceVersion: string } }).metadata;
  await make("third");
  const { webSocket, told } = await watch(`&resourceVersion=${resourceVersion}&timeoutSeconds=2`);
  webSocket.send("ignored");
  const [code] = (await once(webSocket, "close")) as [number];
  expect(said(told)).toEqual(["ADDED third"]);
  expect(code).toBe(1000);
});

it("refuses a revision that is not there yet as an ordinary watch does", async () => {
  const plain = await server.raw("GET", `${MAPS}?watch=true&resourceVersion=99999999&timeoutSeconds=2`);
  const webSocket = await connect(`${MAPS}?watch=true&resourceVersion=99999999&timeoutSeconds=2`);
  const [, answer] = (await once(webSocket, "unexpected-response")) as [unknown, { statusCode: number }];
  expect(answer.statusCode).toBe(plain.status);
});

it.each([
  ["what cannot be watched", "/api/v1/componentstatuses?watch=true", 400],
  ["what nobody may see", `${MAPS}?watch=true&as=nobody`, 403],
])("refuses %s", async (what, path, status) => {
  const { server: url, ca, certificate, key } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  const webSocket = new WebSocket(`${url.replace("https", "wss")}${path}`, [SUBPROTOCOL], {
    ...(ca ? { ca } : {}),
    ...(certificate ? { cert: certificate } : {}),
    ...(key ? { key } : {}),
    headers: what.includes("nobody") ? { "impersonate-user": "nobody" } : {},
  });
  const [, answer] = (await once(webSocket, "unexpected-response")) as [unknown, { statusCode: number }];
  expect(answer.statusCode).toBe(status);
});

it("takes a token as a subprotocol, where a browser can say one", async () => {
  await server.ok("create serviceaccount dashboard");
  await server.ok("create clusterrolebinding dashboard --clusterrole=view --serviceaccount=default:dashboard");
  const token = (await server.ok("create token dashboard")).trim();
  const { server: url, ca } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  const opened = async (path: string, given: string): Promise<string> => {
    const bearer = `base64url.bearer.authorization.k8s.io.${Buffer.from(given).toString("base64url")}`;
    const webSocket = new WebSocket(`${url.replace("https", "wss")}${path}?watch=true`, [bearer, SUBPROTOCOL], { ca });
    const outcome = await Promise.race([
      once(webSocket, "open").then(() => webSocket.protocol),
      once(webSocket, "unexpected-response").then(([, answer]) =>
        String((answer as { statusCode: number }).statusCode),
      ),
    ]);
    webSocket.terminate();
    return outcome;
  };
  expect(await opened(MAPS, token)).toBe(SUBPROTOCOL);
  expect(await opened("/api/v1/namespaces/default/secrets", token)).toBe("403");
  expect(await opened(MAPS, "nonsense")).toBe("401");
});
