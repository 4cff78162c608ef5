/**
 * What a node's image is made of, as data. `main/machines/image` builds it; changing anything here (or any file
 * under node/ and initrd/) makes another version of the image.
 */

export const SUITE = "trixie";

/** Debian packages of the node itself, without recommendations. */
export const NODE_PACKAGES = [
  // The container runtime. crun starts a container in a fraction of runc's time on an emulated processor.
  "docker.io",
  "docker-cli",
  "crun",
  // Networking, done by the agent.
  "nftables",
  "iproute2",
  "conntrack",
  // Tools for the agent and for people in a node's shell.
  "util-linux",
  "procps",
  "kmod",
  "busybox-static",
  "e2fsprogs",
  "ca-certificates",
  "nfs-common",
  // The sandbox's process.
  "catatonit",
  "linux-image-cloud-amd64",
  // The way in under Lima: SSH, and its end at the agent's socket. Neither runs elsewhere.
  "dropbear-bin",
  "socat",
  // Unpacks the one kernel module that the initrd needs.
  "xz-utils",
];

/** Paths removed from the node: documentation, and programs that nobody calls. */
export const NODE_REMOVED = [
  "usr/share/doc",
  "usr/share/man",
  "usr/share/locale",
  "usr/share/info",
  "usr/share/lintian",
  "usr/lib/udev/hwdb.d",
  "usr/lib/udev/hwdb.bin",
  "usr/bin/ctr",
  "usr/bin/containerd-shim",
  "usr/bin/containerd-shim-runc-v1",
  "usr/sbin/docker-proxy",
  "usr/bin/crun-wasm",
  "usr/lib/x86_64-linux-gnu/libcrun.a",
  "usr/lib/x86_64-linux-gnu/gconv",
  "var/lib/apt/lists",
  "var/cache/apt",
  "var/log/apt",
  "boot/initrd.img*",
];

export interface SampleImage {
  name: string;
  /** Extracted, not configured: dependencies come along. */
  packages: string[];
  /** Only these files of the packages, under these paths: [from, to]. Absent: all but `removed`. */
  only?: [string, string][];
  /** Links and files made in the image. */
  links: [string, string][];
  files: [string, string, number][];
  directories: [string, number][];
  removed: string[];
  config: {
    Entrypoint?: string[];
    Cmd?: string[];
    Env?: string[];
    WorkingDir?: string;
    StopSignal?: string;
    ExposedPorts?: Record<string, object>;
  };
  /** Every busybox applet that a shell user expects gets its link. */
  busybox: boolean;
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ROOT_USER: [string, string, number][] = [
  [
    "etc/passwd",
    "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nredis:x:999:999:redis:/data:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    0o644,
  ],
  ["etc/group", "root:x:0:\nwww-data:x:33:\nredis:x:999:\nnogroup:x:65534:\n", 0o644],
  ["etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n", 0o644],
];
const MERGED_USR: [string, string][] = [
  ["bin", "usr/bin"],
  ["sbin", "usr/sbin"],
  ["lib", "usr/lib"],
  ["lib64", "usr/lib64"],
];
const FOLDERS: [string, number][] = [
  ["tmp", 0o1777],
  ["root", 0o700],
  ["proc", 0o755],
  ["sys", 0o755],
  ["dev", 0o755],
  ["run", 0o755],
  ["var/tmp", 0o1777],
  ["var/log", 0o755],
  ["home", 0o755],
];
const BLOAT = [
  "usr/share/doc",
  "usr/share/man",
  "usr/share/locale",
  "usr/share/info",
  "usr/share/lintian",
  "usr/share/perl5",
  "usr/share/pixmaps",
  "usr/lib/x86_64-linux-gnu/gconv",
  "var/cache",
  "var/lib/apt",
  "var/lib/dpkg",
];

const NGINX_CONF = `user www-data;
worker_processes 1;
daemon off;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 512; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  sendfile on;
  keepalive_timeout 65;
  access_log /dev/stdout;
  include /etc/nginx/conf.d/*.conf;
}
`;
const NGINX_DEFAULT = `server {
  listen 80 default_server;
  server_name _;
  root /usr/share/nginx/html;
  index index.html;
}
`;

// The dynamic busybox: the static one cannot look names up (glibc loads its resolvers at run time).
/** Small images under honest names, so that a cluster is of use without a network. All of it is from Debian. */
export const SAMPLE_IMAGES: SampleImage[] = [
  {
    name: "drydock.local/pause:1",
    packages: ["catatonit"],
    only: [["usr/bin/catatonit", "pause"]],
    links: [],
    files: [],
    directories: [["tmp", 0o1777]],
    removed: [],
    busybox: false,
    config: { Entrypoint: ["/pause", "-P"] },
  },
  {
    name: "drydock.local/busybox:1",
    packages: ["busybox"],
    links: MERGED_USR,
    files: ROOT_USER,
    directories: [...FOLDERS, ["usr/sbin", 0o755]],
    removed: BLOAT,
    busybox: true,
    config: { Cmd: ["sh"], Env: [PATH] },
  },
  {
    name: "drydock.local/nginx:1",
    packages: ["nginx", "busybox"],
    links: MERGED_USR,
    files: [
      ...ROOT_USER,
      ["etc/nginx/nginx.conf", NGINX_CONF, 0o644],
      ["etc/nginx/conf.d/default.conf", NGINX_DEFAULT, 0o644],
      [
        "usr/share/nginx/html/index.html",
        "<!doctype html>\n<title>nginx</title>\n<h1>It works</h1>\n<p>nginx in a Drydock cluster.</p>\n",
        0o644,
      ],
    ],
    directories: [...FOLDERS, ["var/lib/nginx", 0o755], ["var/log/nginx", 0o755], ["var/cache/nginx", 0o755]],
    removed: BLOAT,
    busybox: true,
    config: { Cmd: ["nginx"], Env: [PATH], StopSignal: "SIGQUIT", ExposedPorts: { "80/tcp": {} } },
  },
  {
    name: "drydock.local/redis:1",
    packages: ["redis-server", "busybox"],
    links: MERGED_USR,
    files: ROOT_USER,
    directories: [...FOLDERS, ["data", 0o777]],
    removed: [...BLOAT, "usr/share/gcc", "usr/share/gdb", "usr/lib/systemd"],
    busybox: true,
    config: {
      Cmd: ["redis-server", "--protected-mode", "no", "--dir", "/data"],
      Env: [PATH],
      WorkingDir: "/data",
      ExposedPorts: { "6379/tcp": {} },
    },
  },
];

/** Virtual size of the image's file system; a node's own disk is larger, and the agent grows the file system into it. */
export const IMAGE_BYTES = 3 * 1024 ** 3;

/** The kernel's command line: the console is a log, a panic restarts, nothing is slowed by mitigations inside a local machine. */
export const KERNEL_APPEND =
  "console=ttyS0 quiet loglevel=4 panic=5 mitigations=off audit=0 random.trust_cpu=on cgroup_no_v1=all tsc=reliable no_timer_check";
