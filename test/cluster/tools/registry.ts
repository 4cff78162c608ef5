/** Debian's own registry (docker-registry) on a loopback port, and images pushed into it by its API. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { pack } from "tar-stream";
import { freePort } from "../../../main/host/free-port.ts";

export const REGISTRY = "/usr/bin/docker-registry";
const START_TRIES = 100;
const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

/** Who may use a registry that is not for everybody, and the bcrypt hash of the password as htpasswd has it. */
export const CAPTAIN = { username: "captain", password: "anchor" };
const HTPASSWD = "captain:$2b$04$07ZFaKDuYeLpRBr9rDggL.fb/c/bQxuY3RjLdTZug4h4AQQsdPBeC\n";
const BASIC = `Basic ${Buffer.from(`${CAPTAIN.username}:${CAPTAIN.password}`).toString("base64")}`;

const digestOf = (bytes: Buffer | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export class Registry {
  readonly url: string;
  /** What it was asked, one "METHOD /path" for each request. */
  readonly requests: string[] = [];
  private readonly stopProcess: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url;
    this.stopProcess = stop;
  }

  /** `isPrivate`: only for CAPTAIN. */
  static async start({ isPrivate = false } = {}): Promise<Registry> {
    const folder = await mkdtemp(path.join(tmpdir(), "drydock-registry-"));
    const port = await freePort();
    const users = path.join(folder, "htpasswd");
    const auth = isPrivate ? `auth: {htpasswd: {realm: harbour, path: ${users}}}\n` : "";
    const config = `version: 0.1\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\n${auth}`;
    await writeFile(users, HTPASSWD);
    await writeFile(path.join(folder, "config.yml"), config);
    const child = spawn(REGISTRY, ["serve", path.join(folder, "config.yml")], { stdio: ["ignore", "pipe", "pipe"] });
    const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const registry = new Registry(`http://127.0.0.1:${port}`, async () => {
      child.kill("SIGKILL");
      await exited;
      await rm(folder, { recursive: true, force: true });
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      for (const [, what] of text.matchAll(/"((?:GET|HEAD|POST|PUT|PATCH) [^ "]+)/g))
        registry.requests.push(what ?? "");
    });
    child.stderr.resume();
    for (let attempt = 0; attempt < START_TRIES; attempt++) {
      if (
        await fetch(`${registry.url}/v2/`, { headers: { authorization: BASIC } }).then(
          (response) => response.ok,
          () => false,
        )
      )
        return registry;
      await sleep(100);
    }
    await registry.stop();
    throw new Error("docker-registry did not start");
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  stop(): Promise<void> {
    return this.stopProcess();
  }

  /** An image of one layer with these files in it. */
  async push(name: string, tag: string, files: Record<string, string>): Promise<void> {
    const archive = pack();
    for (const [file, content] of Object.entries(files)) archive.entry({ name: file }, content);
    archive.finalize();
    const layer = await buffer(archive);
    const config = Buffer.from(
      JSON.stringify({
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        config: {},
        rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
      }),
    );
    for (const blob of [config, layer]) await this.upload(name, blob);
    const described = (mediaType: string, blob: Buffer): object => ({
      mediaType,
      size: blob.length,
      digest: digestOf(blob),
    });
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: described("application/vnd.docker.container.image.v1+json", config),
      layers: [described("application/vnd.docker.image.rootfs.diff.tar", layer)],
    };
    await this.send("PUT", `/v2/${name}/manifests/${tag}`, Buffer.from(JSON.stringify(manifest)), MANIFEST);
  }

  private async upload(name: string, blob: Buffer): Promise<void> {
    const begun = await this.send("POST", `/v2/${name}/blobs/uploads/`);
    const place = new URL(begun.headers.get("location") ?? "", this.url);
    place.searchParams.set("digest", digestOf(blob));
    await this.send("PUT", place.pathname + place.search, blob, "application/octet-stream");
  }

  private async send(method: string, target: string, body?: Buffer, type?: string): Promise<Response> {
    const response = await fetch(`${this.url}${target}`, {
      method,
      headers: { authorization: BASIC, ...(body ? { "content-type": type ?? "" } : {}) },
      ...(body ? { body: new Uint8Array(body) } : {}),
    });
    if (!response.ok) throw new Error(`${method} ${target}: ${response.status} ${await response.text()}`);
    return response;
  }
}
