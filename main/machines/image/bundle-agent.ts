/** A program of its own, `node bundle-agent.ts ENTRY OUTPUT`: a bundler's memory is not for a process that stays. */
import { rename, writeFile } from "node:fs/promises";
import { rolldown } from "rolldown";

/** Parts of dockerode that the agent never reaches (ssh and BuildKit sessions) would be most of the bundle. */
const LEFT_OUT = /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs|cpu-features)(\/|$)/;
/** Optional native helpers of ws: it does without when requiring them fails, and only then. */
const ABSENT = /^(bufferutil|utf-8-validate)$/;

const [entry, output] = process.argv.slice(2);
if (entry === undefined || output === undefined) throw new Error("usage: bundle-agent.ts ENTRY OUTPUT");
const build = await rolldown({
  input: entry,
  platform: "node",
  logLevel: "silent",
  plugins: [
    {
      name: "left-out",
      resolveId: (source) =>
        LEFT_OUT.test(source)
          ? { id: `\0left-out:${source}` }
          : ABSENT.test(source)
            ? { id: `\0absent:${source}` }
            : undefined,
      load: (id) => {
        if (id.startsWith("\0left-out:")) return "module.exports = {};";
        return id.startsWith("\0absent:")
          ? 'throw new Error("not part of the agent"); module.exports = {};'
          : undefined;
      },
    },
  ],
});
try {
  // V8 keeps the text as long as the agent lives. Whitespace and comments go; names stay, for the traces in logs.
  const minify = { compress: false, mangle: false, codegen: { removeWhitespace: true } } as const;
  const bundle = await build.generate({ format: "cjs", minify, codeSplitting: false, sourcemap: false });
  const making = `${output}.${process.pid}`;
  await writeFile(making, ascii(bundle.output[0].code));
  await rename(making, output);
} finally {
  await build.close();
}

/** One character above U+00FF makes V8 keep the whole text with two bytes a character. They stand in strings and patterns only. */
function ascii(code: string): string {
  return code.replaceAll(/[^\0-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
