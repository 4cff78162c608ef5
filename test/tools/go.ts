/** Programs in Go for tests: built with the `go` that there is, against the Kubernetes client that Debian packages. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { debianPackageIfAny } from "./debian-package.ts";

const run = promisify(execFile);
const CACHE = path.resolve(import.meta.dirname, "../../.cache");
const BUILD_MILLIS = 900_000;

/** client-go, and of what it needs the part that our programs import: 12 MB to fetch. */
const CLIENT = "golang-k8s-client-go-dev";
const NEEDED = [
  ...["api", "apimachinery", "klog", "kube-openapi", "streaming", "utils"].map((name) => `golang-k8s-${name}-dev`),
  ...["json", "randfill", "structured-merge-diff-v6", "yaml"].map((name) => `golang-k8s-sigs-${name}-dev`),
  ...["net", "oauth2", "sys", "term", "text", "time"].map((name) => `golang-golang-x-${name}-dev`),
  ...["inf.v0", "yaml.v2", "yaml.v3"].map((name) => `golang-gopkg-${name}-dev`),
  ...[
    "davecgh-go-spew",
    "fxamacker-cbor",
    "go-logr-logr",
    "go-openapi-jsonpointer",
    "go-openapi-jsonreference",
    "go-openapi-swag",
    "gogo-protobuf",
    "golang-protobuf-1-5",
    "google-gnostic-models",
    "google-uuid",
    "josharian-intern",
    "json-iterator-go",
    "mailru-easyjson",
    "modern-go-concurrent",
    "modern-go-reflect2",
    "munnerz-goautoneg",
    "pmezard-go-difflib",
    "spf13-pflag",
    "x448-float16",
  ].map((name) => `golang-github-${name}-dev`),
  "golang-google-protobuf-dev",
];

/** The first build takes about a minute of two cores: it is made where all is to be run, and used wherever it is there. */
const wanted = (): boolean => process.env["DRYDOCK_RUNS"] === "all" || existsSync(path.join(CACHE, "go-build"));

/**
 * Path of the program that the source file makes; undefined, which is told, where there is no `go` or the packages
 * cannot be had: those who need it are to be skipped by name. What was built stays in .cache.
 * Throws what the compiler says.
 */
export async function goProgram(source: string): Promise<string | undefined> {
  if (!wanted()) {
    process.stderr.write("skipped: nothing of it was built yet (DRYDOCK_RUNS=all builds it)\n");
    return undefined;
  }
  try {
    await run("go", ["version"]);
  } catch {
    process.stderr.write("skipped: there is no go (Debian: golang-go)\n");
    return undefined;
  }
  const folder = await debianPackageIfAny(CLIENT, "sid", NEEDED);
  if (folder === undefined) return undefined;
  const program = path.join(CACHE, "go", path.basename(source, ".go"));
  await mkdir(path.dirname(program), { recursive: true });
  await run("go", ["build", "-trimpath", "-o", program, source], {
    timeout: BUILD_MILLIS,
    env: {
      ...process.env,
      GO111MODULE: "off",
      GOPATH: path.join(folder, "usr", "share", "gocode"),
      GOCACHE: path.join(CACHE, "go-build"),
      GOTOOLCHAIN: "local",
      GOFLAGS: "",
      CGO_ENABLED: "0",
    },
  });
  return program;
}
