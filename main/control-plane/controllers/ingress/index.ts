/**
 * The ingress controller: writes nginx's configuration from all Ingresses of its class into one Secret, and runs nginx with
 * it once there is such an Ingress. Its certificates come from the Ingresses' Secrets, or from the cluster's own authority.
 */
import { createHash } from "node:crypto";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { EndpointSlice, Ingress, IngressClass, Pod, Secret, Service } from "../../../../common/kube/types.ts";
import { createLeaf, yearSeconds } from "../../pki/keys.ts";
import type { KeyAndCertificate } from "../../pki/index.ts";
import { commit } from "../kernel/committer.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { modelOf } from "./model.ts";
import type { ProxyModel } from "./model.ts";
import { nginxConfig } from "./nginx.ts";
import { CONFIG_ANNOTATION, DEPLOYMENT, INGRESS_CLASS, NAME, NAMESPACE, SERVICE } from "./objects.ts";

const networking = (resource: string, kind: string): Kind => ({
  group: "networking.k8s.io",
  version: "v1",
  resource,
  kind,
});
const INGRESSES = networking("ingresses", "Ingress");
const CLASSES = networking("ingressclasses", "IngressClass");
const EVERYTHING = "configuration";
const SERVICE_NAME = "kubernetes.io/service-name";
/** Changes that come together make one configuration. */
const GATHER = 200;

const refOf = (
  { group, version, resource }: Kind,
  name: string,
  namespace?: string,
): {
  group: string;
  version: string;
  resource: string;
  name: string;
  namespace?: string;
} => ({ group, version, resource, name, ...(namespace ? { namespace } : {}) });

export const ingressController: ControllerDefinition = {
  name: "ingress-controller",
  concurrency: 1,
  setup({ client, informers, ca, log }, keys) {
    const ingresses = informers.for<Ingress>(INGRESSES);
    const classes = informers.for<IngressClass>(CLASSES);
    const services = informers.for<Service>(kinds.services);
    const slices = informers.for<EndpointSlice>(kinds.endpointSlices);
    const secrets = informers.for<Secret>(kinds.secrets);
    const pods = informers.for<Pod>(kinds.pods);
    /** Names for which the cluster's authority has signed, and with what. */
    let own: { names: string; pair: Promise<KeyAndCertificate> } | undefined;
    /** The hash of the configuration as it was last written. */
    let written: string | undefined;
    const poke = (): void => {
      if (ingresses.list().length > 0 || written !== undefined) keys.addAfter(EVERYTHING, GATHER);
    };
    const all = { add: poke, update: poke, delete: poke };
    for (const informer of [ingresses, classes, services, slices]) informer.addHandler(all);
    secrets.addHandler({ ...all, add: ({ type }) => type === "kubernetes.io/tls" && poke() });

    async function ensure(kind: Kind, object: KubeObject): Promise<void> {
      try {
        await client.create(refOf(kind, object.metadata.name ?? "", object.metadata.namespace), object);
      } catch (error) {
        if (!isStatus(error, "AlreadyExists")) throw error;
      }
    }

    function ownCertificate(model: ProxyModel): Promise<KeyAndCertificate> {
      const hosts = model.servers.filter(({ tls, secret }) => tls && !secret).map(({ host }) => host);
      const sans = [...new Set(["localhost", "*.localhost", ...hosts])].toSorted();
      const names = sans.join(" ");
      if (own?.names !== names)
        own = {
          names,
          pair: createLeaf(ca, { commonName: "drydock-ingress", sans, usages: ["server auth"], lifetime: yearSeconds }),
        };
      return own.pair;
    }

    async function configuration(model: ProxyModel): Promise<Record<string, string>> {
      const pair = await ownCertificate(model);
      const files: Record<string, string> = {
        "nginx.conf": nginxConfig(model),
        "default.crt": pair.certificate,
        "default.key": pair.key,
      };
      for (const { secret } of model.servers) {
        if (!secret) continue;
        const data = secrets.get(secret)?.data as Record<string, string> | undefined;
        const decode = (key: string): string => Buffer.from(data?.[key] ?? "", "base64").toString();
        files[`${secret.replace("/", "_")}.crt`] = decode("tls.crt");
        files[`${secret.replace("/", "_")}.key`] = decode("tls.key");
      }
      return files;
    }

    async function write(files: Record<string, string>, hash: string): Promise<void> {
      const data = Object.fromEntries(
        Object.entries(files).map(([name, text]) => [name, Buffer.from(text).toString("base64")]),
      );
      const ref = refOf(kinds.secrets, NAME, NAMESPACE);
      const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: NAME, namespace: NAMESPACE }, data };
      try {
        await client.create(ref, secret as KubeObject);
      } catch (error) {
        if (!isStatus(error, "AlreadyExists")) throw error;
        const old = await client.get<Secret>(ref);
        await commit(client, kinds.secrets, old, { ...old, data } as Secret);
      }
      written = hash;
    }

    /** The Pods that run are told that there is another configuration. */
    async function announce(hash: string): Promise<void> {
      for (const pod of pods.list()) {
        if (pod.metadata.namespace !== NAMESPACE || pod.metadata.labels?.["app.kubernetes.io/name"] !== NAME) continue;
        if (pod.metadata.annotations?.[CONFIG_ANNOTATION] === hash || pod.metadata.deletionTimestamp) continue;
        await client.patch(refOf(kinds.pods, pod.metadata.name ?? "", NAMESPACE), "application/merge-patch+json", {
          metadata: { annotations: { [CONFIG_ANNOTATION]: hash } },
        });
      }
    }

    async function publish(served: readonly Ingress[]): Promise<void> {
      const loadBalancer = { ingress: [{ hostname: "localhost" }] };
      for (const ingress of served)
        await commit(client, INGRESSES, ingress, { ...ingress, status: { loadBalancer } } as Ingress);
    }

    return {
      started: () => {
        void ensure(CLASSES, INGRESS_CLASS).catch((error: unknown) => log(`ingress-controller: ${String(error)}`));
        poke();
      },
      async reconcile() {
        const model = modelOf({
          ingresses: ingresses.list(),
          classes: classes.list(),
          service: (namespace, name) => services.get(`${namespace}/${name}`),
          slices: (namespace, service) =>
            slices
              .list()
              .filter(
                ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[SERVICE_NAME] === service,
              ),
          secret: (namespace, name) => secrets.get(`${namespace}/${name}`),
        });
        if (model.served.length === 0 && written === undefined) return undefined;
        const files = await configuration(model);
        const hash = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16);
        if (hash !== written) await write(files, hash);
        await ensure(kinds.services, SERVICE);
        await ensure(kinds.deployments, DEPLOYMENT);
        await announce(hash);
        await publish(model.served);
        return undefined;
      },
    };
  },
};
