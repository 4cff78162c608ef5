/**
 * Which of a Pod's pull secrets open an image's registry, as a kubelet finds it
 * (kubernetes.io/docs/concepts/containers/images, "config.json interpretation").
 */
import type { Secret } from "../../../common/kube/types.ts";
import type { RegistryCredentials } from "../runtime/runtime.ts";

interface Entry {
  host: string;
  port: string;
  /** Begins with a slash, or is empty: then it is for all of the registry's images. */
  path: string;
  credentials: RegistryCredentials;
}

interface Login {
  username?: string;
  password?: string;
  /** "user:password" in base64; wins over the two. */
  auth?: string;
}

const DEFAULT_REGISTRY = "index.docker.io";

/**
 * All credentials that may open an image's registry, those for the longest path first: each is to be tried. Secrets of
 * other types than kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg are passed over.
 * Throws an Error that names the secret whose text is not what its type says.
 */
export function credentialsFor(image: string, secrets: readonly Secret[]): RegistryCredentials[] {
  const entries = secrets.flatMap(entriesOf).toSorted((a, b) => b.path.length - a.path.length);
  const found = entries.filter((entry) => opens(entry, placeOf(image)));
  if (found.length === 0 && isOfDefaultRegistry(image))
    found.push(...entries.filter(({ host, path }) => host === DEFAULT_REGISTRY && path === ""));
  return found.map(({ credentials }) => credentials);
}

function entriesOf(secret: Secret): Entry[] {
  const data = (secret.data ?? {}) as Record<string, string>;
  const read = (key: string): Record<string, unknown> => {
    if (!data[key]) return {};
    try {
      return JSON.parse(Buffer.from(data[key], "base64").toString()) as Record<string, unknown>;
    } catch (error) {
      throw new Error(`pull secret "${secret.metadata.name}": ${key}: ${(error as Error).message}`, { cause: error });
    }
  };
  let logins: Record<string, unknown> = {};
  if (secret.type === "kubernetes.io/dockerconfigjson")
    logins = (read(".dockerconfigjson")["auths"] ?? {}) as Record<string, unknown>;
  else if (secret.type === "kubernetes.io/dockercfg") logins = read(".dockercfg");
  return Object.entries(logins).map(([server, login]) => ({
    ...placeOf(server),
    credentials: { ...nameAndPassword((login ?? {}) as Login), serveraddress: server },
  }));
}

function nameAndPassword({ username = "", password = "", auth }: Login): { username: string; password: string } {
  if (!auth) return { username, password };
  const text = Buffer.from(auth, "base64").toString();
  const colon = text.indexOf(":");
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Of a server as logins name it ("https://index.docker.io/v1/", "r.example:5000/team"), or of an image. */
function placeOf(text: string): { host: string; port: string; path: string } {
  const plain = text.replace(/^https?:\/\//, "");
  const slash = plain.indexOf("/");
  const authority = slash < 0 ? plain : plain.slice(0, slash);
  const path = slash < 0 ? "" : plain.slice(slash).replace(/^\/v[12](?=\/)/, "");
  const [host = "", port = ""] = authority.split(":");
  return { host, port, path: path === "/" ? "" : path };
}

/** A host may have "*", "?" and "[…]" in each of its parts; "*.example.com" is not for "a.b.example.com". */
function opens(entry: Entry, image: { host: string; port: string; path: string }): boolean {
  if (entry.port !== image.port || !image.path.startsWith(entry.path)) return false;
  const patterns = entry.host.split(".");
  const parts = image.host.split(".");
  return patterns.length === parts.length && patterns.every((pattern, at) => isLike(parts[at] as string, pattern));
}

function isLike(text: string, pattern: string): boolean {
  if (!/[*?[]/.test(pattern)) return text === pattern;
  const expression = pattern
    .replaceAll(/[.+${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  try {
    return new RegExp(`^${expression}$`).test(text);
  } catch {
    // An open bracket: no pattern, so it is like nothing.
    return false;
  }
}

function isOfDefaultRegistry(image: string): boolean {
  const [first = "", ...rest] = image.split("/");
  if (rest.length === 0 || first === "docker.io" || first === DEFAULT_REGISTRY) return true;
  return !/[.:]/.test(first);
}
