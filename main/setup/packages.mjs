/** What a Debian machine needs beyond Node and npm, and what for: the one list that set-up, docs and messages use. */

/**
 * @typedef {{ name: string, why: string, provides: string[], for: ("app" | "test" | "compile")[] }} DebianPackage
 * `provides`: files of which one must exist for the package to count as there.
 */

/** @type {DebianPackage[]} */
export const debianPackages = [
  {
    name: "qemu-system-x86",
    why: "runs the nodes as virtual machines",
    provides: ["/usr/bin/qemu-system-x86_64"],
    for: ["app", "test"],
  },
  {
    name: "qemu-utils",
    why: "makes the nodes' disks (qemu-img)",
    provides: ["/usr/bin/qemu-img"],
    for: ["app", "test"],
  },
  {
    name: "mmdebstrap",
    why: "builds the node image from Debian packages",
    provides: ["/usr/bin/mmdebstrap"],
    for: ["app", "test"],
  },
  {
    name: "e2fsprogs",
    why: "puts a file system on the node image (mke2fs)",
    provides: ["/usr/sbin/mke2fs", "/sbin/mke2fs"],
    for: ["app", "test"],
  },
  { name: "g++", why: "compiles node-pty, the terminals' native part", provides: ["/usr/bin/g++"], for: ["compile"] },
  { name: "make", why: "compiles node-pty, the terminals' native part", provides: ["/usr/bin/make"], for: ["compile"] },
  {
    name: "python3",
    why: "compiles node-pty (node-gyp is written for it)",
    provides: ["/usr/bin/python3", "/usr/local/bin/python3"],
    for: ["compile"],
  },
  {
    name: "chromium",
    why: "the browser that the window's tests drive",
    provides: ["/usr/bin/chromium"],
    for: ["test"],
  },
  {
    name: "docker-registry",
    why: "the registry that tests of pulling and of the image cache ask",
    provides: ["/usr/bin/docker-registry"],
    for: ["test"],
  },
  {
    name: "libnss3-tools",
    why: "certutil: a browser's store of authorities, for the test of trusting one",
    provides: ["/usr/bin/certutil"],
    for: ["test"],
  },
  {
    name: "uidmap",
    why: "lets the node image be built without root",
    provides: ["/usr/bin/newuidmap"],
    for: ["app", "test"],
  },
  {
    name: "fonts-dejavu-core",
    why: "letters for the window's tests",
    provides: ["/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"],
    for: ["test"],
  },
];
