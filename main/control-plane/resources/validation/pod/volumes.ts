/** Volumes of a Pod and their mounts. */
import { configMapKeyProblems, dnsLabelProblems, dnsSubdomainProblems } from "../../../../../common/kube/names.ts";
import { isQuantity, parseQuantity } from "../../../../../common/kube/quantity.ts";
import type { Container, PodSpec } from "../../../../../common/kube/types.ts";
import { validateLocalDescendingPath, validateNoBacksteps } from "../numbers.ts";
import { validateClaimSpec } from "../claims.ts";
import type { Problems } from "../problems.ts";

type Volume = NonNullable<PodSpec["volumes"]>[number];
type Item = { key?: string; path?: string; mode?: number };
type Projection = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];
type DownwardItem = {
  path?: string;
  mode?: number;
  fieldRef?: { fieldPath?: string };
  resourceFieldRef?: { resource?: string; containerName?: string };
};

/** Volume name → whether block devices may come from it. */
export type VolumeFacts = ReadonlyMap<string, { claim: boolean }>;

/** Source → its field that must not be empty. */
const needed: Partial<Record<keyof Volume, readonly string[]>> = {
  hostPath: ["path"],
  configMap: ["name"],
  secret: ["secretName"],
  persistentVolumeClaim: ["claimName"],
  nfs: ["server", "path"],
  csi: ["driver"],
  gitRepo: ["repository"],
  iscsi: ["targetPortal", "iqn"],
  cephfs: ["monitors"],
  glusterfs: ["endpoints", "path"],
  image: ["reference"],
};
const pullPolicies = ["Always", "IfNotPresent", "Never"];
const hostPathTypes = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];
const downwardFields = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

export function validateVolumes(volumes: Volume[], field: string, problems: Problems): VolumeFacts {
  const facts = new Map<string, { claim: boolean }>();
  volumes.forEach((volume, index) => {
    const path = `${field}[${index}]`;
    if (!volume.name) problems.required(`${path}.name`);
    else {
      const wrong = dnsLabelProblems(volume.name);
      problems.invalidAll(`${path}.name`, volume.name, wrong);
      if (facts.has(volume.name)) problems.duplicate(`${path}.name`, volume.name);
      if (wrong.length === 0) {
        facts.set(volume.name, { claim: volume.persistentVolumeClaim !== undefined || volume.ephemeral !== undefined });
      }
    }
    source(volume, path, problems);
  });
  return facts;
}

function source(volume: Volume, path: string, problems: Problems): void {
  const { name: _, ...sources } = volume;
  const given = Object.entries(sources).filter(([, value]) => value !== undefined) as [keyof Volume, object][];
  if (given.length === 0) {
    problems.required(path, "must specify a volume type");
    return;
  }
  for (const [extra] of given.slice(1)) {
    problems.forbidden(`${path}.${extra}`, "may not specify more than 1 volume type");
  }
  const [kind, body] = given[0] as [keyof Volume, Record<string, unknown>];
  for (const part of needed[kind] ?? []) if (!body[part]) problems.required(`${path}.${kind}.${part}`);
  if (volume.hostPath) {
    validateNoBacksteps(problems, `${path}.hostPath.path`, volume.hostPath.path);
    const { type = "" } = volume.hostPath;
    if (!hostPathTypes.includes(type)) problems.notSupported(`${path}.hostPath.type`, type, hostPathTypes);
  }
  if (volume.emptyDir?.sizeLimit !== undefined && isQuantity(volume.emptyDir.sizeLimit)) {
    if (parseQuantity(volume.emptyDir.sizeLimit).nano < 0n) {
      problems.forbidden(`${path}.emptyDir.sizeLimit`, "SizeLimit field must be a valid resource quantity");
    }
  }
  for (const part of ["configMap", "secret", "downwardAPI", "projected"] as const) {
    const mode = volume[part]?.defaultMode;
    if (mode !== undefined) validateMode(mode, `${path}.${part}.defaultMode`, problems);
  }
  for (const part of ["configMap", "secret"] as const)
    items(volume[part]?.items ?? [], `${path}.${part}.items`, problems);
  downward((volume.downwardAPI?.items ?? []) as DownwardItem[], `${path}.downwardAPI.items`, problems);
  (volume.projected?.sources ?? []).forEach((one, index) =>
    projection(one, `${path}.projected.sources[${index}]`, problems),
  );
  if (volume.projected) distinctPaths(volume.projected.sources ?? [], `${path}.projected`, problems);
  if (volume.nfs?.path && !volume.nfs.path.startsWith("/"))
    problems.invalid(`${path}.nfs.path`, volume.nfs.path, "must be an absolute path");
  if (volume.image?.pullPolicy) problems.oneOf(`${path}.image.pullPolicy`, volume.image.pullPolicy, pullPolicies);
  if (volume.ephemeral && !volume.ephemeral.volumeClaimTemplate) {
    problems.required(`${path}.ephemeral.volumeClaimTemplate`);
  } else if (volume.ephemeral) {
    const template = `${path}.ephemeral.volumeClaimTemplate.spec`;
    validateClaimSpec(volume.ephemeral.volumeClaimTemplate?.spec ?? {}, template, problems);
  }
}

/** Two sources must not write the same file. */
function distinctPaths(sources: readonly Projection[], field: string, problems: Problems): void {
  const seen = new Set<string>();
  const take = (path: string | undefined, name: string): void => {
    if (!path) return;
    if (seen.has(path)) problems.invalid(field, name, "conflicting duplicate paths");
    seen.add(path);
  };
  for (const { secret, configMap, downwardAPI, serviceAccountToken } of sources) {
    for (const from of [secret, configMap]) for (const { path } of from?.items ?? []) take(path, from?.name ?? "");
    for (const { path } of downwardAPI?.items ?? []) take(path, path);
    take(serviceAccountToken?.path, serviceAccountToken?.path ?? "");
  }
}

function validateMode(mode: number, field: string, problems: Problems): void {
  if (mode < 0 || mode > 0o777) {
    problems.invalid(field, mode, "must be a number between 0 and 0777 (octal), both inclusive");
  }
}

function items(list: Item[], field: string, problems: Problems): void {
  list.forEach(({ key, path, mode }, index) => {
    const at = `${field}[${index}]`;
    if (!key) problems.required(`${at}.key`);
    else problems.invalidAll(`${at}.key`, key, configMapKeyProblems(key));
    localPath(path, `${at}.path`, problems);
    if (mode !== undefined) validateMode(mode, `${at}.mode`, problems);
  });
}

function localPath(path: string | undefined, field: string, problems: Problems): void {
  if (!path) {
    problems.required(field);
    return;
  }
  validateLocalDescendingPath(problems, field, path);
  if (path.startsWith("..") && path !== ".." && !path.startsWith("../")) {
    problems.invalid(field, path, "must not start with '..'");
  }
}

function downward(list: DownwardItem[], field: string, problems: Problems): void {
  list.forEach((item, index) => {
    const at = `${field}[${index}]`;
    localPath(item.path, `${at}.path`, problems);
    if (item.mode !== undefined) validateMode(item.mode, `${at}.mode`, problems);
    if (item.fieldRef && item.resourceFieldRef) {
      problems.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (item.fieldRef) {
      const { fieldPath = "" } = item.fieldRef;
      if (!downwardFields.includes(fieldPath) && !/^metadata\.(labels|annotations)\['.+'\]$/.test(fieldPath)) {
        problems.notSupported(`${at}.fieldRef.fieldPath`, fieldPath, downwardFields);
      }
    } else if (item.resourceFieldRef) {
      if (!item.resourceFieldRef.containerName) problems.required(`${at}.resourceFieldRef.containerName`);
      if (!item.resourceFieldRef.resource) problems.required(`${at}.resourceFieldRef.resource`);
    } else problems.required(at, "one of fieldRef and resourceFieldRef is required");
  });
}

function projection(one: Projection, path: string, problems: Problems): void {
  const given = Object.values(one).filter((value) => value !== undefined).length;
  if (given === 0)
    problems.required(
      path,
      "must specify one of: secret, configMap, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate",
    );
  if (given > 1) problems.forbidden(path, "may not specify more than 1 volume type");
  for (const part of ["secret", "configMap"] as const) {
    const from = one[part];
    if (!from) continue;
    if (!from.name) problems.required(`${path}.${part}.name`);
    items(from.items ?? [], `${path}.${part}.items`, problems);
  }
  downward((one.downwardAPI?.items ?? []) as DownwardItem[], `${path}.downwardAPI.items`, problems);
  const token = one.serviceAccountToken;
  if (!token) return;
  const seconds = token.expirationSeconds;
  if (seconds !== undefined && seconds < 600) {
    problems.invalid(
      `${path}.serviceAccountToken.expirationSeconds`,
      seconds,
      "may not specify a duration less than 10 minutes",
    );
  }
  localPath(token.path, `${path}.serviceAccountToken.path`, problems);
}

export function validateMounts(container: Container, volumes: VolumeFacts, path: string, problems: Problems): void {
  const paths = new Set<string>();
  const mounts = container.volumeMounts ?? [];
  mounts.forEach((mount, index) => {
    const field = `${path}.volumeMounts[${index}]`;
    if (!mount.name) problems.required(`${field}.name`);
    if (!volumes.has(mount.name)) problems.notFound(`${field}.name`, mount.name ?? "");
    if (!mount.mountPath) problems.required(`${field}.mountPath`);
    if (paths.has(mount.mountPath)) problems.invalid(`${field}.mountPath`, mount.mountPath, "must be unique");
    paths.add(mount.mountPath);
    // The API server itself leaves the index out of these three paths.
    const list = `${path}.volumeMounts`;
    if (mount.subPath) validateLocalDescendingPath(problems, `${list}.subPath`, mount.subPath);
    if (mount.subPathExpr) {
      if (mount.subPath) {
        problems.invalid(`${field}.subPathExpr`, mount.subPathExpr, "subPathExpr and subPath are mutually exclusive");
      }
      validateLocalDescendingPath(problems, `${list}.subPathExpr`, mount.subPathExpr);
    }
    if (mount.mountPropagation) {
      problems.oneOf(`${list}.mountPropagation`, mount.mountPropagation, ["Bidirectional", "HostToContainer", "None"]);
      if (mount.mountPropagation === "Bidirectional" && !container.securityContext?.privileged) {
        problems.forbidden(
          `${list}.mountPropagation`,
          "Bidirectional mount propagation is available only to privileged containers",
        );
      }
    }
  });
  (container.volumeDevices ?? []).forEach((device, index) => {
    const field = `${path}.volumeDevices[${index}]`;
    const volume = volumes.get(device.name);
    if (!device.name) problems.required(`${field}.name`);
    else if (!volume) problems.notFound(`${field}.name`, device.name);
    else if (!volume.claim) {
      problems.invalid(
        `${field}.name`,
        device.name,
        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
      );
    }
    if (!device.devicePath) problems.required(`${field}.devicePath`);
    if (mounts.some(({ name }) => name === device.name)) {
      problems.invalid(`${field}.name`, device.name, "must not already exist in volumeMounts");
    }
  });
}

/** A reference to another object of the namespace by name. */
export function validateObjectName(name: string | undefined, field: string, problems: Problems): void {
  if (!name) problems.required(field);
  else problems.invalidAll(field, name, dnsSubdomainProblems(name));
}
