/** Containers of a Pod: names, images, ports, environment, resources; probes and mounts are next door. */
import {
  configMapKeyProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  envVarNameProblems,
  portNameProblems,
} from "../../../../../common/kube/names.ts";
import type { Container, PodSpec } from "../../../../../common/kube/types.ts";
import { addressProblems, portNumberProblems } from "../numbers.ts";
import type { Problems } from "../problems.ts";
import { validateLifecycle, validateProbes } from "./probes.ts";
import { validateResizePolicy, validateResources } from "./resources.ts";
import { validateSecurityContext } from "./security.ts";
import type { VolumeFacts } from "./volumes.ts";
import { validateMounts } from "./volumes.ts";

const protocols = ["SCTP", "TCP", "UDP"];
const pullPolicies = ["Always", "IfNotPresent", "Never"];
const messagePolicies = ["FallbackToLogsOnError", "File"];
const envFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const envResources = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];

type EnvVar = NonNullable<Container["env"]>[number];
type Port = NonNullable<Container["ports"]>[number];

/** Containers, init containers and ephemeral containers share one space of names. */
export function validateContainers(spec: PodSpec, volumes: VolumeFacts, field: string, problems: Problems): void {
  const names = new Set<string>();
  const containers = spec.containers ?? [];
  if (containers.length === 0) problems.required(`${field}.containers`);
  const hostPorts = new Set<string>();
  containers.forEach((container, index) => {
    const path = `${field}.containers[${index}]`;
    one(container, { path, spec, volumes, names }, problems);
    uniqueHostPorts(container, hostPorts, path, problems);
    validateLifecycle(container.lifecycle, spec, `${path}.lifecycle`, problems);
    validateProbes(container, path, problems);
  });
  (spec.initContainers ?? []).forEach((container, index) => {
    const path = `${field}.initContainers[${index}]`;
    one(container, { path, spec, volumes, names }, problems);
    const { restartPolicy } = container;
    if (restartPolicy === "Always") {
      uniqueHostPorts(container, hostPorts, path, problems);
      validateLifecycle(container.lifecycle, spec, `${path}.lifecycle`, problems);
      validateProbes(container, path, problems);
      return;
    }
    if (restartPolicy !== undefined && !["Never", "OnFailure"].includes(restartPolicy)) {
      problems.notSupported(`${path}.restartPolicy`, restartPolicy, ["Always"]);
    }
    for (const part of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const) {
      if (container[part] !== undefined) {
        problems.forbidden(`${path}.${part}`, "may not be set for init containers without restartPolicy=Always");
      }
    }
  });
  (spec.ephemeralContainers ?? []).forEach((container, index) => {
    const path = `${field}.ephemeralContainers[${index}]`;
    one(container as Container, { path, spec, volumes, names }, problems);
    for (const part of ["ports", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const) {
      if (container[part] !== undefined)
        problems.forbidden(`${path}.${part}`, "cannot be set for an Ephemeral Container");
    }
    if (container.targetContainerName && !containers.some(({ name }) => name === container.targetContainerName)) {
      problems.notFound(`${path}.targetContainerName`, container.targetContainerName);
    }
  });
}

interface Place {
  path: string;
  spec: PodSpec;
  volumes: VolumeFacts;
  names: Set<string>;
}

function one(container: Container, place: Place, problems: Problems): void {
  const { path, spec, volumes, names } = place;
  if (!container.name) {
    problems.required(`${path}.name`);
  } else {
    problems.invalidAll(`${path}.name`, container.name, dnsLabelProblems(container.name));
    if (names.has(container.name)) problems.duplicate(`${path}.name`, container.name);
    names.add(container.name);
  }
  if (!container.image) problems.required(`${path}.image`);
  else if (container.image.trim() !== container.image) {
    problems.invalid(`${path}.image`, container.image, "must not have leading or trailing whitespace");
  }
  problems.oneOf(`${path}.terminationMessagePolicy`, container.terminationMessagePolicy, messagePolicies);
  if (container.image || container.imagePullPolicy) {
    problems.oneOf(`${path}.imagePullPolicy`, container.imagePullPolicy, pullPolicies);
  }
  ports(container.ports ?? [], spec, `${path}.ports`, problems);
  (container.env ?? []).forEach((variable, index) => environment(variable, `${path}.env[${index}]`, problems));
  (container.envFrom ?? []).forEach((source, index) => environmentFrom(source, `${path}.envFrom[${index}]`, problems));
  validateMounts(container, volumes, path, problems);
  const claims = (spec.resourceClaims ?? []).map((claim) => claim.name);
  validateResources(container.resources, `${path}.resources`, problems, claims);
  validateResizePolicy(container.resizePolicy, `${path}.resizePolicy`, problems);
  validateSecurityContext(container.securityContext, `${path}.securityContext`, problems);
}

function ports(list: Port[], spec: PodSpec, field: string, problems: Problems): void {
  const names = new Set<string>();
  list.forEach((port, index) => {
    const path = `${field}[${index}]`;
    if (port.name) {
      const wrong = portNameProblems(port.name);
      problems.invalidAll(`${path}.name`, port.name, wrong);
      if (wrong.length === 0 && names.has(port.name)) problems.duplicate(`${path}.name`, port.name);
      names.add(port.name);
    }
    if (!port.containerPort) problems.required(`${path}.containerPort`);
    else problems.invalidAll(`${path}.containerPort`, port.containerPort, portNumberProblems(port.containerPort));
    if (port.hostPort) {
      problems.invalidAll(`${path}.hostPort`, port.hostPort, portNumberProblems(port.hostPort));
      if (spec.hostNetwork && port.hostPort !== port.containerPort) {
        problems.invalid(`${path}.hostPort`, port.hostPort, "must match `containerPort` when `hostNetwork` is true");
      }
    }
    if (port.hostIP) problems.invalidAll(`${path}.hostIP`, port.hostIP, addressProblems(port.hostIP));
    problems.oneOf(`${path}.protocol`, port.protocol, protocols);
  });
}

function uniqueHostPorts(container: Container, seen: Set<string>, path: string, problems: Problems): void {
  (container.ports ?? []).forEach((port, index) => {
    if (!port.hostPort) return;
    const key = `${port.protocol}/${port.hostIP ?? ""}/${port.hostPort}`;
    if (seen.has(key)) problems.duplicate(`${path}.ports[${index}].hostPort`, key);
    seen.add(key);
  });
}

function environment(variable: EnvVar, path: string, problems: Problems): void {
  if (!variable.name) problems.required(`${path}.name`);
  else problems.invalidAll(`${path}.name`, variable.name, envVarNameProblems(variable.name));
  const from = variable.valueFrom;
  if (from === undefined) return;
  const field = `${path}.valueFrom`;
  const sources = Object.values(from).filter((source) => source !== undefined).length;
  if (sources === 0) {
    problems.invalid(
      field,
      "",
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
    );
  } else if (variable.value) {
    problems.invalid(field, "", "may not be specified when `value` is not empty");
  } else if (sources > 1) {
    problems.invalid(field, "", "may not have more than one field specified at a time");
  }
  if (from.fieldRef) fieldRef(from.fieldRef.fieldPath, `${field}.fieldRef`, problems);
  if (from.resourceFieldRef) {
    const { resource } = from.resourceFieldRef;
    if (!resource) problems.required(`${field}.resourceFieldRef.resource`);
    else if (!envResources.includes(resource) && !/^(limits|requests)\.hugepages-/.test(resource)) {
      problems.notSupported(`${field}.resourceFieldRef.resource`, resource, envResources);
    }
    validateDivisor(from.resourceFieldRef, `${field}.resourceFieldRef`, problems);
  }
  for (const part of ["configMapKeyRef", "secretKeyRef"] as const) {
    const reference = from[part];
    if (!reference) continue;
    problems.invalidAll(`${field}.${part}.name`, reference.name ?? "", dnsSubdomainProblems(reference.name ?? ""));
    if (!reference.key) problems.required(`${field}.${part}.key`);
    else problems.invalidAll(`${field}.${part}.key`, reference.key, configMapKeyProblems(reference.key));
  }
}

const binary = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/** In which unit a container is told its resources. */
export function validateDivisor(
  { resource = "", divisor = "0" }: { resource?: string; divisor?: string | number },
  field: string,
  problems: Problems,
): void {
  const unit = String(divisor);
  if (unit === "0") return;
  const [, name = ""] = resource.split(".");
  if (name === "cpu" && !["1m", "1"].includes(unit)) {
    problems.invalid(
      `${field}.divisor`,
      resource,
      "only divisor's values 1m and 1 are supported with the cpu resource",
    );
  } else if (name !== "cpu" && !binary.includes(unit)) {
    const words = `only divisor's values ${binary.join(", ")} are supported with the ${name} resource`;
    problems.invalid(`${field}.divisor`, resource, words);
  }
}

function fieldRef(fieldPath: string | undefined, path: string, problems: Problems): void {
  if (!fieldPath) problems.required(`${path}.fieldPath`);
  else if (!envFields.includes(fieldPath) && !/^metadata\.(labels|annotations)\['.+'\]$/.test(fieldPath)) {
    problems.notSupported(`${path}.fieldPath`, fieldPath, envFields);
  }
}

function environmentFrom(source: NonNullable<Container["envFrom"]>[number], path: string, problems: Problems): void {
  if (source.prefix) problems.invalidAll(`${path}.prefix`, source.prefix, envVarNameProblems(source.prefix));
  const { configMapRef, secretRef } = source;
  if (configMapRef && secretRef) problems.invalid(path, "", "may not have more than one field specified at a time");
  if (!configMapRef && !secretRef) {
    problems.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
  }
  for (const [part, reference] of Object.entries({ configMapRef, secretRef })) {
    if (reference)
      problems.invalidAll(`${path}.${part}.name`, reference.name ?? "", dnsSubdomainProblems(reference.name ?? ""));
  }
}
