/** The `drydock` command's entry: parses, runs one subcommand, and turns what was thrown into an exit code. */
import { CommanderError } from "commander";
import { Exit, exitCodeOf, failureText } from "./exit.ts";
import { program } from "./program.ts";

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
