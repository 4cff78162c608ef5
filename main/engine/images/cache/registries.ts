/**
 * registries.yaml in the data folder: which mirrors, certificates and credentials are used for which registry. The
 * form is the one k3s made known (https://docs.k3s.io/installation/private-registry), since many have such a file.
 */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";
import * as z from "zod";

const File = z
  .object({
    mirrors: z.record(z.string(), z.object({ endpoint: z.array(z.string()).default([]) }).nullable()).nullish(),
    configs: z
      .record(
        z.string(),
        z
          .object({
            auth: z.object({ username: z.string(), password: z.string() }).nullish(),
            tls: z.object({ ca_file: z.string().nullish(), insecure_skip_verify: z.boolean().nullish() }).nullish(),
          })
          .nullable(),
      )
      .nullish(),
    cache: z.object({ maxGiB: z.number().positive() }).nullish(),
  })
  .nullable();
export type RegistriesFile = NonNullable<z.infer<typeof File>>;

/** Where a request for a registry may be answered. */
export interface Endpoint {
  /** Without a slash at its end; a path is a prefix of "/v2/…", as for mirrors in a subfolder. */
  base: string;
  /** The registry itself, so the client's own credentials are meant for it. */
  own: boolean;
  /** "user:password" for it. */
  credentials?: string;
  caFile?: string;
  insecure: boolean;
}

const DOCKER_HUB = "registry-1.docker.io";
/** Names under which a node knows this computer. */
export const THIS_COMPUTER: ReadonlySet<string> = new Set([
  "10.0.2.2",
  "localhost",
  "127.0.0.1",
  "host.docker.internal",
  "host.drydock.internal",
]);

/** The endpoints for a registry in the order in which they are tried, itself the last. `authority`: "host:port" as it was asked for. Pure. */
export function endpointsFor(authority: string, file: RegistriesFile): Endpoint[] {
  const [host = "", port = "443"] = split(authority);
  const name = port === "443" ? host : `${host}:${port}`;
  const known = host === DOCKER_HUB ? "docker.io" : name;
  const mirror = file.mirrors?.[known] ?? file.mirrors?.["*"];
  const endpoint = (base: string, own: boolean): Endpoint => {
    const address = base.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
    const config = file.configs?.[address] ?? (own ? file.configs?.[known] : undefined);
    return {
      base: base.replace(/\/v2\/?$/, "").replace(/\/$/, ""),
      own,
      insecure: config?.tls?.insecure_skip_verify ?? false,
      ...(config?.auth ? { credentials: `${config.auth.username}:${config.auth.password}` } : {}),
      ...(config?.tls?.ca_file ? { caFile: config.tls.ca_file } : {}),
    };
  };
  const mirrors = (mirror?.endpoint ?? []).map((base) =>
    endpoint(/^https?:\/\//.test(base) ? base : `https://${base}`, false),
  );
  const same = (base: string): boolean => base.replace(/^https?:\/\//, "") === name;
  // A mirror of itself says how it is to be spoken to, e.g. without TLS.
  for (const one of mirrors) if (same(one.base)) one.own = true;
  if (mirrors.some(({ own }) => own)) return mirrors;
  // On this computer a registry needs no TLS, as for Docker itself.
  if (THIS_COMPUTER.has(host))
    return [
      ...mirrors,
      { ...endpoint(`https://127.0.0.1:${port}`, true), insecure: true },
      endpoint(`http://127.0.0.1:${port}`, true),
    ];
  return [...mirrors, endpoint(`https://${name}`, true)];
}

function split(authority: string): [string, string | undefined] {
  const match = /^(.*?)(?::(\d+))?$/.exec(authority.toLowerCase());
  return [match?.[1] ?? authority, match?.[2]];
}

/** Reads the file anew when it has changed. */
export class Registries {
  readonly file: string;
  private known: { mtimeMs: number; content: RegistriesFile } | undefined;

  constructor(home: string) {
    this.file = path.join(home, "registries.yaml");
  }

  /** Empty without a file. Throws, naming what is wrong, when it cannot be understood. */
  async read(): Promise<RegistriesFile> {
    let mtimeMs: number;
    try {
      mtimeMs = (await stat(this.file)).mtimeMs;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      throw error;
    }
    if (this.known?.mtimeMs === mtimeMs) return this.known.content;
    const content = parseRegistries(await readFile(this.file, "utf8"), this.file);
    this.known = { mtimeMs, content };
    return content;
  }
}

export function parseRegistries(text: string, name: string): RegistriesFile {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = File.safeParse(value ?? {});
  if (parsed.success) return parsed.data ?? {};
  const issues = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`${name}: ${issues.join("; ")}`);
}
