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

/** grpc.health.v1.Health/Check on port 50051: "slow" serves once /tmp/serves is there, "down" never, all others at once. */
export const GRPC_HEALTH = `
const { existsSync } = require("node:fs");
const server = require("node:http2").createServer();
server.on("stream", (stream) => {
  const body = [];
  stream.on("data", (part) => body.push(part));
  stream.on("end", () => {
    const message = Buffer.concat(body).subarray(5);
    const service = message.length > 2 ? message.subarray(2).toString() : "";
    const serves = service === "slow" ? existsSync("/tmp/serves") : service !== "down";
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

/** UDP and TCP on port 7777: answers with the Pod's name and the client's address. */
export const WHO = `
const name = process.env.HOSTNAME;
const udp = require("node:dgram").createSocket("udp4");
udp.on("message", (_, from) => udp.send(name + " " + from.address + "\\n", from.port, from.address));
udp.bind(7777);
require("node:net").createServer((socket) => {
  socket.on("error", () => undefined);
  socket.end(name + " " + socket.remoteAddress.replace("::ffff:", "") + "\\n");
}).listen(7777);
process.on("SIGTERM", () => process.exit(0));
`;

/**
 * A registry on 127.0.0.1:5055 of the node, whose images lie in the way that their names say; and on 5056, where the user
 * "captain" is asked for, with the password "anchor".
 */
export const REGISTRY = `
const { createHash } = require("node:crypto");
const { gzipSync } = require("node:zlib");
const sha = (bytes) => "sha256:" + createHash("sha256").update(bytes).digest("hex");
function tar(name, content, mode) {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(mode + "\\0", 100);
  header.write("0000000\\0", 108);
  header.write("0000000\\0", 116);
  header.write(content.length.toString(8).padStart(11, "0") + "\\0", 124);
  header.write("00000000000\\0", 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\\0" + "00", 257);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(sum.toString(8).padStart(6, "0") + "\\0 ", 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512 + 1024)]);
}
const blobs = new Map();
const put = (bytes, as) => (blobs.set(as || sha(bytes), bytes), as || sha(bytes));
const busybox = require("node:fs").readFileSync("/host/busybox");
const plain = tar("bin/busybox", busybox, "0000755");
const OK = {
  architecture: "amd64", os: "linux",
  config: { Entrypoint: ["/bin/busybox"], Cmd: ["echo", "ahoy"] },
  rootfs: { type: "layers", diff_ids: [sha(plain)] },
};
function manifest({ layer = gzipSync(plain), config = JSON.stringify(OK), layerAs, configAs } = {}) {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: { mediaType: "application/vnd.docker.container.image.v1+json", size: config.length, digest: put(Buffer.from(config), configAs) },
    layers: [{ mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", size: layer.length, digest: put(layer, layerAs) }],
  });
}
const images = {
  "private/app": manifest(),
  "lies/layer": manifest({ layer: Buffer.from("this is no archive at all, whatever its type says") }),
  "lies/digest": manifest({ layer: gzipSync(plain, { level: 1 }), layerAs: sha(Buffer.from("something else")) }),
  "lies/config": manifest({ config: "{ not json" }),
  "lies/platform": manifest({ config: JSON.stringify({ ...OK, architecture: "s390x" }) }),
  "lies/content": manifest({ config: JSON.stringify({ ...OK, rootfs: { type: "layers", diff_ids: [sha(Buffer.from("other"))] } }) }),
  "lies/manifest": "<html>503 Service Unavailable</html>",
  "lies/empty": manifest({ config: JSON.stringify({ ...OK, config: {} }) }),
};
const basic = "Basic " + Buffer.from("captain:anchor").toString("base64");
function answer(request, response) {
  const send = (code, body, headers = {}) => {
    response.writeHead(code, { "Docker-Distribution-Api-Version": "registry/2.0", "Content-Length": Buffer.byteLength(body), ...headers });
    response.end(request.method === "HEAD" ? undefined : body);
  };
  const [, name, kind, reference] = /^\\/v2\\/(.+)\\/(manifests|blobs)\\/(.+)$/.exec(request.url) || [];
  const closed = request.socket.localPort === 5056;
  if (closed && request.headers.authorization !== basic)
    return send(401, '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', { "WWW-Authenticate": 'Basic realm="harbour"' });
  if (!name) return send(200, "{}");
  const body = kind === "manifests" ? images[name] : blobs.get(reference);
  if (body === undefined) return send(404, '{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}');
  const type = kind === "manifests" ? "application/vnd.docker.distribution.manifest.v2+json" : "application/octet-stream";
  send(200, body, { "Content-Type": type, ...(kind === "manifests" ? { "Docker-Content-Digest": sha(body) } : {}) });
}
const listen = (port) => new Promise((resolve) => require("node:http").createServer(answer).listen(port, "127.0.0.1", resolve));
Promise.all([listen(5055), listen(5056)]).then(() => console.log("open"));
process.on("SIGTERM", () => process.exit(0));
`;
