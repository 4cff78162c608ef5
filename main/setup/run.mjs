/** Running other programs during set-up: shown, timed, and never silent about failure. */
import { spawn, spawnSync } from "node:child_process";

const bold = (/** @type {string} */ text) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);

/** Says what is about to happen. @param {string} text */
export function say(text) {
  console.log(`${bold("drydock")} ${text}`);
}

/** Seconds since `start`, for people: "4.2 s". @param {number} start from performance.now() */
export function elapsed(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/**
 * Runs a program to its end and throws when it fails, with its last lines.
 * @param {string} command @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, show?: boolean, cwd?: string, timeoutMillis?: number }} [options] show: let its output through
 * @returns {Promise<void>}
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: options.show ? "inherit" : ["ignore", "pipe", "pipe"],
      timeout: options.timeoutMillis,
    });
    /** @type {string[]} */
    const tail = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (data) => {
        tail.push(...String(data).split("\n").filter(Boolean));
        tail.splice(0, tail.length - 15);
      });
    }
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      reject(new Error([`\`${command} ${args.join(" ")}\` ${how}`, ...tail.map((line) => `    ${line}`)].join("\n")));
    });
  });
}

/** True when the command runs and succeeds within ten seconds. @param {string} command @param {string[]} args */
export function succeeds(command, args) {
  return spawnSync(command, args, { stdio: "ignore", timeout: 10_000 }).status === 0;
}

/**
 * Replaces this process as far as Node can: same terminal, same exit code, signals passed on.
 * @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env]
 */
export function become(command, args, env = process.env) {
  const child = spawn(command, args, { stdio: "inherit", env });
  // A terminal sends Ctrl-C to the whole group: the child has it already and decides what it means.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`drydock: cannot run ${command}: ${error.message}`);
    process.exit(1);
  });
  child.on("close", (code, signal) => process.exit(signal ? 128 + (signal === "SIGINT" ? 2 : 15) : (code ?? 1)));
}
