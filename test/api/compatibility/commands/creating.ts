import type { Section } from "../section.ts";
import { manifests, names } from "./every-kind.ts";

const each = (words: string): string => names.map((name) => `${name} ${words}`).join("\n");

const deprecated = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

export const everyKind: Section = {
  title: "Every kind",
  files: { "every-kind.yaml": manifests },
  steps: [
    { run: "kubectl create -f every-kind.yaml", prints: `${each("created")}\n${deprecated}` },
    { run: "kubectl get -f every-kind.yaml -o name", prints: `${names.join("\n")}\n${deprecated}` },
    { run: "kubectl diff -f every-kind.yaml", prints: deprecated },
    {
      run: "kubectl apply --server-side --force-conflicts -f every-kind.yaml",
      prints: `${each("serverside-applied")}\n${deprecated}`,
    },
    {
      run: "kubectl apply --server-side --force-conflicts --dry-run=server -f every-kind.yaml",
      prints: `${each("serverside-applied (server dry run)")}\n${deprecated}`,
    },
    { run: "kubectl label -f every-kind.yaml seen=yes | grep -c labeled", prints: `${names.length}\n${deprecated}` },
    {
      run: "kubectl describe -f every-kind.yaml 2> /dev/null | grep -c '^Name: '",
      prints: String(names.length),
      only: "1.36",
    },
    {
      run: "kubectl delete -f every-kind.yaml --wait=false | grep -c deleted",
      prints: `${names.length}\n${deprecated}`,
    },
  ],
};

export const create: Section = {
  title: "create",
  steps: [
    {
      run: "kubectl create configmap settings --from-literal=a=1 --from-literal=b=2",
      prints: "configmap/settings created",
    },
    { run: "kubectl create secret generic login --from-literal=password=secret", prints: "secret/login created" },
    {
      run: "kubectl create secret docker-registry pull --docker-username=me --docker-password=it --docker-server=registry.example.com",
      prints: "secret/pull created",
    },
    { run: "kubectl create serviceaccount robot", prints: "serviceaccount/robot created" },
    { run: "kubectl create token robot | cut -d. -f1 | base64 -d 2>/dev/null | cut -c1-6", prints: '{"alg"' },
    { run: "kubectl create token robot --duration=1h --audience=example | tr -cd . | wc -c", prints: "2" },
    {
      run: "kubectl create role reads --verb=get,list --resource=pods,pods/log",
      prints: "role.rbac.authorization.k8s.io/reads created",
    },
    {
      run: "kubectl create rolebinding reads --role=reads --serviceaccount=create:robot",
      prints: "rolebinding.rbac.authorization.k8s.io/reads created",
    },
    {
      run: "kubectl create clusterrole create-sees --verb=get --resource=nodes",
      prints: "clusterrole.rbac.authorization.k8s.io/create-sees created",
    },
    {
      run: "kubectl create clusterrole create-sums --aggregation-rule=sum=yes",
      prints: "clusterrole.rbac.authorization.k8s.io/create-sums created",
    },
    {
      run: "kubectl create clusterrolebinding create-sees --clusterrole=create-sees --user=eve",
      prints: "clusterrolebinding.rbac.authorization.k8s.io/create-sees created",
    },
    { run: "kubectl create quota pods --hard=pods=20,services=9", prints: "resourcequota/pods created" },
    {
      run: "kubectl create priorityclass create-high --value=1000 --description=first",
      prints: "priorityclass.scheduling.k8s.io/create-high created",
    },
    {
      run: "kubectl create deployment web --image=drydock.local/nginx:1 --replicas=2 --port=80",
      prints: "deployment.apps/web created",
    },
    { run: "kubectl create job once --image=drydock.local/busybox:1 -- true", prints: "job.batch/once created" },
    {
      run: "kubectl create cronjob nightly --image=drydock.local/busybox:1 --schedule='0 1 * * *' -- true",
      prints: "cronjob.batch/nightly created",
    },
    { run: "kubectl create job by-hand --from=cronjob/nightly", prints: "job.batch/by-hand created" },
    { run: "kubectl create service clusterip web --tcp=80:80", prints: "service/web created" },
    { run: "kubectl create service nodeport outside --tcp=80", prints: "service/outside created" },
    {
      run: "kubectl create service externalname elsewhere --external-name=example.com",
      prints: "service/elsewhere created",
    },
    { run: "kubectl create service loadbalancer balanced --tcp=80", prints: "service/balanced created" },
    {
      run: "kubectl create ingress web --rule=example.com/*=web:80 --class=nginx",
      prints: "ingress.networking.k8s.io/web created",
    },
    {
      run: "kubectl create poddisruptionbudget web --selector=app=web --min-available=1",
      prints: "poddisruptionbudget.policy/web created",
    },
    { run: "kubectl create namespace create-more", prints: "namespace/create-more created" },
    {
      run: "kubectl create configmap settings",
      prints: 'error: failed to create configmap: configmaps "settings" already exists',
      code: 1,
    },
    { run: "kubectl create configmap no-trace --dry-run=server -o name", prints: "configmap/no-trace" },
    {
      run: "kubectl get configmap no-trace",
      prints: 'Error from server (NotFound): configmaps "no-trace" not found',
      code: 1,
    },
    {
      run: "kubectl create deployment x --image=a --dry-run=client -o yaml | kubectl create -f -",
      prints: "deployment.apps/x created",
    },
    {
      run: "kubectl expose deployment web --port=8080 --target-port=80 --name=exposed",
      prints: "service/exposed exposed",
    },
    {
      run: "kubectl run lone --image=drydock.local/nginx:1 --labels=app=lone --port=80 --expose",
      prints: "service/lone created\npod/lone created",
    },
    { run: "kubectl delete namespace create-more", prints: 'namespace "create-more" deleted' },
    {
      run: "kubectl delete clusterrole,clusterrolebinding create-sees",
      prints:
        'clusterrole.rbac.authorization.k8s.io "create-sees" deleted\nclusterrolebinding.rbac.authorization.k8s.io "create-sees" deleted',
    },
  ],
};
