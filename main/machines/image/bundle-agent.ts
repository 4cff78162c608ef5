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
  const bundle = await build.generate({ format: "cjs", minify: false, codeSplitting: false, sourcemap: false });
  const making = `${output}.${process.pid}`;
  await writeFile(making, bundle.output[0].code);
  await rename(making, output);
} finally {
  await build.close();
}
