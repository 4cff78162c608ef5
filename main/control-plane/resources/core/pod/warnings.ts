/** Legal but doubtful input in Pods and templates, as `Warning` headers. */
import type { Container, PodSpec } from "../../../../../common/kube/types.ts";

const deprecatedNodeLabels: Record<string, string> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

function duplicates(values: string[]): string[] {
  return values.filter((value, index) => values.indexOf(value) < index);
}

/** `field` is where the spec stands. */
export function podWarnings(spec: PodSpec, field: string): string[] {
  const warnings: string[] = [];
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    if (deprecatedNodeLabels[key]) warnings.push(`${field}.nodeSelector[${key}]: ${deprecatedNodeLabels[key]}`);
  }
  (spec.volumes ?? []).forEach((volume, index) => {
    if (volume.gitRepo) warnings.push(`${field}.volumes[${index}].gitRepo: deprecated in v1.11`);
  });
  (spec.imagePullSecrets ?? []).forEach(({ name }, index) => {
    if (!name) warnings.push(`${field}.imagePullSecrets[${index}].name: invalid empty name ""`);
  });
  for (const part of ["initContainers", "containers"] as const) {
    (spec[part] ?? []).forEach((container, index) => {
      warnings.push(...containerWarnings(container, `${field}.${part}[${index}]`));
    });
  }
  return warnings;
}

function containerWarnings(container: Container, path: string): string[] {
  const warnings: string[] = [];
  const names = (container.env ?? []).map(({ name }) => name);
  for (const name of new Set(duplicates(names))) {
    warnings.push(
      `${path}.env[${names.lastIndexOf(name)}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`,
    );
  }
  const ports = (container.ports ?? []).map(
    (port) => `${port.containerPort}/${port.protocol ?? "TCP"}/${port.hostPort ?? ""}`,
  );
  ports.forEach((port, index) => {
    const first = ports.indexOf(port);
    if (first < index) warnings.push(`${path}.ports[${index}]: duplicate port definition with ${path}.ports[${first}]`);
  });
  const memory = String(container.resources?.requests?.["memory"] ?? "");
  if (memory.endsWith("m")) {
    warnings.push(
      `${path}.resources.requests[memory]: fractional byte value ${JSON.stringify(memory)} is invalid, must be an integer`,
    );
  }
  return warnings;
}
