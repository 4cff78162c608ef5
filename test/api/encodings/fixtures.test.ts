/** The API's own fixtures, as Debian packages them: each kind as JSON, YAML and protobuf, equal in content. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseYaml } from "../../../common/kube/codec/json.ts";
import { decodeProtobuf, encodeProtobuf } from "../../../common/kube/codec/protobuf.ts";
import { factsFor } from "../../../common/kube/facts/index.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { builtinResources } from "../../../main/control-plane/resources/index.ts";
import { debianPackageIfAny } from "../../tools/debian-package.ts";

interface Fixture {
  group: string;
  version: string;
  kind: string;
  json: KubeObject;
  yaml: Buffer;
  protobuf: Buffer;
}

/** Kinds that are no objects of a stable group: what only travels beside them, and what webhooks are sent. */
const OTHERS =
  /^(admission\.k8s\.io|apidiscovery\.k8s\.io|imagepolicy\.k8s\.io)$|^(APIGroup|APIVersions|Status|WatchEvent|\w+Options)$/;

function readFixtures(folder: string): Fixture[] {
  return readdirSync(folder).flatMap((name) => {
    const [, group = "", version = "", kind = ""] = /^(.*)\.(v\d\w*)\.(\w+)\.json$/.exec(name) ?? [];
    if (kind === "" || !/^v\d+$/.test(version) || OTHERS.test(kind) || OTHERS.test(group)) return [];
    const read = (extension: string): Buffer => readFileSync(path.join(folder, name.replace(/json$/, extension)));
    const json = JSON.parse(read("json").toString()) as KubeObject;
    return [{ group: group === "core" ? "" : group, version, kind, json, yaml: read("yaml"), protobuf: read("pb") }];
  });
}

const PACKAGE = "golang-k8s-api-dev";
const folder = await debianPackageIfAny(PACKAGE, "sid");

describe.skipIf(folder === undefined)(`the fixtures of Debian's ${PACKAGE}`, () => {
  const fixtures = folder ? readFixtures(path.join(folder, "usr/share/gocode/src/k8s.io/api/testdata/HEAD")) : [];

  it("covers every built-in kind of a stable version", () => {
    const covered = new Set(fixtures.map(({ group, version, kind }) => `${group}/${version}/${kind}`));
    const missing = builtinResources()
      .filter(
        ({ group, version }) =>
          /^v\d+$/.test(version) && !["apiextensions.k8s.io", "apiregistration.k8s.io"].includes(group),
      )
      .map(({ group, version, kind }) => `${group}/${version}/${kind}`)
      .filter((kind) => !covered.has(kind));
    expect(missing).toEqual([]);
    expect(fixtures.length).toBeGreaterThanOrEqual(65);
  });

  it("has facts of every fixture's kind", () => {
    expect(fixtures.filter((fixture) => !factsFor(fixture)).map(({ group, kind }) => `${group}/${kind}`)).toEqual([]);
  });

  it("decodes protobuf to the JSON", () => {
    for (const { json, protobuf } of fixtures) expect(decodeProtobuf(protobuf)).toEqual(json);
  });

  it("reads YAML as the JSON", () => {
    for (const { json, yaml } of fixtures) expect(parseYaml(yaml).value).toEqual(json);
  });

  it("encodes back without loss, to the byte but for their order", () => {
    for (const { json, protobuf } of fixtures) {
      const encoded = encodeProtobuf(json);
      expect(decodeProtobuf(encoded)).toEqual(json);
      expect(Buffer.compare(encoded.toSorted(), protobuf.toSorted())).toBe(0);
    }
  });
});
