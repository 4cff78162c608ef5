/** The `drydock` command's entry: parses, runs one subcommand, and turns what was thrown into an exit code. */
import { CommanderError } from "commander";
import { Exit, exitCodeOf, failureText } from "./exit.ts";
import { program } from "./program.ts";

// Whoever reads may have seen enough (`drydock list | head`): an end, not a failure. A control plane goes on unread.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (process.argv[2] !== "control-plane") process.exit(Exit.readerGone);
  });
}

const root = program();
const everyCommand = [root, ...root.commands, ...root.commands.flatMap((command) => command.commands)];
for (const command of everyCommand) command.exitOverride();
try {
  await root.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? Exit.ok : Exit.usage;
  else {
    process.stderr.write(`${failureText(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
