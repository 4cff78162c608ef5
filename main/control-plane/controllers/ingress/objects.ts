/** What the ingress is made of in the cluster: a Deployment of nginx, its Service and its class. Data. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { CONTROLLER } from "./model.ts";
import { HEALTH_PORT } from "./nginx.ts";

export const NAMESPACE = "kube-system";
export const NAME = "drydock-ingress";
export const LABELS = { "app.kubernetes.io/name": NAME };
/** A change of it makes the kubelet look at the configuration at once. */
export const CONFIG_ANNOTATION = "drydock.local/config";

export const INGRESS_CLASS = {
  apiVersion: "networking.k8s.io/v1",
  kind: "IngressClass",
  metadata: { name: "nginx", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
  spec: { controller: CONTROLLER },
} as unknown as KubeObject;

/** nginx reads its configuration again whenever the volume changes; one that it would not take is left alone, and said so. */
const SCRIPT = `nginx -c /etc/ingress/nginx.conf & server=$!
trap 'kill -QUIT $server; wait $server; exit 0' TERM
seen=$(readlink /etc/ingress/..data)
while kill -0 $server 2>/dev/null; do
  sleep 1 & wait $!
  now=$(readlink /etc/ingress/..data)
  [ "$now" = "$seen" ] && continue
  seen=$now
  nginx -t -q -c /etc/ingress/nginx.conf && kill -HUP $server
done
exit 1`;

export const DEPLOYMENT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS },
  spec: {
    replicas: 1,
    selector: { matchLabels: LABELS },
    template: {
      metadata: { labels: LABELS },
      spec: {
        automountServiceAccountToken: false,
        priorityClassName: "system-cluster-critical",
        tolerations: [{ key: "node-role.kubernetes.io/control-plane", operator: "Exists", effect: "NoSchedule" }],
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name: "nginx",
            image: "drydock.local/nginx:1",
            command: ["sh", "-c", SCRIPT],
            ports: [
              { name: "http", containerPort: 80 },
              { name: "https", containerPort: 443 },
            ],
            readinessProbe: { httpGet: { path: "/healthz", port: HEALTH_PORT }, periodSeconds: 2 },
            resources: { requests: { cpu: "10m", memory: "16Mi" } },
            volumeMounts: [{ name: "config", mountPath: "/etc/ingress", readOnly: true }],
          },
        ],
        volumes: [{ name: "config", secret: { secretName: NAME } }],
      },
    },
  },
} as unknown as KubeObject;

export const SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS },
  spec: {
    type: "NodePort",
    selector: LABELS,
    ports: [
      { name: "http", port: 80, targetPort: "http" },
      { name: "https", port: 443, targetPort: "https" },
    ],
  },
} as unknown as KubeObject;
