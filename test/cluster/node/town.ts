/** A small application with a web server, two visitors, a claim and an Ingress, as manifests from the wild are. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { once, sh } from "./case.ts";

const namespace = "town";

export const TOWN = [
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "hall", namespace, labels: { app: "hall" } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "web", image: "drydock.local/nginx:1", ports: [{ name: "http", containerPort: 80 }] }],
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "hall", namespace },
    spec: { selector: { app: "hall" }, ports: [{ port: 80, targetPort: "http" }] },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "hall", namespace },
    spec: {
      ingressClassName: "nginx",
      tls: [{ hosts: ["hall.localhost"] }],
      rules: [
        {
          host: "hall.localhost",
          http: {
            paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "hall", port: { number: 80 } } } }],
          },
        },
      ],
    },
  },
  ...["citizen", "stranger"].map((name) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { role: name } },
    spec: once("sleep 3600"),
  })),
  {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "archive", namespace },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Mi" } } },
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "clerk", namespace },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [sh("sleep 3600", { volumeMounts: [{ name: "archive", mountPath: "/archive" }] })],
      volumes: [{ name: "archive", persistentVolumeClaim: { claimName: "archive" } }],
    },
  },
] as unknown as KubeObject[];
