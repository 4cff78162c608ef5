/** From a server's complaint to the line it is about. */
import { describe, expect, it } from "vitest";
import { parseFieldPath, parseManifest, problemsOf } from "./yaml-lines.ts";

const TEXT = `# two documents
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
    - name: http
      port: 80
    - name: admin
      port: 99999
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app.kubernetes.io/name: web
spec:
  replicas: -1
`;

describe("places", () => {
  const manifest = parseManifest(TEXT);
  it.each([
    [0, "spec.ports[1].port", 11],
    [0, "spec.ports[admin].port", 11],
    [0, "spec.ports[0].nodePort", 8],
    [0, "spec.type", 6],
    [1, "spec.replicas", 20],
    [1, "metadata.labels[app.kubernetes.io/name]", 18],
    [1, "spec.template.spec.containers", 19],
    [1, "", 13],
  ])("document %i, %s is at line %i", (index, path, line) => {
    expect(manifest.locate(index, path).line).toBe(line);
  });
  it("knows its documents", () => {
    expect(manifest.documents.map((document) => [document.object.kind, document.line])).toEqual([
      ["Service", 2],
      ["Deployment", 13],
    ]);
    expect(manifest.problems).toEqual([]);
  });
});

describe("problems", () => {
  it("stand at the fields the server names", () => {
    const manifest = parseManifest(TEXT);
    const problems = problemsOf(manifest, 1, "invalid", [
      { reason: "FieldValueInvalid", field: "spec.replicas", message: "must not be negative" },
    ]);
    expect(problems).toMatchObject([{ line: 20, message: "spec.replicas: must not be negative" }]);
  });
  it("are found in the message of strict decoding", () => {
    const manifest = parseManifest(TEXT.replace("replicas", "replcas"));
    expect(problemsOf(manifest, 1, 'strict decoding error: unknown field "spec.replcas"', [])).toMatchObject([
      { line: 20 },
    ]);
  });
  it("stand at the document's head when no field is named", () => {
    expect(problemsOf(parseManifest(TEXT), 1, "exceeded quota", [])).toMatchObject([
      { line: 13, message: "exceeded quota" },
    ]);
  });
  it.each([
    ["kind: Pod\nmetadata: {name: a}\n", "apiVersion is missing."],
    ["- a\n- b\n", "A manifest is a mapping"],
    ["apiVersion: v1\nkind: Pod\nmetadata: {}\n", "metadata.name is missing."],
    ["apiVersion: v1\nkind: [\n", "Flow sequence"],
    ["apiVersion: v1\nkind: Pod\nkind: Pod\nmetadata: {name: a}\n", "Map keys must be unique"],
  ])("tell what is no manifest: %j", (text, message) => {
    expect(parseManifest(text).problems[0]?.message).toContain(message);
  });
  it("leave out empty documents", () => {
    expect(parseManifest("---\n# nothing\n---\n").documents).toEqual([]);
  });
});

describe("field paths", () => {
  it("split into keys, indices and quoted keys", () => {
    expect(parseFieldPath('spec.a[0].b["x.y/z"].c')).toEqual(["spec", "a", 0, "b", "x.y/z", "c"]);
  });
});
