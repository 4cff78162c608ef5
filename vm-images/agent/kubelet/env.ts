/**
 * A container's environment in all the forms a Pod may give it: values with $(VAR), fields of the Pod,
 * resources, ConfigMaps, Secrets, whole maps by envFrom, and the variables that name Services. Pure: what
 * it needs of the cluster is handed in.
 */
import type { ConfigMap, Container, Pod, Secret, Service } from "../../../common/kube/types.ts";
import { podField, resourceField } from "./downward.ts";
import type { NodeFacts } from "./downward.ts";

/** A container that cannot be made as its spec says: the waiting reason CreateContainerConfigError. */
export class ContainerConfigError extends Error {}

export interface EnvSources {
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  /** Services of the Pod's namespace, and `kubernetes` of default. */
  services(): Service[];
  facts: NodeFacts;
}

/** "NAME=value" pairs in the order of the kubelet: Services, envFrom, env; later names win. */
export async function containerEnvironment(pod: Pod, container: Container, sources: EnvSources): Promise<string[]> {
  const services =
    pod.spec?.enableServiceLinks === false ? sources.services().filter(isKubernetes) : sources.services();
  const serviceEnv = serviceVariables(services);
  const result = new Map<string, string>();

  for (const from of container.envFrom ?? []) {
    const prefix = from.prefix ?? "";
    if (from.configMapRef) {
      const map = await sources.configMap(from.configMapRef.name ?? "");
      if (!map && !from.configMapRef.optional)
        throw new ContainerConfigError(`configmap "${from.configMapRef.name}" not found`);
      for (const [key, value] of Object.entries(map?.data ?? {})) result.set(prefix + key, value);
    } else if (from.secretRef) {
      const secret = await sources.secret(from.secretRef.name ?? "");
      if (!secret && !from.secretRef.optional)
        throw new ContainerConfigError(`secret "${from.secretRef.name}" not found`);
      for (const [key, value] of Object.entries(secret?.data ?? {})) result.set(prefix + key, decode(value as string));
    }
  }
  for (const variable of container.env ?? []) {
    const { valueFrom } = variable;
    let value: string | undefined;
    if (!valueFrom) {
      value = expand(variable.value ?? "", (name) => result.get(name) ?? serviceEnv.get(name));
    } else if (valueFrom.fieldRef) {
      value = podField(pod, valueFrom.fieldRef.fieldPath, sources.facts);
      if (value === undefined)
        throw new ContainerConfigError(`unsupported field path "${valueFrom.fieldRef.fieldPath}"`);
    } else if (valueFrom.resourceFieldRef) {
      value = resourceField(
        pod,
        container,
        valueFrom.resourceFieldRef as { resource: string; containerName?: string; divisor?: string },
        sources.facts,
      );
    } else if (valueFrom.configMapKeyRef) {
      const { name = "", key, optional } = valueFrom.configMapKeyRef;
      const map = await sources.configMap(name);
      if (!map && !optional) throw new ContainerConfigError(`configmap "${name}" not found`);
      value = map?.data?.[key];
      if (map && value === undefined && !optional)
        throw new ContainerConfigError(`couldn't find key ${key} in ConfigMap ${pod.metadata.namespace}/${name}`);
    } else if (valueFrom.secretKeyRef) {
      const { name = "", key, optional } = valueFrom.secretKeyRef;
      const secret = await sources.secret(name);
      if (!secret && !optional) throw new ContainerConfigError(`secret "${name}" not found`);
      const encoded = (secret?.data as Record<string, string> | undefined)?.[key];
      if (secret && encoded === undefined && !optional)
        throw new ContainerConfigError(`couldn't find key ${key} in Secret ${pod.metadata.namespace}/${name}`);
      value = encoded === undefined ? undefined : decode(encoded);
    }
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of serviceEnv) if (!result.has(name)) result.set(name, value);
  return [...result].map(([name, value]) => `${name}=${value}`);
}

/** Replaces $(NAME); $$(NAME) is a literal; a name that is not known stays as it is. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^()]*)\))/g, (match, name: string | undefined) => {
    if (name === undefined) return "$";
    return lookup(name) ?? match;
  });
}

/** Expands a command or its arguments with the finished environment. */
export function expandAll(texts: string[] | undefined, environment: string[]): string[] | undefined {
  if (!texts) return undefined;
  const values = new Map(
    environment.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return texts.map((text) => expand(text, (name) => values.get(name)));
}

function isKubernetes(service: Service): boolean {
  return service.metadata.name === "kubernetes" && service.metadata.namespace === "default";
}

/** HELLO_SERVICE_HOST, HELLO_SERVICE_PORT… and the older HELLO_PORT_80_TCP… of each Service with an address. */
export function serviceVariables(services: Service[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const service of services) {
    const ip = service.spec?.clusterIP;
    const ports = service.spec?.ports ?? [];
    const first = ports[0];
    if (!ip || ip === "None" || !first) continue;
    const prefix = (service.metadata.name ?? "").replaceAll("-", "_").toUpperCase();
    variables.set(`${prefix}_SERVICE_HOST`, ip);
    variables.set(`${prefix}_SERVICE_PORT`, String(first.port));
    for (const port of ports) {
      if (port.name)
        variables.set(`${prefix}_SERVICE_PORT_${port.name.replaceAll("-", "_").toUpperCase()}`, String(port.port));
    }
    for (const port of ports) {
      const protocol = port.protocol ?? "TCP";
      const url = `${protocol.toLowerCase()}://${ip}:${port.port}`;
      if (port === first) variables.set(`${prefix}_PORT`, url);
      const key = `${prefix}_PORT_${port.port}_${protocol}`;
      variables.set(key, url);
      variables.set(`${key}_PROTO`, protocol.toLowerCase());
      variables.set(`${key}_PORT`, String(port.port));
      variables.set(`${key}_ADDR`, ip);
    }
  }
  return variables;
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}
