/** From a container of a Pod to what the runtime makes it from; and the same for the Pod's sandbox. Pure. */
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { ContainerConfig, Device, ImageDetail, Mount } from "../runtime/runtime.ts";
import { containerHash, LABEL_BACKOFF, LABEL_HASH } from "./decide.ts";
import { LABEL_GENERATION } from "./restart-all.ts";
import type { StartAction } from "./decide.ts";
import { expandAll, ContainerConfigError } from "./env.ts";
import { podCgroup } from "./pod-cgroup.ts";
import { containerResources } from "./resources.ts";
import { isHostNetwork, podUid } from "./pod.ts";
import { LABEL_MESSAGE_POLICY } from "./termination-message.ts";

export const PAUSE_IMAGE = "drydock.local/pause:1";

export interface ContainerInput {
  pod: Pod;
  action: StartAction;
  sandboxId: string;
  environment: string[];
  mounts: Mount[];
  devices: Device[];
  image: ImageDetail;
  nodeMemoryBytes: number;
  /** The seccomp profile of the node that it asks for, as text. */
  seccomp?: string | undefined;
  /** The container whose process namespace an ephemeral container asks to share. */
  targetId: string | undefined;
}

type PodSecurity = NonNullable<NonNullable<Pod["spec"]>["securityContext"]>;
type ContainerSecurity = NonNullable<Container["securityContext"]>;

function labels(pod: Pod, container: string): Record<string, string> {
  return {
    "io.kubernetes.pod.name": pod.metadata.name ?? "",
    "io.kubernetes.pod.namespace": pod.metadata.namespace ?? "",
    "io.kubernetes.pod.uid": podUid(pod),
    "io.kubernetes.container.name": container,
  };
}

export function hostnameOf(pod: Pod): string {
  const name = pod.spec?.hostname ?? pod.metadata.name ?? "";
  return name.slice(0, 63).replace(/[-.]+$/, "");
}

/** The container that holds the Pod's network, IPC and (when shared) process namespaces. */
export function sandboxConfig(pod: Pod): ContainerConfig {
  const sysctls = Object.fromEntries(
    (pod.spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value]),
  );
  return {
    ...plainSandbox(hostnameOf(pod)),
    labels: labels(pod, "POD"),
    network: isHostNetwork(pod) ? "host" : "none",
    ipc: pod.spec?.hostIPC ? "host" : "shareable",
    ...(isHostNetwork(pod) ? { hostname: undefined } : {}),
    ...(pod.spec?.hostPID ? { pid: "host" } : {}),
    ...(Object.keys(sysctls).length > 0 ? { sysctls } : {}),
  } as ContainerConfig;
}

export function plainSandbox(hostname: string): ContainerConfig {
  return {
    image: PAUSE_IMAGE,
    hostname,
    env: [],
    labels: {},
    tty: false,
    stdin: false,
    stdinOnce: false,
    mounts: [],
    network: "none",
    ipc: "shareable",
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilitiesAdd: [],
    capabilitiesDrop: ["ALL"],
    securityOptions: ["seccomp=unconfined", "no-new-privileges"],
    resources: { oomScoreAdjust: -998, cpuShares: 2 },
  };
}

export function containerConfig(input: ContainerInput): ContainerConfig {
  const { pod, action, sandboxId, environment, image } = input;
  const { spec } = action;
  const podSecurity: PodSecurity = pod.spec?.securityContext ?? {};
  const security: ContainerSecurity = spec.securityContext ?? {};
  const user = userOf(podSecurity, security, image);
  const groups = [
    ...new Set([
      ...(podSecurity.supplementalGroups ?? []),
      ...(podSecurity.fsGroup === undefined ? [] : [podSecurity.fsGroup]),
    ]),
  ].map(String);
  const command = expandAll(spec.command, environment);
  const args = expandAll(spec.args, environment);
  const sharesProcesses = pod.spec?.shareProcessNamespace ? `container:${sandboxId}` : undefined;
  const pid = pod.spec?.hostPID ? "host" : input.targetId ? `container:${input.targetId}` : sharesProcesses;
  return {
    image: image.id,
    // With a command of its own the container takes nothing from the image's CMD.
    ...(command && command.length > 0
      ? { entrypoint: command, command: args ?? [] }
      : args && args.length > 0
        ? { command: args }
        : {}),
    ...(spec.workingDir ? { workingDir: spec.workingDir } : {}),
    env: withHostname(environment, isHostNetwork(pod) ? (pod.spec?.nodeName ?? "") : hostnameOf(pod)),
    ...(user === undefined ? {} : { user }),
    groups,
    labels: {
      ...labels(pod, spec.name),
      [LABEL_HASH]: containerHash(spec),
      [LABEL_BACKOFF]: String(action.backoffSeconds),
      ...(action.generation === undefined ? {} : { [LABEL_GENERATION]: String(action.generation) }),
      "io.kubernetes.container.kind": action.kind,
      "io.kubernetes.image": spec.image ?? "",
      ...(spec.terminationMessagePolicy ? { [LABEL_MESSAGE_POLICY]: spec.terminationMessagePolicy } : {}),
    },
    tty: spec.tty ?? false,
    stdin: spec.stdin ?? false,
    stdinOnce: spec.stdinOnce ?? false,
    mounts: input.mounts,
    devices: input.devices,
    network: `container:${sandboxId}`,
    ipc: pod.spec?.hostIPC ? "host" : `container:${sandboxId}`,
    ...(pid === undefined ? {} : { pid }),
    privileged: security.privileged ?? false,
    readOnlyRootFilesystem: security.readOnlyRootFilesystem ?? false,
    capabilitiesAdd: (security.capabilities?.add ?? []).map(String),
    capabilitiesDrop: (security.capabilities?.drop ?? []).map(String),
    securityOptions: securityOptions(podSecurity, security, input.seccomp),
    ...(security.procMount === "Unmasked" ? { unmaskedProc: true } : {}),
    resources: containerResources(pod, spec, input.nodeMemoryBytes),
    cgroupParent: podCgroup(podUid(pod)),
  };
}

function withHostname(environment: string[], hostname: string): string[] {
  return environment.some((pair) => pair.startsWith("HOSTNAME="))
    ? environment
    : [...environment, `HOSTNAME=${hostname}`];
}

/** "uid[:gid]"; undefined leaves it to the image. Throws when the Pod must not run as root and would. */
function userOf(podSecurity: PodSecurity, security: ContainerSecurity, image: ImageDetail): string | undefined {
  const uid = security.runAsUser ?? podSecurity.runAsUser;
  const gid = security.runAsGroup ?? podSecurity.runAsGroup;
  const nonRoot = security.runAsNonRoot ?? podSecurity.runAsNonRoot ?? false;
  const [imageUser = ""] = image.user.split(":");
  if (nonRoot && uid === undefined) {
    if (imageUser === "" || imageUser === "0" || imageUser === "root")
      throw new ContainerConfigError("container has runAsNonRoot and image will run as root");
    if (!/^\d+$/.test(imageUser)) {
      throw new ContainerConfigError(
        `container has runAsNonRoot and image has non-numeric user (${imageUser}), cannot verify user is non-root`,
      );
    }
  }
  if (nonRoot && uid === 0) throw new ContainerConfigError("container's runAsUser breaks non-root policy");
  if (uid === undefined && gid === undefined) return undefined;
  const name = uid === undefined ? imageUser || "0" : String(uid);
  return gid === undefined ? name : `${name}:${gid}`;
}

/** Kubernetes leaves a container unconfined unless it asks for a profile. */
function securityOptions(
  podSecurity: PodSecurity,
  security: ContainerSecurity,
  profileText: string | undefined,
): string[] {
  const profile = security.seccompProfile ?? podSecurity.seccompProfile;
  const seccomp = profile?.type === "Localhost" ? `seccomp=${profileText ?? ""}` : "seccomp=unconfined";
  return [
    ...(security.privileged || profile?.type === "RuntimeDefault" ? [] : [seccomp]),
    ...(security.allowPrivilegeEscalation === false ? ["no-new-privileges"] : []),
  ];
}
