import type { Section } from "../section.ts";

export const get: Section = {
  title: "get",
  steps: [
    {
      run: "kubectl create deployment web --image=drydock.local/nginx:1 --replicas=2",
      prints: "deployment.apps/web created",
    },
    {
      run: "kubectl create configmap a --from-literal=x=1 && kubectl create configmap b --from-literal=x=1 --from-literal=y=2",
      prints: "configmap/a created\nconfigmap/b created",
    },
    {
      run: "kubectl rollout status deployment/web --timeout=60s | tail -n1",
      prints: 'deployment "web" successfully rolled out',
    },
    { run: "kubectl get deployments", prints: "NAME READY UP-TO-DATE AVAILABLE AGE\nweb 2/2 2 2 …s" },
    {
      run: "kubectl get deployment web -o wide",
      prints:
        "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR\nweb 2/2 2 2 …s nginx drydock.local/nginx:1 app=web",
    },
    {
      run: "kubectl get pods -o wide",
      prints:
        "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES\nweb-… 1/1 Running 0 …s 10.244.… node-… <none> <none>\nweb-… 1/1 Running 0 …s 10.244.… node-… <none> <none>",
    },
    {
      run: "kubectl get all",
      prints:
        "NAME READY STATUS RESTARTS AGE\npod/web-… 1/1 Running 0 …\npod/web-… 1/1 Running 0 …\nNAME READY UP-TO-DATE AVAILABLE AGE\ndeployment.apps/web 2/2 2 2 …\nNAME DESIRED CURRENT READY AGE\nreplicaset.apps/web-… 2 2 2 …",
    },
    { run: "kubectl get configmaps -o name", prints: "configmap/a\nconfigmap/b\nconfigmap/kube-root-ca.crt" },
    { run: "kubectl get configmaps --chunk-size=1 --no-headers | wc -l", prints: "3" },
    {
      run: "kubectl get configmaps --sort-by=.metadata.name -o custom-columns=NAME:.metadata.name,X:.data.x,KIND:.kind",
      prints: "NAME X KIND\na 1 ConfigMap\nb 1 ConfigMap\nkube-root-ca.crt <none> ConfigMap",
    },
    {
      run: "kubectl get configmap b -o jsonpath='{.data.y}{\"\\n\"}{range .metadata.managedFields[*]}{.manager}{end}'",
      prints: "2\nkubectl-create",
    },
    { run: "kubectl get configmaps -o jsonpath='{.items[?(@.data.y==\"2\")].metadata.name}'", prints: "b" },
    { run: "kubectl get configmap a -o go-template='{{.data.x}}'", prints: "1" },
    { run: "kubectl get configmap a -o json | grep -c managedFields", prints: "0", code: 1 },
    { run: "kubectl get configmap a -o yaml --show-managed-fields | grep manager:", prints: "manager: kubectl-create" },
    {
      run: "kubectl get configmap a -o yaml",
      prints:
        'apiVersion: v1\ndata:\nx: "1"\nkind: ConfigMap\nmetadata:\ncreationTimestamp: "20…Z"\nname: a\nnamespace: get\nresourceVersion: "…"\nuid: …',
    },
    { run: "kubectl get pods -l app=web --field-selector=status.phase=Running -o name | wc -l", prints: "2" },
    { run: "kubectl get pods --field-selector=spec.nodeName=nowhere", prints: "No resources found in get namespace." },
    {
      run: "kubectl get pods -L app --show-labels --no-headers | head -n1",
      prints: "web-… 1/1 Running 0 … web app=web,pod-template-hash=…",
    },
    {
      run: "kubectl get configmaps -A --field-selector=metadata.name=a",
      prints: "NAMESPACE NAME DATA AGE\nget a 1 …s",
    },
    {
      run: "kubectl get configmaps a -w --output-watch-events > seen & until grep -qs ADDED seen; do sleep 0.1; done; kubectl delete configmap a > /dev/null; until grep -qs DELETED seen; do sleep 0.1; done; kill $!; cat seen",
      prints: "EVENT NAME DATA AGE\nADDED a 1 …s\nDELETED a 1 …s",
    },
    {
      run: "kubectl get configmaps --watch-only -o name > told & until grep -qs . told; do kubectl label --overwrite configmap b at=$(date +%N) > /dev/null; done; kill $!; head -n1 told",
      prints: "configmap/b",
    },
    { run: "kubectl get nonsense", prints: 'error: the server doesn\'t have a resource type "nonsense"', code: 1 },
    { run: "kubectl get configmap none --ignore-not-found" },
    { run: "kubectl get deploy/web cm/b -o name", prints: "deployment.apps/web\nconfigmap/b" },
    {
      run: "kubectl get --raw /api/v1/namespaces/get/configmaps/b | cut -c1-40",
      prints: '{"apiVersion":"v1","kind":"ConfigMap","m…',
    },
    {
      run: "kubectl get pods -n kube-system --as=eve",
      prints:
        'Error from server (Forbidden): pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "kube-system"',
      code: 1,
    },
  ],
};

export const describe: Section = {
  title: "describe, events",
  steps: [
    { run: "kubectl create deployment web --image=drydock.local/nginx:1", prints: "deployment.apps/web created" },
    {
      run: "kubectl rollout status deployment/web --timeout=60s | tail -n1",
      prints: 'deployment "web" successfully rolled out',
    },
    {
      run: "kubectl describe deployment web",
      prints:
        "Name: web\nNamespace: describe-events\n…\nReplicas: 1 desired | 1 updated | 1 total | 1 available | 0 unavailable\n…\nConditions:\n…\nNewReplicaSet: web-… (1/1 replicas created)\nEvents:\n…\nNormal ScalingReplicaSet …s deployment-controller Scaled up replica set web-… from 0 to 1",
    },
    {
      run: "kubectl describe pod -l app=web | grep -A9 '^Events'",
      prints:
        "Events:\n…\nNormal Scheduled …s default-scheduler Successfully assigned describe-events/web-… to node-…\n…",
    },
    {
      run: "kubectl describe node node-a | grep -E '^(Name|Taints|Unschedulable|Lease|Conditions|Non-terminated|Allocated)'",
      prints:
        "Name: node-a\nTaints: <none>\nUnschedulable: false\nLease:\nConditions:\nNon-terminated Pods: (… in total)\nAllocated resources:",
    },
    {
      run: "kubectl describe namespace describe-events",
      prints:
        "Name: describe-events\nLabels: kubernetes.io/metadata.name=describe-events\nAnnotations: <none>\nStatus: Active\nNo resource quota.\nNo LimitRange resource.",
    },
    { run: "kubectl describe pod nobody", prints: 'Error from server (NotFound): pods "nobody" not found', code: 1 },
    {
      run: "kubectl events --for deployment/web",
      prints:
        "LAST SEEN TYPE REASON OBJECT MESSAGE\n… Normal ScalingReplicaSet Deployment/web Scaled up replica set web-… from 0 to 1",
    },
    { run: "kubectl events --types=Warning", prints: "No events found in describe-events namespace." },
    {
      run: "kubectl get events --field-selector=reason=Scheduled",
      prints:
        "LAST SEEN TYPE REASON OBJECT MESSAGE\n…s Normal Scheduled pod/web-… Successfully assigned describe-events/web-… to node-…",
    },
  ],
};

export const asking: Section = {
  title: "api-resources, explain, auth, config, version",
  files: {
    "rbac.yaml":
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reconciled, namespace: NAMESPACE}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n",
  },
  steps: [
    {
      run: "kubectl api-versions | grep -E '^(v1|apps/v1|batch/v1|resource.k8s.io/v1)$'",
      prints: "apps/v1\nbatch/v1\nresource.k8s.io/v1\nv1",
    },
    {
      run: "kubectl api-resources --api-group=apps",
      prints:
        "NAME SHORTNAMES APIVERSION NAMESPACED KIND\ncontrollerrevisions apps/v1 true ControllerRevision\ndaemonsets ds apps/v1 true DaemonSet\ndeployments deploy apps/v1 true Deployment\nreplicasets rs apps/v1 true ReplicaSet\nstatefulsets sts apps/v1 true StatefulSet",
    },
    { run: "kubectl api-resources --namespaced=false --verbs=list -o name | head -n4", prints: "…" },
    {
      run: "kubectl api-resources --categories=all -o name",
      prints:
        "pods\nreplicationcontrollers\nservices\ndaemonsets.apps\ndeployments.apps\nreplicasets.apps\nstatefulsets.apps\nhorizontalpodautoscalers.autoscaling\ncronjobs.batch\njobs.batch",
    },
    {
      run: "kubectl explain pod.spec.containers.imagePullPolicy",
      prints:
        "KIND: Pod\nVERSION: v1\nFIELD: imagePullPolicy <string>\nENUM:\nAlways\nIfNotPresent\nNever\nDESCRIPTION:\n…",
    },
    {
      run: "kubectl explain deployment --recursive | grep -E '^    (selector|strategy)'",
      prints: "selector <LabelSelector> -required-\nstrategy <DeploymentStrategy>",
    },
    {
      run: "kubectl explain cronjob --api-version=batch/v1 | head -n3",
      prints: "GROUP: batch\nKIND: CronJob\nVERSION: v1",
    },
    { run: "kubectl explain pod -o plaintext-openapiv2 | head -n2", prints: "KIND: Pod\nVERSION: v1" },
    {
      run: "kubectl explain pod.nonsense",
      prints: 'KIND: Pod\nVERSION: v1\nerror: field "nonsense" does not exist',
      code: 1,
    },
    {
      run: "kubectl auth whoami",
      prints: "ATTRIBUTE VALUE\nUsername kubernetes-admin\nGroups [system:masters system:authenticated]\n…",
    },
    { run: "kubectl auth can-i create pods", prints: "yes" },
    {
      run: "kubectl auth can-i delete nodes --as=eve",
      prints: "no\nWarning: resource 'nodes' is not namespace scoped",
      code: 1,
    },
    {
      run: "kubectl auth can-i --list --as=eve | head -n3",
      prints: "Resources Non-Resource URLs Resource Names Verbs\n…",
    },
    {
      run: "sed s/NAMESPACE/$NAMESPACE/ rbac.yaml | kubectl auth reconcile -f -",
      prints: "role.rbac.authorization.k8s.io/reconciled reconciled\n…",
    },
    { run: "kubectl config current-context", prints: "drydock" },
    {
      run: "kubectl config view --minify -o jsonpath='{.clusters[0].name} {.users[0].name}'",
      prints: "drydock drydock-admin",
    },
    {
      run: "kubectl config get-contexts",
      prints:
        "CURRENT NAME CLUSTER AUTHINFO NAMESPACE\n* drydock drydock drydock-admin api-resources-explain-auth-config-version",
    },
    {
      run: "kubectl cluster-info",
      prints:
        "…Kubernetes control plane… is running at …https://127.0.0.1:…\n…\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.",
    },
    { run: "kubectl cluster-info dump --output-directory=dump", prints: "Cluster info dumped to dump" },
    {
      run: "kubectl version",
      prints: "Client Version: v1.…\nKustomize Version: v5.…\nServer Version: v1.36.…",
      only: "1.36",
    },
    {
      run: "kubectl version | head -n3",
      prints:
        "Client Version: v1.32.…\nKustomize Version: v5.…\nServer Version: v1.36.…\nWARNING: version difference between client (1.32) and server (1.36) exceeds the supported minor version skew of +/-1",
      only: "1.32",
    },
    { run: "kubectl get --raw '/readyz?verbose' | tail -n1", prints: "readyz check passed" },
    {
      run: "kubectl get cs",
      prints:
        "NAME STATUS MESSAGE ERROR\nscheduler Healthy ok\ncontroller-manager Healthy ok\netcd-0 Healthy ok\nWarning: v1 ComponentStatus is deprecated in v1.19+",
      eventually: true,
    },
    { run: "kubectl completion bash | tail -n1", prints: "# ex: ts=4 sw=4 et filetype=sh" },
    { run: "kubectl __complete get configmap kube-root 2> /dev/null", prints: "kube-root-ca.crt\n:4" },
    { run: "kubectl options | head -n1", prints: "The following options can be passed to any command:" },
    {
      run: "kubectl kuberc set --section aliases --name maps --command get --prependarg configmaps > /dev/null && k=kubectl && $k maps -o name",
      prints: "configmap/kube-root-ca.crt",
      only: "1.36",
    },
    { run: "kubectl plugin list", prints: "…\nerror: unable to find any kubectl plugins in your PATH", code: 1 },
  ],
};
