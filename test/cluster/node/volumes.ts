/** Pods and their volumes: what is in them, who may read it, and what becomes of it. */
import assert from "node:assert/strict";
import { isReady, once, sh, status, until } from "./case.ts";
import type { PodCase } from "./case.ts";

export const VOLUMES: PodCase[] = [
  {
    name: "made-of-files",
    metadata: { labels: { app: "files" }, annotations: { note: "as it was" } },
    with: [
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "files" },
        data: { "a.txt": "first", "b.txt": "second" },
      },
      { apiVersion: "v1", kind: "Secret", metadata: { name: "files" }, stringData: { key: "s3cret" } },
    ],
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", {
          volumeMounts: [
            { name: "all", mountPath: "/all" },
            { name: "map", mountPath: "/one/a.txt", subPath: "a.txt" },
          ],
          resources: { limits: { memory: "64Mi" } },
        }),
      ],
      volumes: [
        { name: "map", configMap: { name: "files" } },
        {
          name: "all",
          projected: {
            sources: [
              { configMap: { name: "files", items: [{ key: "a.txt", path: "deep/a.txt", mode: 0o400 }] } },
              { configMap: { name: "files", items: [{ key: "b.txt", path: "b.txt" }] } },
              { secret: { name: "files" } },
              {
                downwardAPI: {
                  items: [
                    { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
                    { path: "note", fieldRef: { fieldPath: "metadata.annotations['note']" } },
                    {
                      path: "memory",
                      resourceFieldRef: { containerName: "main", resource: "limits.memory", divisor: "1Mi" },
                    },
                  ],
                },
              },
              { serviceAccountToken: { path: "token", audience: "somebody", expirationSeconds: 700 } },
            ],
          },
        },
      ],
    },
    settled: isReady,
    async check({ kubectl }) {
      const read = async (script: string): Promise<string> =>
        (await kubectl("exec", "made-of-files", "--", "sh", "-c", script)).stdout;
      assert.equal(
        await read("cd /all; cat deep/a.txt b.txt key labels note memory; stat -L -c %a deep/a.txt; cat /one/a.txt"),
        'firstseconds3cretapp="files"as it was64400\nfirst',
      );
      const claims = (await read("cat /all/token")).split(".")[1] ?? "";
      assert.deepEqual((JSON.parse(Buffer.from(claims, "base64url").toString()) as { aud: string[] }).aud, [
        "somebody",
      ]);
      const before = await read("readlink /all/..data");
      await kubectl("patch", "configmap", "files", "-p", JSON.stringify({ data: { "b.txt": "changed" } }));
      await kubectl("annotate", "--overwrite", "pod", "made-of-files", "note=as it is");
      await until(
        "the changed files",
        () => read("cat /all/b.txt /all/note"),
        (text) => text === "changedas it is",
      );
      assert.notEqual(await read("readlink /all/..data"), before);
      assert.equal(await read("cat /one/a.txt"), "first");
    },
  },
  {
    name: "scratch",
    extra: true,
    spec: once(
      "grep ' /mem ' /proc/mounts; df -k /mem | tail -1; echo x > /disk/x; ls -ld /disk; cat /sub/$MY_NAME; ls /root-of-it",
      {
        env: [{ name: "MY_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
        volumeMounts: [
          { name: "mem", mountPath: "/mem" },
          { name: "disk", mountPath: "/disk" },
          { name: "disk", mountPath: "/sub", subPathExpr: "$(MY_NAME)/inner" },
          { name: "disk", mountPath: "/root-of-it" },
        ],
      },
      {
        initContainers: [
          sh("mkdir -p /disk/scratch/inner; echo found > /disk/scratch/inner/scratch", {
            name: "before",
            volumeMounts: [{ name: "disk", mountPath: "/disk" }],
          }),
        ],
        volumes: [
          { name: "mem", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } },
          { name: "disk", emptyDir: {} },
        ],
      },
    ),
    async check({ logs }) {
      const text = await logs();
      assert.match(text, /tmpfs/);
      assert.match(text, / 8192 /);
      assert.match(text, /drwxrwxrwx/);
      assert.match(text, /found\nscratch\nx\n/);
    },
  },
  {
    name: "of-the-host",
    extra: true,
    spec: once(
      "cat /machine-id; ls -d /made; test -b /vda && echo block; test -S /docker.sock && echo socket; touch /ro/x",
      {
        volumeMounts: [
          { name: "file", mountPath: "/machine-id" },
          { name: "made", mountPath: "/made" },
          { name: "block", mountPath: "/vda" },
          { name: "socket", mountPath: "/docker.sock" },
          { name: "made", mountPath: "/ro", readOnly: true },
        ],
      },
      {
        volumes: [
          { name: "file", hostPath: { path: "/etc/machine-id", type: "File" } },
          { name: "made", hostPath: { path: "/var/lib/case/made", type: "DirectoryOrCreate" } },
          { name: "block", hostPath: { path: "/dev/vda", type: "BlockDevice" } },
          { name: "socket", hostPath: { path: "/var/run/docker.sock", type: "Socket" } },
        ],
      },
    ),
    async check({ logs }) {
      assert.match(await logs(), /^[0-9a-f]{32}\n\/made\nblock\nsocket\n.*Read-only file system\n$/);
    },
  },
  {
    name: "not-there",
    extra: true,
    spec: once(
      "true",
      { volumeMounts: [{ name: "v", mountPath: "/v" }] },
      { volumes: [{ name: "v", hostPath: { path: "/no/such", type: "Directory" } }] },
    ),
    settled: (pod) =>
      status(pod).state?.waiting?.reason === "ContainerCreating" &&
      Date.now() - Date.parse(pod.status?.startTime ?? "") > 12_000,
    async check({ told }) {
      await told(
        /^FailedMount: MountVolume\.SetUp failed for volume "v" : hostPath type check failed: \/no\/such is not a directory/,
      );
    },
  },
];
