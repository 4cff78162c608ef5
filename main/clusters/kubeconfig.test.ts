import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { toFailure } from "./failure.ts";
import { mergeKubeconfig, mergedInto, removedFrom, unmergeKubeconfig, userKubeconfig } from "./kubeconfig.ts";

const credentials = {
  server: "https://127.0.0.1:4000",
  ca: Buffer.from("ca"),
  cert: Buffer.from("cert"),
  key: Buffer.from("key"),
};
const other = `# my clusters
apiVersion: v1
kind: Config
clusters:
  - name: work # do not touch
    cluster: {server: "https://work:6443"}
contexts:
  - name: work
    context: {cluster: work, user: me, namespace: mine}
users:
  - name: me
    user: {token: abc}
current-context: work
preferences: {colors: true}
`;

interface Parsed {
  clusters: { name: string }[];
  contexts: { name: string }[];
  "current-context": string;
  preferences?: unknown;
}

describe("mergedInto", () => {
  it("adds the context, makes it current, and keeps everything else with its comments", () => {
    const merged = mergedInto(other, "drydock-lab", credentials, true);
    const parsed = parse(merged) as Parsed;
    expect(parsed.clusters.map((entry) => entry.name)).toEqual(["work", "drydock-lab"]);
    expect(parsed["current-context"]).toBe("drydock-lab");
    expect(parsed.preferences).toEqual({ colors: true });
    expect(merged).toContain("# my clusters");
    expect(merged).toContain("# do not touch");
  });

  it("replaces an entry of the same name, once", () => {
    const twice = mergedInto(
      mergedInto(other, "drydock-lab", credentials, true),
      "drydock-lab",
      { ...credentials, server: "https://127.0.0.1:5000" },
      true,
    );
    expect((parse(twice) as Parsed).clusters).toHaveLength(2);
    expect(twice).toContain(":5000");
    expect(twice).not.toContain(":4000");
  });

  it("begins a new file, and fills lists that kubectl left null", () => {
    expect((parse(mergedInto("", "drydock-lab", credentials, true)) as Parsed).contexts).toHaveLength(1);
    expect(
      (
        parse(
          mergedInto("apiVersion: v1\nkind: Config\nclusters: null\ncontexts: []\n", "drydock-lab", credentials, true),
        ) as Parsed
      ).clusters,
    ).toHaveLength(1);
  });

  it.each([
    ["clusters: [", /Flow sequence/],
    ["- a list", /not a mapping/],
    ["kind: Pod", /kind is Pod/],
    ["clusters: {a: b}", /clusters is not a list/],
    ["just text", /not a mapping/],
  ])("refuses %j", (content, message) => {
    expect(() => mergedInto(content, "drydock-lab", credentials, true)).toThrow(message);
  });
});

describe("removedFrom", () => {
  it("takes our entries out and nothing else", () => {
    const merged = mergedInto(other, "drydock-lab", credentials, true);
    const removed = removedFrom(merged, "drydock-lab", credentials.server) as string;
    expect((parse(removed) as Parsed).clusters.map((entry) => entry.name)).toEqual(["work"]);
    expect((parse(removed) as Parsed)["current-context"]).toBe("");
  });

  it("leaves a context of our name that leads elsewhere, and files it cannot read", () => {
    expect(
      removedFrom(mergedInto(other, "drydock-lab", credentials, true), "drydock-lab", "https://elsewhere"),
    ).toBeUndefined();
    expect(removedFrom("clusters: [", "drydock-lab", credentials.server)).toBeUndefined();
  });
});

describe("the user's file", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "drydock-kube-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("is the first of $KUBECONFIG", () => {
    expect(userKubeconfig({ KUBECONFIG: `${path.delimiter}/a${path.delimiter}/b` })).toBe("/a");
    expect(userKubeconfig({})).toMatch(/\.kube\/config$/);
  });

  it("is made private, written through a link, and given back as it was", async () => {
    const real = path.join(folder, "real");
    const link = path.join(folder, "deep", "config");
    await mergeKubeconfig("lab", credentials, link);
    expect((await stat(link)).mode & 0o777).toBe(0o600);
    await rm(link);
    await writeFile(real, other);
    await symlink(real, link);
    await mergeKubeconfig("lab", credentials, link);
    expect(await readFile(real, "utf8")).toContain("drydock-lab");
    await unmergeKubeconfig("lab", credentials.server, link);
    expect(await readFile(real, "utf8")).not.toContain("drydock-lab");
    expect(await readdir(path.join(folder, "deep"))).toEqual(["config"]);
  });

  it("is refused and left alone when malformed", async () => {
    const file = path.join(folder, "config");
    await writeFile(file, "clusters: [");
    const code = await mergeKubeconfig("lab", credentials, file).then(
      () => "none",
      (error: unknown) => toFailure(error).code,
    );
    expect(code).toBe("KUBECONFIG_MALFORMED");
    expect(await readFile(file, "utf8")).toBe("clusters: [");
  });
});
