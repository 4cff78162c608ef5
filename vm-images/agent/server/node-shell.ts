/**
 * A login shell on the node itself. It runs by way of a privileged container that enters the node's namespaces, so that Docker
 * gives it a terminal that can be resized; the container is made when the first shell is opened.
 */
import type { ExecStreams, Runtime } from "../runtime/runtime.ts";
import { plainSandbox } from "../kubelet/container-config.ts";

const NAME = "drydock-node-shell";
const IMAGE = "drydock.local/busybox:1";

let making: Promise<string> | undefined;

async function makeContainer(runtime: Runtime): Promise<string> {
  const id = await runtime.create(NAME, {
    ...plainSandbox("node-shell"),
    image: IMAGE,
    entrypoint: ["sleep", "2147483647"],
    command: [],
    network: "host",
    ipc: "host",
    pid: "host",
    privileged: true,
    capabilitiesDrop: [],
    securityOptions: [],
    readOnlyRootFilesystem: false,
    resources: { oomScoreAdjust: 0 },
    hostname: undefined,
  } as Parameters<Runtime["create"]>[1]);
  await runtime.start(id);
  return id;
}

async function shellContainer(runtime: Runtime): Promise<string> {
  const present = await runtime.inspect(NAME);
  if (present?.state === "running") return present.id;
  if (present) await runtime.remove(present.id);
  making ??= makeContainer(runtime).finally(() => (making = undefined));
  return making;
}

export async function openNodeShell(runtime: Runtime): Promise<ExecStreams> {
  const id = await shellContainer(runtime);
  const command = ["busybox", "nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--", "/bin/bash", "-l"];
  return runtime.exec(id, {
    command,
    tty: true,
    stdin: true,
    env: [
      "TERM=xterm-256color",
      "HOME=/root",
      "LANG=C.UTF-8",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
    ],
  });
}
