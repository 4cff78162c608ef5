/**
 * Small servers for the tables' Pods. No image here has a language in it, but every node has Node.js: a busybox container borrows
 * it, and the libraries that it needs, from its node.
 */
import { IMAGE } from "./case.ts";

type Fields = Record<string, unknown>;

const LIBRARIES = "/usr/lib/x86_64-linux-gnu";

export const nodeVolumes = [
  { name: "program", hostPath: { path: "/usr/lib/drydock/node", type: "File" } },
  { name: "libraries", hostPath: { path: LIBRARIES, type: "Directory" } },
];

/** A container that runs a script of JavaScript; its Pod has `nodeVolumes`. */
export function javascript(script: string, more: Fields = {}): Fields {
  const { volumeMounts = [], env = [], ...rest } = more as { volumeMounts?: object[]; env?: object[] };
  return {
    name: "main",
    image: IMAGE,
    command: ["/host/node", "-e", script],
    env: [{ name: "LD_LIBRARY_PATH", value: "/host/lib" }, ...env],
    volumeMounts: [
      { name: "program", mountPath: "/host/node", readOnly: true },
      { name: "libraries", mountPath: "/host/lib", readOnly: true },
      ...volumeMounts,
    ],
    ...rest,
  };
}

/** grpc.health.v1.Health/Check on port 50051: "slow" serves from the third question on, "down" never, all others at once. */
export const GRPC_HEALTH = `
const asked = {};
const server = require("node:http2").createServer();
server.on("stream", (stream) => {
  const body = [];
  stream.on("data", (part) => body.push(part));
  stream.on("end", () => {
    const message = Buffer.concat(body).subarray(5);
    const service = message.length > 2 ? message.subarray(2).toString() : "";
    asked[service] = (asked[service] || 0) + 1;
    const serves = service === "down" ? false : service !== "slow" || asked.slow > 2;
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serves ? 1 : 2]));
  });
  stream.on("error", () => undefined);
});
server.on("sessionError", () => undefined);
server.listen(50051);
process.on("SIGTERM", () => process.exit(0));
`;
