/** Pods that mean no good, or do not know what they do: what must become of each, told in events or in its status. */
import { sh } from "../node/case.ts";

export interface BadPod {
  name: string;
  spec: object;
  /** What its status and events, as one text, come to say. */
  says: RegExp;
}

const one = (container: object, more: object = {}): object => ({
  terminationGracePeriodSeconds: 1,
  containers: [{ ...sh("sleep 600"), ...container }],
  ...more,
});
const emptyDir = { volumes: [{ name: "v", emptyDir: {} }] };

/** Taken by the API server, and impossible for a node. */
export const MALFORMED: BadPod[] = [
  {
    name: "no-directory",
    spec: one({ workingDir: "/dev/null/x" }),
    says: /StartError|RunContainerError|not a directory/i,
  },
  {
    name: "way-out",
    spec: one(
      { volumeMounts: [{ name: "v", mountPath: "/v", subPath: "link/etc" }] },
      {
        ...emptyDir,
        initContainers: [{ ...sh("ln -s / /v/link"), name: "first", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
      },
    ),
    says: /leads out of its volume/,
  },
  {
    name: "no-such-sysctl",
    spec: one({}, { securityContext: { sysctls: [{ name: "net.ipv4.no_such_thing", value: "1" }] } }),
    says: /FailedCreatePodSandBox/,
  },
  {
    name: "no-config",
    spec: one({ envFrom: [{ configMapRef: { name: "none" } }] }),
    says: /configmap \\?"none\\?" not found/,
  },
  { name: "not-a-program", spec: one({ command: ["/etc/passwd"] }), says: /StartError|permission denied/i },
  {
    name: "no-volume",
    spec: one(
      { volumeMounts: [{ name: "v", mountPath: "/v" }] },
      { volumes: [{ name: "v", hostPath: { path: "/etc/hostname", type: "Directory" } }] },
    ),
    says: /hostPath type check failed: \/etc\/hostname is not a directory/,
  },
  {
    name: "no-profile",
    spec: one({ securityContext: { seccompProfile: { type: "Localhost", localhostProfile: "none.json" } } }),
    says: /cannot load seccomp profile/,
  },
];

const image = (name: string, more: object = {}, port = 5055): object =>
  one(
    { image: `127.0.0.1:${port}/${name}:1`, command: undefined, imagePullPolicy: "Always" },
    { restartPolicy: "Never", ...more },
  );

/** From the registry of programs.ts. */
export const LYING: BadPod[] = [
  { name: "lies-layer", spec: image("lies/layer"), says: /ErrImagePull|ImagePullBackOff/ },
  { name: "lies-digest", spec: image("lies/digest"), says: /ErrImagePull|ImagePullBackOff/ },
  { name: "lies-config", spec: image("lies/config"), says: /ErrImagePull|ImagePullBackOff/ },
  { name: "lies-content", spec: image("lies/content"), says: /ErrImagePull|ImagePullBackOff/ },
  { name: "lies-manifest", spec: image("lies/manifest"), says: /ErrImagePull|ImagePullBackOff/ },
  { name: "lies-empty", spec: image("lies/empty"), says: /CreateContainerError|no command specified/ },
  {
    name: "private-stranger",
    spec: image("private/app", {}, 5056),
    says: /authentication required|unauthorized|no basic auth/i,
  },
  {
    name: "private-friend",
    spec: image("private/app", { imagePullSecrets: [{ name: "harbour" }] }, 5056),
    says: /Succeeded/,
  },
];

/** Comes when the image is there, by another's login. */
export const GUEST: BadPod = {
  name: "private-guest",
  spec: image("private/app", {
    containers: [{ name: "main", image: "127.0.0.1:5056/private/app:1", imagePullPolicy: "IfNotPresent" }],
  }),
  says: /authentication required|unauthorized|no basic auth/i,
};

export const PULL_SECRET = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "harbour" },
  type: "kubernetes.io/dockerconfigjson",
  stringData: {
    ".dockerconfigjson": JSON.stringify({ auths: { "127.0.0.1:5056": { username: "captain", password: "anchor" } } }),
  },
};
