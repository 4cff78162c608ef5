/** A real NFS server for tests: Debian's nfs-ganesha as a container image, and the objects that run it in a Pod behind a Service. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { writeSampleImage } from "../../../main/machines/image/sample-image.ts";
import { SUITE } from "../../../vm-images/recipe.ts";
import type { SampleImage } from "../../../vm-images/recipe.ts";
import type { KubeObject } from "../../../common/kube/object.ts";

const CACHE = path.resolve(import.meta.dirname, "../../../.cache");
const BUILD_MILLIS = 300_000;

/** NFS 4 alone on its one port: neither rpcbind nor D-Bus is there, and it does without. */
const CONFIG = `
NFS_CORE_PARAM { Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; allow_set_io_flusher_fail = true; }
NFSv4 { Graceless = true; Only_Numeric_Owners = true; RecoveryBackend = fs; Minor_Versions = 1, 2; }
EXPORT {
  Export_Id = 1; Path = /export; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
  FSAL { Name = VFS; }
}
`;

const IMAGE: SampleImage = {
  name: "drydock.test/nfs-ganesha:1",
  packages: ["nfs-ganesha", "nfs-ganesha-vfs", "busybox"],
  links: [
    ["bin", "usr/bin"],
    ["sbin", "usr/sbin"],
    ["lib", "usr/lib"],
    ["lib64", "usr/lib64"],
    ["var/run", "/run"],
  ],
  files: [
    ["etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644],
    ["etc/group", "root:x:0:\n", 0o644],
    ["etc/ganesha/ganesha.conf", CONFIG, 0o644],
  ],
  directories: [
    ["export", 0o777],
    ["tmp", 0o1777],
    ["run", 0o755],
    ["run/ganesha", 0o755],
    ["var/lib/nfs/ganesha", 0o755],
    ["var/log/ganesha", 0o755],
  ],
  removed: [
    "usr/share",
    "usr/bin/perl",
    "usr/bin/perl5.40.1",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/systemd",
    "var/lib/dpkg",
    "var/cache",
  ],
  busybox: true,
  config: { Cmd: ["ganesha.nfsd", "-F", "-L", "STDOUT"], Env: ["PATH=/usr/sbin:/usr/bin"] },
};

/** The image as an archive for `drydock image load`: built once, from Debian's packages. */
export async function nfsServerImage(): Promise<string> {
  const recipe = createHash("sha256")
    .update(JSON.stringify([SUITE, IMAGE]))
    .digest("hex")
    .slice(0, 12);
  const archive = path.join(CACHE, `nfs-ganesha-${recipe}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(path.join(CACHE, "nfs-ganesha-"));
  try {
    const packages = path.join(work, "packages.tar");
    const mode = process.getuid?.() === 0 ? "root" : "unshare";
    const include = `--include=${IMAGE.packages.join(",")}`;
    const apt = ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"'];
    await promisify(execFile)(
      "mmdebstrap",
      ["--quiet", "--variant=extract", `--mode=${mode}`, "--format=tar", ...apt, include, SUITE, packages],
      { timeout: BUILD_MILLIS },
    );
    const made = path.join(work, "image.tar");
    await writeSampleImage(IMAGE, packages, made);
    await rename(made, archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return archive;
}

/** The server's Pod, and its Service, whose address PersistentVolumes may name. */
export function nfsServer(namespace: string, node: string): KubeObject[] {
  const labels = { app: "nfs" };
  return [
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "nfs", namespace, labels },
      spec: {
        nodeName: node,
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: "export", emptyDir: {} }],
        containers: [
          {
            name: "main",
            image: IMAGE.name,
            // It opens files by their handles.
            securityContext: { privileged: true },
            volumeMounts: [{ name: "export", mountPath: "/export" }],
            readinessProbe: { tcpSocket: { port: 2049 }, periodSeconds: 1 },
          },
        ],
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "nfs", namespace },
      spec: { selector: labels, ports: [{ port: 2049 }] },
    },
  ] as unknown as KubeObject[];
}
