/**
 * ServiceAccount: a Pod gets an account ("default" where it names none) and, unless told otherwise, a
 * projected volume with a token, the cluster's CA and its namespace, mounted where client libraries look.
 */
import { randomInt } from "node:crypto";
import { copyOf } from "../../../common/kube/copy.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { suffix } from "../../../common/kube/suffix.ts";
import type { Container, Pod, PodSpec, ServiceAccount } from "../../../common/kube/types.ts";
import type { Reader } from "../resources/reader.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
const mirrorAnnotation = "kubernetes.io/config.mirror";
const volumePrefix = "kube-api-access-";
/** An hour and a little, so that an hourly renewal always finds an hour left. */
const tokenSeconds = 3607;

export function serviceAccounts(reader: Reader): AdmissionPlugin {
  return {
    name: "ServiceAccount",
    async mutate(request) {
      if (!on(request, "CREATE", "pods") || !request.object) return;
      const pod = request.object as Pod;
      const spec = pod.spec as PodSpec;
      if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) {
        if (spec.serviceAccountName) throw forbid(request, "a mirror pod may not reference service accounts");
        return;
      }
      spec.serviceAccountName ||= "default";
      spec.serviceAccount = spec.serviceAccountName;
      const account = await find(request, reader, spec.serviceAccountName);
      if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(spec);
      if ((spec.imagePullSecrets ?? []).length === 0 && account.imagePullSecrets?.length) {
        spec.imagePullSecrets = copyOf(account.imagePullSecrets);
      }
    },
    validate(request) {
      if (request.operation !== "UPDATE" || request.subresource || request.gvr.resource !== "pods") return;
      const name = (object: KubeObject | undefined): string =>
        (object as Pod | undefined)?.spec?.serviceAccountName ?? "";
      if (request.gvr.group === "" && name(request.object) !== name(request.old)) {
        throw forbid(request, "service account name may not be changed");
      }
    },
  };
}

async function find(request: AdmissionRequest, reader: Reader, name: string): Promise<ServiceAccount> {
  const { namespace } = request;
  const account =
    reader.get("serviceaccounts", namespace, name) ?? (await reader.live("serviceaccounts", namespace, name));
  if (account) return account as ServiceAccount;
  throw forbid(
    request,
    `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
  );
}

function mountToken(spec: PodSpec): void {
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const without = containers.filter((one) => !one.volumeMounts?.some((mount) => mount.mountPath === mountPath));
  if (without.length === 0) return;
  let name = spec.volumes?.find((volume) => volume.name?.startsWith(volumePrefix))?.name;
  if (!name) {
    name = `${volumePrefix}${suffix((below) => randomInt(below))}`;
    spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
  }
  for (const container of without) {
    const mounts: Container["volumeMounts"] = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
    container.volumeMounts = mounts;
  }
}

function tokenVolume(name: string): NonNullable<PodSpec["volumes"]>[number] {
  const namespace = { path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } };
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        { downwardAPI: { items: [namespace] } },
      ],
    },
  };
}
