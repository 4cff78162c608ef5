/**
 * Containers carry their place in Kubernetes in their Docker name, in the form the kubelet used with
 * Docker: `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`; the sandbox's container is "POD". None of
 * the parts can hold an underscore, so the name reads back without doubt. The name and not a label is
 * the identity, because a running container can be renamed: a sandbox started ahead becomes a Pod's.
 */

export const SANDBOX = "POD";

export interface ContainerName {
  /** The container's name in the Pod, or SANDBOX. */
  container: string;
  pod: string;
  namespace: string;
  uid: string;
  attempt: number;
}

export function formatContainerName(name: ContainerName): string {
  return ["k8s", name.container, name.pod, name.namespace, name.uid, String(name.attempt)].join("_");
}

/** undefined when the name is not one of ours. Docker's leading slash is allowed. */
export function parseContainerName(text: string): ContainerName | undefined {
  const parts = text.replace(/^\//, "").split("_");
  const [prefix, container, pod, namespace, uid, attempt] = parts;
  if (
    parts.length !== 6 ||
    prefix !== "k8s" ||
    !container ||
    !pod ||
    !namespace ||
    !uid ||
    !/^\d+$/.test(attempt ?? "")
  ) {
    return undefined;
  }
  return { container, pod, namespace, uid, attempt: Number(attempt) };
}

const POOL = /^\/?drydock-sandbox-pool-/;

/** Sandboxes started ahead, not yet any Pod's. */
export function isPooledSandbox(name: string): boolean {
  return POOL.test(name);
}

export function pooledSandboxName(unique: string): string {
  return `drydock-sandbox-pool-${unique}`;
}
