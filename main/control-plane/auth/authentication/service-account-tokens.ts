/**
 * Service-account tokens: JWTs bound to a ServiceAccount and, mostly, to the Pod that uses them, so that
 * they end with it. Claims: Kubernetes' bound service account tokens.
 */
import { createPrivateKey, createPublicKey, randomUUID } from "node:crypto";
import type { JWTPayload } from "jose";
import { calculateJwkThumbprint, decodeProtectedHeader, errors, exportJWK, jwtVerify, SignJWT } from "jose";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { User } from "../../resources/definition.ts";
import type { Reader } from "../../resources/reader.ts";

export const defaultIssuer = "https://kubernetes.default.svc.cluster.local";

/** What a token is good for the life of. */
export interface BoundObject {
  kind: "Pod" | "Secret" | "Node";
  name: string;
  uid: string;
}

export interface TokenSubject {
  namespace: string;
  name: string;
  uid: string;
}

export interface IssueOptions {
  /** Default: the issuer itself. */
  audiences?: string[];
  /** Default: as long as the bound object lives, of which there must be one. */
  expirationSeconds?: number;
  bound?: BoundObject;
  /** The node the bound Pod runs on. */
  node?: { name: string; uid?: string };
}

export interface IssuedToken {
  token: string;
  /** RFC 3339; "" for one that lasts. */
  expirationTimestamp: string;
}

export interface VerifiedToken {
  user: User;
  audiences: string[];
}

interface Claims extends JWTPayload {
  "kubernetes.io"?: {
    namespace?: string;
    serviceaccount?: { name?: string; uid?: string };
    pod?: { name: string; uid: string };
    secret?: { name: string; uid: string };
    node?: { name: string; uid?: string };
  };
}

/** Signatures already checked; the objects behind a token are looked up each time. */
const mostRemembered = 4096;
/** A token outlives its Pod's deletion by this much, so that the last words of a container get through. */
const leewayMillis = 60_000;

export class ServiceAccountTokens {
  readonly issuer: string;
  readonly #key: ReturnType<typeof createPrivateKey>;
  readonly #publicKey: ReturnType<typeof createPublicKey>;
  readonly #keyId: string;
  readonly #reader: Reader;
  readonly #now: () => Date;
  readonly #remembered = new Map<string, Claims>();

  private constructor(
    key: ReturnType<typeof createPrivateKey>,
    keyId: string,
    options: { reader: Reader; issuer?: string; now?: () => Date },
  ) {
    this.#key = key;
    this.#publicKey = createPublicKey(key);
    this.#keyId = keyId;
    this.#reader = options.reader;
    this.issuer = options.issuer ?? defaultIssuer;
    this.#now = options.now ?? ((): Date => new Date());
  }

  /** `privateKey`: PEM, EC P-256. */
  static async create(
    privateKey: string,
    options: { reader: Reader; issuer?: string; now?: () => Date },
  ): Promise<ServiceAccountTokens> {
    const key = createPrivateKey(privateKey);
    const keyId = await calculateJwkThumbprint(await exportJWK(createPublicKey(key)));
    return new ServiceAccountTokens(key, keyId, options);
  }

  async issue(subject: TokenSubject, options: IssueOptions): Promise<IssuedToken> {
    const now = Math.floor(this.#now().getTime() / 1000);
    const { bound, node, expirationSeconds } = options;
    if (expirationSeconds === undefined && !bound) throw new Error("a token that is bound to nothing must expire");
    const expires = expirationSeconds === undefined ? undefined : now + expirationSeconds;
    const claims = {
      namespace: subject.namespace,
      serviceaccount: { name: subject.name, uid: subject.uid },
      ...(bound ? { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } } : {}),
      ...(node ? { node } : {}),
    };
    const jwt = new SignJWT({ "kubernetes.io": claims })
      .setProtectedHeader({ alg: "ES256", kid: this.#keyId })
      .setIssuer(this.issuer)
      .setSubject(`system:serviceaccount:${subject.namespace}:${subject.name}`)
      .setAudience(options.audiences?.length ? options.audiences : [this.issuer])
      .setIssuedAt(now)
      .setNotBefore(now)
      .setJti(randomUUID());
    if (expires !== undefined) jwt.setExpirationTime(expires);
    const expirationTimestamp = expires === undefined ? "" : `${new Date(expires * 1000).toISOString().slice(0, 19)}Z`;
    return { token: await jwt.sign(this.#key), expirationTimestamp };
  }

  /** Quick look: is this a JWT of ours at all? */
  isOurs(token: string): boolean {
    if (token.split(".").length !== 3) return false;
    try {
      return decodeProtectedHeader(token).kid === this.#keyId;
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  }

  /** Who the token speaks for; undefined when it is not good (any more), or for none of `audiences`. */
  async verify(token: string, audiences: readonly string[] = [this.issuer]): Promise<VerifiedToken | undefined> {
    const claims = await this.#checkedClaims(token);
    if (!claims) return undefined;
    const meant = [claims.aud ?? []].flat();
    const common = audiences.filter((audience) => meant.includes(audience));
    if (common.length === 0) return undefined;
    const user = await this.#userOf(claims);
    return user && { user, audiences: common };
  }

  /** The public key as a JSON Web Key Set, for /openid/v1/jwks. */
  async jwks(): Promise<{ keys: object[] }> {
    const key = await exportJWK(this.#publicKey);
    return { keys: [{ ...key, use: "sig", alg: "ES256", kid: this.#keyId }] };
  }

  async #checkedClaims(token: string): Promise<Claims | undefined> {
    const known = this.#remembered.get(token);
    const now = this.#now();
    if (known) return known.exp === undefined || known.exp * 1000 > now.getTime() ? known : undefined;
    try {
      const { payload } = await jwtVerify<Claims>(token, this.#publicKey, {
        issuer: this.issuer,
        algorithms: ["ES256"],
        currentDate: now,
        requiredClaims: ["sub", "kubernetes.io"],
      });
      // Only what ends with a Secret may be without an end of its own.
      if (payload.exp === undefined && !payload["kubernetes.io"]?.secret) return undefined;
      if (this.#remembered.size >= mostRemembered) {
        const [oldest] = this.#remembered.keys();
        if (oldest !== undefined) this.#remembered.delete(oldest);
      }
      this.#remembered.set(token, payload);
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  async #userOf(claims: Claims): Promise<User | undefined> {
    const { namespace, serviceaccount, pod, secret, node } = claims["kubernetes.io"] ?? {};
    if (!namespace || !serviceaccount?.name) return undefined;
    const account = await this.#find("serviceaccounts", namespace, serviceaccount.name, serviceaccount.uid);
    if (!account) return undefined;
    if (pod && !(await this.#find("pods", namespace, pod.name, pod.uid))) return undefined;
    if (secret && !(await this.#find("secrets", namespace, secret.name, secret.uid))) return undefined;
    // A token bound to a Pod carries its node for information only; one bound to a node ends with it.
    if (node && !pod && !(await this.#find("nodes", undefined, node.name, node.uid))) return undefined;
    return {
      name: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
      ...(serviceaccount.uid ? { uid: serviceaccount.uid } : {}),
      groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
      extra: {
        ...(claims.jti ? { "authentication.kubernetes.io/credential-id": [`JTI=${claims.jti}`] } : {}),
        ...(pod
          ? {
              "authentication.kubernetes.io/pod-name": [pod.name],
              "authentication.kubernetes.io/pod-uid": [pod.uid],
            }
          : {}),
        ...(node ? { "authentication.kubernetes.io/node-name": [node.name] } : {}),
        ...(node?.uid ? { "authentication.kubernetes.io/node-uid": [node.uid] } : {}),
      },
    };
  }

  /** The very object a token was made for, if it is there and not long deleted. */
  async #find(
    resource: string,
    namespace: string | undefined,
    name: string,
    uid: string | undefined,
  ): Promise<KubeObject | undefined> {
    const fits = (object: KubeObject | undefined): KubeObject | undefined =>
      object && (uid === undefined || object.metadata.uid === uid) ? object : undefined;
    const object =
      fits(this.#reader.get(resource, namespace, name)) ?? fits(await this.#reader.live(resource, namespace, name));
    const deleted = object?.metadata.deletionTimestamp;
    return deleted && Date.parse(deleted) + leewayMillis < this.#now().getTime() ? undefined : object;
  }
}
