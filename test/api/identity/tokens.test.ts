/** Tokens: asked for, bound, reviewed, projected into Pods, and those that new nodes begin with. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestServer, until } from "../support.ts";
import { ask } from "./requests.ts";
import type { Answered } from "./requests.ts";

const ISSUER = "https://kubernetes.default.svc.cluster.local";

let server: TestServer;

interface Review {
  authenticated?: boolean;
  error?: string;
  audiences?: string[];
  user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
}

const json = async (
  path: string,
  body: object,
): Promise<{ status: number; body: Answered["body"] & { status?: Record<string, unknown> } }> => {
  const { status, text } = await server.raw("POST", path, {
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status, body: JSON.parse(text) as Answered["body"] & { status?: Record<string, unknown> } };
};

const request = (spec: object, account = "bot"): ReturnType<typeof json> =>
  json(`/api/v1/namespaces/default/serviceaccounts/${account}/token`, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec,
  });

const tokenOf = async (spec: object, account?: string): Promise<string> =>
  String((await request(spec, account)).body.status?.["token"]);

async function review(token: string, audiences?: string[]): Promise<Review> {
  const { body } = await json("/apis/authentication.k8s.io/v1/tokenreviews", {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token, ...(audiences ? { audiences } : {}) },
  });
  return body.status as Review;
}

const whoami = (token: string): Promise<Answered> =>
  ask(
    server,
    "POST",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    { token },
    {
      apiVersion: "authentication.k8s.io/v1",
      kind: "SelfSubjectReview",
    },
  );

const claims = (token: string): Record<string, never> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<string, never>;

beforeAll(async () => {
  server = await TestServer.start();
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
  await server.ok("create serviceaccount bot");
});
afterAll(() => server?.stop());

describe("a token request", () => {
  it("gives a token that says whose it is, for whom, and how long", async () => {
    const uid = await server.ok("get serviceaccount bot -o jsonpath={.metadata.uid}");
    const { status, body } = await request({ expirationSeconds: 7200 });
    expect(status).toBe(201);
    expect(body["spec"]).toEqual({ audiences: [ISSUER], expirationSeconds: 7200, boundObjectRef: null });
    const token = String(body.status?.["token"]);
    const said = claims(token) as unknown as { exp: number; iat: number };
    expect(said).toMatchObject({
      iss: ISSUER,
      sub: "system:serviceaccount:default:bot",
      aud: [ISSUER],
      "kubernetes.io": { namespace: "default", serviceaccount: { name: "bot", uid } },
    });
    expect(said.exp - said.iat).toBe(7200);
    expect(body.status?.["expirationTimestamp"]).toBe(`${new Date(said.exp * 1000).toISOString().slice(0, 19)}Z`);
    expect((await whoami(token)).body.status).toMatchObject({
      userInfo: {
        username: "system:serviceaccount:default:bot",
        uid,
        groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [expect.stringMatching(/^JTI=/)] },
      },
    });
  });

  it.each<[object, number, string]>([
    [{ expirationSeconds: 599 }, 422, "may not specify a duration less than 10 minutes"],
    [{ expirationSeconds: 2 ** 32 + 1 }, 422, "may not specify a duration larger than 2^32 seconds"],
    [
      { boundObjectRef: { apiVersion: "v1", kind: "ConfigMap", name: "kube-root-ca.crt" } },
      400,
      "cannot bind token to object of type /v1, Kind=ConfigMap",
    ],
    [{ boundObjectRef: { apiVersion: "v1", kind: "Secret", name: "none" } }, 404, 'secrets "none" not found'],
  ])("that asks for %j is refused", async (spec, code, message) => {
    const { status, body } = await request(spec);
    expect([status, body.message]).toEqual([code, expect.stringContaining(message)]);
  });

  it("of an account that is not there finds none", async () => {
    const { status, body } = await request({}, "nobody");
    expect([status, body.message]).toEqual([404, 'serviceaccounts "nobody" not found']);
  });

  it("is bound to a Pod of that account, by its UID, and ends with it", async () => {
    await server.ok('run holder --image=example.com/none:1 --overrides={"spec":{"serviceAccountName":"bot"}}');
    const uid = await server.ok("get pod holder -o jsonpath={.metadata.uid}");
    const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "holder", uid };
    const wrong = await request({ boundObjectRef: { ...boundObjectRef, uid: "another" } });
    expect([wrong.status, wrong.body.message]).toEqual([
      409,
      `Operation cannot be fulfilled on Pod "holder": the UID in the bound object reference (another) does not match the UID in record. The object might have been deleted and then recreated`,
    ]);
    const other = await request({ boundObjectRef }, "default");
    expect([other.status, other.body.message]).toEqual([
      400,
      'cannot bind token for serviceaccount "default" to pod running with different serviceaccount name.',
    ]);
    const token = await tokenOf({ boundObjectRef });
    expect((await review(token)).user?.extra).toMatchObject({
      "authentication.kubernetes.io/pod-name": ["holder"],
      "authentication.kubernetes.io/pod-uid": [uid],
    });
    await server.ok("delete pod holder --now");
    expect((await review(token)).authenticated).toBeUndefined();
    expect((await whoami(token)).status).toBe(401);
  });
});

describe("a token review", () => {
  it("says for which audiences a token is good", async () => {
    const token = await tokenOf({ audiences: ["vault", "registry"] });
    expect(await review(token, ["vault", "elsewhere"])).toMatchObject({
      authenticated: true,
      audiences: ["vault"],
      user: { username: "system:serviceaccount:default:bot" },
    });
    const wrong = await review(token);
    expect(wrong.authenticated).toBeUndefined();
    expect(wrong.error).not.toBeUndefined();
    // It is for others, not for the API server.
    expect((await whoami(token)).status).toBe(401);
  });

  it("says that a token is none", async () => {
    for (const token of ["nonsense", "a.b.c", "two words"]) {
      expect(await review(token)).toMatchObject({ error: expect.stringContaining("invalid bearer token") });
    }
  });
});

describe("a token's place", () => {
  it("is a projected volume in every Pod, where none forbids it", async () => {
    await server.ok("run plain --image=example.com/none:1");
    const volumes = JSON.parse(await server.ok("get pod plain -o jsonpath={.spec.volumes}")) as object[];
    expect(volumes).toEqual([
      {
        name: expect.stringMatching(/^kube-api-access-[a-z0-9]{5}$/),
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            {
              downwardAPI: {
                items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
              },
            },
          ],
        },
      },
    ]);
    await server.ok(
      'run closed --image=example.com/none:1 --overrides={"spec":{"automountServiceAccountToken":false}}',
    );
    expect(await server.ok("get pod closed -o jsonpath={.spec.volumes}")).toBe("");
  });

  it("is a Secret of that type, filled in and revoked with it", async () => {
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "lasting", annotations: { "kubernetes.io/service-account.name": "bot" } },
      type: "kubernetes.io/service-account-token",
    };
    await server.ok("create -f -", { input: JSON.stringify(secret) });
    const encoded = await until(
      () => server.ok("get secret lasting -o jsonpath={.data.token}"),
      (text) => text !== "",
    );
    const token = Buffer.from(encoded, "base64").toString();
    expect((await whoami(token)).body.status).toMatchObject({
      userInfo: { username: "system:serviceaccount:default:bot" },
    });
    await server.ok("delete secret lasting");
    expect((await whoami(token)).status).toBe(401);
  });
});

describe("a bootstrap token", () => {
  const secret = (id: string, more: Record<string, string> = {}): string =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
      type: "bootstrap.kubernetes.io/token",
      stringData: {
        "token-id": id,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:drydock:default-node-token",
        ...more,
      },
    });

  it("lets a new node ask for its certificate, and nothing else", async () => {
    await server.ok("create -f -", { input: secret("abcdef") });
    const token = "abcdef.0123456789abcdef";
    const { body } = await whoami(token);
    expect(body.status).toMatchObject({
      userInfo: {
        username: "system:bootstrap:abcdef",
        groups: ["system:bootstrappers", "system:bootstrappers:drydock:default-node-token", "system:authenticated"],
      },
    });
    const requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    expect((await ask(server, "GET", requests, { token })).status).toBe(200);
    expect((await ask(server, "GET", "/api/v1/namespaces/kube-system/secrets", { token })).status).toBe(403);
  });

  it("ends when its time is over: it is refused, and its Secret is cleared away", async () => {
    await server.ok("create -f -", { input: secret("bbbbbb", { expiration: "2020-01-01T00:00:00Z" }) });
    expect((await whoami("bbbbbb.0123456789abcdef")).status).toBe(401);
    await until(
      () => server.kubectl(["get", "secret", "bootstrap-token-bbbbbb", "-n", "kube-system"]),
      ({ code }) => code !== 0,
    );
  });
});

it("keys and issuer are published for whoever checks tokens himself", async () => {
  const configuration = await server.raw("GET", "/.well-known/openid-configuration");
  expect(JSON.parse(configuration.text)).toMatchObject({
    issuer: ISSUER,
    jwks_uri: expect.stringContaining("/openid/v1/jwks"),
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  });
  const token = await tokenOf({});
  const { kid } = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as { kid: string };
  const { keys } = JSON.parse((await server.raw("GET", "/openid/v1/jwks")).text) as { keys: { kid: string }[] };
  expect(keys.map((key) => key.kid)).toContain(kid);
});
