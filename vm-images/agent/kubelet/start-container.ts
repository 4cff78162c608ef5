/** Starts one container of a Pod: image, environment, volumes, creation, start, postStart hook. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Container, Pod } from "../../../common/kube/types.ts";
import { describeError } from "../log.ts";
import { monotonicNow } from "../monotonic.ts";
import { formatContainerName } from "../runtime/names.ts";
import type { RegistryCredentials } from "../runtime/runtime.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { VolumeError } from "../volumes/payload.ts";
import type { PayloadSources } from "../volumes/payload.ts";
import { containerConfig } from "./container-config.ts";
import type { KubeletContext } from "./context.ts";
import type { StartAction } from "./decide.ts";
import type { NodeFacts } from "./downward.ts";
import { ContainerConfigError, containerEnvironment } from "./env.ts";
import { runHandler } from "./handlers.ts";
import { endTogether, preparePodCgroup } from "./pod-cgroup.ts";
import { ImageError } from "./images.ts";
import { credentialsFor } from "./pull-secrets.ts";
import { latest, podUid, viewOf } from "./pod.ts";

/** Why a container was not started: reason and message of its waiting state, and when (monotonic.ts) to try again. */
export interface Waiting {
  reason: string;
  message: string;
  retryAt: number;
}

const CONFIG_RETRY = 5_000;
/** Where every kubelet has them. */
const SECCOMP_PROFILES = "/var/lib/kubelet/seccomp";
/** A hook may take long; it must not take for ever. */
const HOOK_DEADLINE = 10 * 60_000;

export function factsFor(context: KubeletContext, podIP: string | undefined): NodeFacts {
  const { node } = context;
  return { nodeName: node.name, hostIP: node.address, podIP, cpuMilli: node.cpuMilli, memoryBytes: node.memoryBytes };
}

export function payloadSources(context: KubeletContext, pod: Pod, podIP: string | undefined): PayloadSources {
  const namespace = pod.metadata.namespace ?? "";
  const ref = { namespace, name: pod.metadata.name ?? "", uid: podUid(pod) };
  return {
    configMap: (name) => context.objects.configMap(namespace, name),
    secret: (name) => context.objects.secret(namespace, name),
    claim: (name) => context.objects.claim(namespace, name),
    persistentVolume: (name) => context.objects.persistentVolume(name),
    token: (audience, seconds) =>
      context.objects.token(ref, pod.spec?.serviceAccountName || "default", audience, seconds),
    facts: factsFor(context, podIP),
  };
}

function containerPath(action: StartAction): string {
  const list =
    action.kind === "regular" ? "containers" : action.kind === "ephemeral" ? "ephemeralContainers" : "initContainers";
  return `spec.${list}{${action.spec.name}}`;
}

/** undefined when it runs; else why it waits. Throws only what is nobody's expectation. */
export async function startContainer(
  context: KubeletContext,
  pod: Pod,
  action: StartAction,
  sandboxId: string,
  podIP: string,
): Promise<Waiting | undefined> {
  const { runtime, cache, events, images, log } = context;
  const { spec } = action;
  const path = containerPath(action);
  const event = (type: "Normal" | "Warning", reason: string, message: string): void =>
    events.pod(pod, type, reason, message, path);
  const namespace = pod.metadata.namespace ?? "";
  const begin = performance.now();

  let id: string;
  try {
    const image = await images.ensure(podUid(pod), spec, await pullCredentials(context, pod, spec.image ?? ""), event);
    const environment = await containerEnvironment(pod, spec, {
      configMap: (name) => context.objects.configMap(namespace, name),
      secret: (name) => context.objects.secret(namespace, name),
      services: () => context.services(namespace),
      facts: factsFor(context, podIP),
    });
    const volumes = await context.volumes.setUp(pod, payloadSources(context, pod, podIP));
    const mounts = await context.volumes.mounts(pod, spec, action.attempt, volumes, environment);
    const newest = latest(viewOf(cache.ofPod(podUid(pod))));
    const target = (spec as { targetContainerName?: string }).targetContainerName;
    const config = containerConfig({
      pod,
      action,
      sandboxId,
      environment,
      mounts,
      devices: context.volumes.devices(spec, volumes),
      image,
      seccomp: await seccompProfile(pod, spec),
      nodeMemoryBytes: context.node.memoryBytes,
      targetId: target ? newest.get(target)?.id : undefined,
    });
    const name = formatContainerName({
      container: spec.name,
      pod: pod.metadata.name ?? "",
      namespace,
      uid: podUid(pod),
      attempt: action.attempt,
    });
    const unstarted = newest.get(spec.name);
    if (unstarted?.name?.attempt === action.attempt) {
      await runtime.remove(unstarted.id);
      await cache.refresh(unstarted.id);
    }
    await preparePodCgroup(pod, context.node.memoryBytes);
    id = await runtime.create(name, config);
  } catch (error) {
    return waitingFor(error, event, (message) => events.pod(pod, "Warning", "FailedMount", message));
  }
  event("Normal", "Created", `Container created`);
  const created = performance.now();
  try {
    await runtime.start(id);
  } catch (error) {
    const message = describeError(error);
    await cache.refresh(id);
    event("Warning", "Failed", `Error: ${message}`);
    // It has ended before it began (StartError); whether there is another attempt is for the restart policy.
    return undefined;
  }
  await endTogether(pod, id);
  const container = await cache.refresh(id);
  event("Normal", "Started", `Container started`);
  log.info(
    "pod",
    `${namespace}/${pod.metadata.name}: ${spec.name} started (create ${Math.round(created - begin)} ms, start ${Math.round(performance.now() - created)} ms)`,
  );

  const hook = spec.lifecycle?.postStart;
  if (hook && container) {
    const outcome = await runHandler(hook, { runtime, containerId: id, container: spec, podIP }, HOOK_DEADLINE);
    if (!outcome.success) {
      event("Warning", "FailedPostStartHook", `PostStartHook failed: ${outcome.message}`);
      event("Normal", "Killing", `FailedPostStartHook`);
      context.killer.kill(container, spec, podIP, pod.spec?.terminationGracePeriodSeconds ?? 30, () => undefined);
    }
  }
  return undefined;
}

/** The text of a profile of type Localhost, which lies on the node. */
async function seccompProfile(pod: Pod, container: Container): Promise<string | undefined> {
  const profile = container.securityContext?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile;
  if (profile?.type !== "Localhost") return undefined;
  const path = join(SECCOMP_PROFILES, profile.localhostProfile ?? "");
  try {
    return JSON.stringify(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    throw new RuntimeError(`cannot load seccomp profile "${path}": ${describeError(error)}`, 0);
  }
}

function waitingFor(
  error: unknown,
  event: (type: "Normal" | "Warning", reason: string, message: string) => void,
  mountFailed: (message: string) => void,
): Waiting {
  const message = describeError(error);
  if (error instanceof ImageError) {
    const words: Record<ImageError["reason"], string | undefined> = {
      ErrImagePull: undefined,
      ImagePullBackOff: "ImagePullBackOff",
      ErrImageNeverPull: "ErrImageNeverPull",
      InvalidImageName: "InvalidImageName",
    };
    const word = words[error.reason];
    if (word) event("Warning", "Failed", `Error: ${word === "ErrImageNeverPull" ? `ErrImageNeverPull` : word}`);
    return { reason: error.reason, message, retryAt: error.retryAt };
  }
  const retryAt = monotonicNow() + CONFIG_RETRY;
  if (error instanceof VolumeError) {
    mountFailed(`MountVolume.SetUp failed ${message}`);
    return { reason: "ContainerCreating", message: "", retryAt };
  }
  if (error instanceof ContainerConfigError) {
    event("Warning", "Failed", `Error: ${message}`);
    return { reason: "CreateContainerConfigError", message, retryAt };
  }
  if (error instanceof RuntimeError) {
    event("Warning", "Failed", `Error: ${message}`);
    return { reason: "CreateContainerError", message, retryAt };
  }
  throw error;
}

/** What opens the image's registry, from the Pod's imagePullSecrets. Says which of them are not there. */
async function pullCredentials(context: KubeletContext, pod: Pod, image: string): Promise<RegistryCredentials[]> {
  const names = (pod.spec?.imagePullSecrets ?? []).flatMap(({ name }) => name || []);
  const found = await Promise.all(
    names.map(async (name) => [name, await context.objects.secret(pod.metadata.namespace ?? "", name)] as const),
  );
  const missing = found.flatMap(([name, secret]) => (secret ? [] : [name]));
  if (missing.length > 0) {
    context.events.pod(
      pod,
      "Warning",
      "FailedToRetrieveImagePullSecret",
      `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`,
    );
  }
  try {
    return credentialsFor(
      image,
      found.flatMap(([, secret]) => secret ?? []),
    );
  } catch (error) {
    throw new ImageError("ErrImagePull", describeError(error), monotonicNow() + CONFIG_RETRY);
  }
}
