import type { Section } from "../section.ts";

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      # Only this section's nodes: what is drained is nobody else's.
      nodeSelector: {table: nodes}
      tolerations: [{key: table, operator: Exists}]
      containers: [{name: main, image: drydock.local/nginx:1}]
`;

export const nodes: Section = {
  title: "cordon, drain, taint, top",
  files: { "web.yaml": web },
  steps: [
    { run: "kubectl create -f web.yaml", prints: "deployment.apps/web created" },
    {
      run: "kubectl rollout status deployment/web --timeout=60s | tail -n1",
      prints: 'deployment "web" successfully rolled out',
    },
    { run: "kubectl cordon node-d", prints: "node/node-d cordoned" },
    {
      run: "kubectl get node node-d",
      prints: "NAME STATUS ROLES AGE VERSION\nnode-d Ready,SchedulingDisabled worker … v1.36.…",
    },
    { run: "kubectl cordon node-d", prints: "node/node-d already cordoned" },
    {
      run: "kubectl drain node-d --ignore-daemonsets --timeout=60s",
      prints: "node/node-d already cordoned\n…\nnode/node-d drained…",
    },
    { run: "kubectl get pods -l app=web --field-selector=spec.nodeName=node-d -o name", eventually: true },
    {
      run: "kubectl rollout status deployment/web --timeout=60s | tail -n1",
      prints: 'deployment "web" successfully rolled out',
    },
    { run: "kubectl uncordon node-d", prints: "node/node-d uncordoned" },
    {
      run: "kubectl create poddisruptionbudget web --selector=app=web --min-available=2",
      prints: "poddisruptionbudget.policy/web created",
    },
    {
      run: "kubectl get pdb web",
      prints: "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE\nweb 2 N/A 0 …",
      eventually: true,
    },
    {
      run: 'kubectl drain node-c --ignore-daemonsets --timeout=2s 2>&1 | grep -o "Cannot evict pod as it would violate the pod\'s disruption budget" | head -n1',
      prints: "Cannot evict pod as it would violate the pod's disruption budget",
    },
    { run: "kubectl uncordon node-c", prints: "node/node-c uncordoned" },
    { run: "kubectl taint node node-d dedicated=gpu:NoSchedule", prints: "node/node-d tainted" },
    {
      run: "kubectl taint node node-d dedicated=gpu:NoSchedule",
      prints: "error: node node-d already has dedicated taint(s) with same effect(s) and --overwrite is false",
      code: 1,
    },
    { run: "kubectl taint node node-d dedicated-", prints: "node/node-d untainted" },
    { run: "kubectl label node node-d disk=fast", prints: "node/node-d labeled" },
    { run: "kubectl label node node-d disk-", prints: "node/node-d unlabeled" },
    {
      run: "kubectl top node node-c",
      prints: "NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)\nnode-c …m …% …Mi …%",
      eventually: true,
    },
    {
      run: "kubectl top pods",
      prints: "NAME CPU(cores) MEMORY(bytes)\nweb-… …m …Mi\nweb-… …m …Mi",
      eventually: true,
    },
  ],
};

const request = `apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: NAME}
spec: {signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], request: REQUEST}
`;
const make = (name: string): string =>
  `openssl req -new -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=eve 2>/dev/null | base64 -w0 > request && sed "s/NAME/${name}/; s/REQUEST/$(cat request)/" csr.yaml | kubectl create -f -`;

export const certificates: Section = {
  title: "certificate",
  files: { "csr.yaml": request },
  steps: [
    { run: make("eve"), prints: "certificatesigningrequest.certificates.k8s.io/eve created" },
    {
      run: "kubectl get csr eve",
      prints:
        "NAME AGE SIGNERNAME REQUESTOR REQUESTEDDURATION CONDITION\neve …s kubernetes.io/kube-apiserver-client kubernetes-admin <none> Pending",
    },
    { run: "kubectl certificate approve eve", prints: "certificatesigningrequest.certificates.k8s.io/eve approved" },
    {
      run: "kubectl get csr eve --no-headers",
      prints: "eve …s kubernetes.io/kube-apiserver-client kubernetes-admin <none> Approved,Issued",
      eventually: true,
    },
    {
      run: "kubectl get csr eve -o jsonpath='{.status.certificate}' | base64 -d > cert.pem && kubectl config set-credentials eve --client-certificate=cert.pem --client-key=key.pem > /dev/null && kubectl auth whoami --user=eve -o jsonpath='{.status.userInfo.username}'",
      prints: "eve",
    },
    { run: make("mallory"), prints: "certificatesigningrequest.certificates.k8s.io/mallory created" },
    { run: "kubectl certificate deny mallory", prints: "certificatesigningrequest.certificates.k8s.io/mallory denied" },
    {
      run: "kubectl get csr mallory --no-headers",
      prints: "mallory …s kubernetes.io/kube-apiserver-client kubernetes-admin <none> Denied",
    },
    {
      run: "kubectl delete csr eve mallory",
      prints:
        'certificatesigningrequest.certificates.k8s.io "eve" deleted\ncertificatesigningrequest.certificates.k8s.io "mallory" deleted',
    },
  ],
};

export const remove: Section = {
  title: "delete",
  steps: [
    {
      run: "kubectl create deployment a --image=drydock.local/nginx:1 && kubectl create deployment b --image=drydock.local/nginx:1 && kubectl create deployment c --image=drydock.local/nginx:1",
      prints: "deployment.apps/a created\ndeployment.apps/b created\ndeployment.apps/c created",
    },
    {
      run: "kubectl wait deployment --all --for=condition=Available --timeout=60s",
      prints: "deployment.apps/a condition met\ndeployment.apps/b condition met\ndeployment.apps/c condition met",
    },
    { run: "kubectl delete deployment a --dry-run=server", prints: 'deployment.apps "a" deleted… (server dry run)' },
    { run: "kubectl delete deployment a", prints: 'deployment.apps "a" deleted…' },
    { run: "kubectl get replicasets,pods -l app=a -o name", eventually: true },
    { run: "kubectl delete deployment b --cascade=foreground", prints: 'deployment.apps "b" deleted…' },
    { run: "kubectl get replicasets,pods -l app=b -o name" },
    { run: "kubectl delete deployment c --cascade=orphan", prints: 'deployment.apps "c" deleted…' },
    { run: "kubectl get replicasets,pods -l app=c -o name", prints: "replicaset.apps/c-…\npod/c-…" },
    { run: "kubectl delete replicaset,pod -l app=c --now", prints: "…deleted…\n…deleted…" },
    {
      run: "kubectl create configmap x && kubectl create configmap y",
      prints: "configmap/x created\nconfigmap/y created",
    },
    { run: "kubectl delete configmap x --wait=false -o name", prints: "configmap/x" },
    { run: "kubectl delete configmap x", prints: 'Error from server (NotFound): configmaps "x" not found', code: 1 },
    { run: "kubectl delete configmap x --ignore-not-found" },
    { run: "kubectl delete configmaps --all", prints: 'configmap "kube-root-ca.crt" deleted…\nconfigmap "y" deleted…' },
    {
      run: 'kubectl run stuck --image=drydock.local/nginx:1 --overrides=\'{"metadata":{"finalizers":["example.com/hold"]}}\'',
      prints: "pod/stuck created",
    },
    {
      run: "kubectl delete pod stuck --timeout=2s",
      prints: 'pod "stuck" deleted…\n…\nerror: timed out waiting for the condition on pods/stuck',
      code: 1,
    },
    {
      run: 'kubectl patch pod stuck --type=json -p \'[{"op":"remove","path":"/metadata/finalizers"}]\'',
      prints: "pod/stuck patched",
    },
    { run: "kubectl wait pod/stuck --for=delete --timeout=30s", prints: "…" },
    {
      run: "kubectl run gone --image=drydock.local/nginx:1 && kubectl delete pod gone --force --grace-period=0",
      prints:
        'pod/gone created\npod "gone" force deleted…\nWarning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.',
    },
    {
      run: "kubectl create namespace delete-me && kubectl create configmap inside -n delete-me && kubectl delete namespace delete-me",
      prints: 'namespace/delete-me created\nconfigmap/inside created\nnamespace "delete-me" deleted',
    },
  ],
};

/** The Pod `web` of the namespace is one of real processes. */
export const streams: Section = {
  title: "exec, attach, cp, logs, port-forward, proxy, debug",
  steps: [
    {
      run: "kubectl exec web -- sh -c 'echo out; echo err >&2; exit 3'",
      prints: "out\nerr\ncommand terminated with exit code 3",
      code: 3,
    },
    { run: "echo hello | kubectl exec -i web -c main -- cat", prints: "hello" },
    {
      run: "kubectl exec deploy/none -- true",
      prints: 'Error from server (NotFound): deployments.apps "none" not found',
      code: 1,
    },
    {
      run: "kubectl exec web -c none -- true",
      prints: "…container none is not valid for pod web…",
      code: 1,
    },
    { run: "echo hello | kubectl attach -i web -c main 2>/dev/null", prints: "begun\ngot hello" },
    {
      run: "echo content > file && kubectl cp file web:$PWD/copied -c main && kubectl cp web:$PWD/copied back -c main > /dev/null && cat back",
      prints: "content",
    },
    { run: "kubectl logs web -c main", prints: "one\ntwo" },
    { run: "kubectl logs web --tail=1", prints: "two" },
    { run: "kubectl logs -l app=web --prefix --tail=1", prints: "[pod/web/main] two" },
    { run: "kubectl logs web -c none", prints: "error: container none is not valid for pod web…", code: 1 },
    {
      run: "kubectl proxy --port=0 > proxied & until grep -qs Starting proxied; do sleep 0.1; done; curl -s http://$(grep -o '127.0.0.1:[0-9]*' proxied)/version | grep -o '\"minor\": *\"36\"'; kill $!",
      prints: '"minor":"36"',
    },
    {
      run: "kubectl port-forward pod/web :http > forwarded & until grep -qs Forwarding forwarded; do sleep 0.1; done; curl -s http://$(grep -o '127.0.0.1:[0-9]*' forwarded | head -n1)/; kill $!",
      prints: "hello from the Pod",
    },
    {
      run: "kubectl debug web --image=drydock.local/busybox:1 --container=look --profile=general -- true && kubectl get pod web -o jsonpath='{.spec.ephemeralContainers[*].name}'",
      prints: "look",
    },
    {
      run: "kubectl debug web --copy-to=web-copy --container=look --image=drydock.local/busybox:1 --profile=general -- true && kubectl get pod web-copy -o jsonpath='{.metadata.name}'",
      prints: "web-copy",
    },
    {
      run: "kubectl debug node/node-a --image=drydock.local/busybox:1 --profile=general -- true",
      prints: "Creating debugging pod node-debugger-node-a-… with container debugger on node node-a.",
    },
  ],
};
