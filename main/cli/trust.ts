/** `drydock trust`: what the engine could not do itself is done with sudo where somebody sits at the terminal. */
import { spawn } from "node:child_process";
import type { DataOptions } from "./clusters.ts";
import { print, printJSON } from "./output.ts";
import { clusterNamed, withEngine } from "./session.ts";

export function trust(name: string | undefined, options: DataOptions & { undo?: boolean }): Promise<void> {
  const undo = options.undo ?? false;
  return withEngine(async (client) => {
    const cluster = (await clusterNamed(client, name)).name;
    const report = await client.clusters.trust({ cluster, undo });
    if (options.output === "json") return printJSON(report);
    for (const store of report.done) print(`${store}: ${undo ? "no longer trusts it" : "trusts it"}`);
    for (const { store, why, commands } of report.left) {
      const asked = process.stdin.isTTY && commands.every((command) => command.startsWith("sudo "));
      if (asked) {
        process.stderr.write(`${store}: ${why}; sudo may ask for your password\n`);
        if (await allWell(commands)) {
          print(`${store}: ${undo ? "no longer trusts it" : "trusts it"}`);
          continue;
        }
      }
      print(
        `${store}: not changed (${why}). To do it yourself:\n${commands.map((command) => `  ${command}`).join("\n")}`,
      );
      process.exitCode = 1;
    }
    if (report.done.length + report.left.length === 0)
      print(`no store of authorities was found; the certificate is ${report.certificate}`);
    else if (!undo) process.stderr.write("browsers that are open may have to be started again\n");
  });
}

async function allWell(commands: string[]): Promise<boolean> {
  for (const command of commands) {
    const code = await new Promise<number>((resolve) => {
      const child = spawn("sh", ["-c", command], { stdio: "inherit" });
      child.once("error", () => resolve(1));
      child.once("close", (code) => resolve(code ?? 1));
    });
    if (code !== 0) return false;
  }
  return true;
}
