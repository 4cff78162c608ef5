import type { Section } from "../section.ts";

const configMap = (name: string, data: string, labels = "{app: demo}"): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: ${labels}}\ndata: ${data}\n`;

export const apply: Section = {
  title: "apply, diff, replace, edit",
  files: {
    "one.yaml": configMap("one", "{a: '1', b: '2'}"),
    "one-changed.yaml": configMap("one", "{a: '9'}"),
    "two.yaml": configMap("two", "{a: '1'}"),
    "edit.sh": `sed -i 's/"5"/"7"/' "$1"\n`,
    "both/one.yaml": configMap("one", "{a: '1'}"),
    "both/kustomization.yaml": "resources: [one.yaml]\nnamePrefix: made-\n",
  },
  steps: [
    { run: "kubectl diff -f one.yaml | grep '^[+-]  [ab]:'", prints: '+  a: "1"\n+  b: "2"' },
    { run: "kubectl apply -f one.yaml", prints: "configmap/one created" },
    { run: "kubectl apply -f one.yaml", prints: "configmap/one unchanged" },
    { run: "kubectl diff -f one.yaml" },
    { run: "kubectl diff -f one-changed.yaml | grep '^[+-]  [ab]:'", prints: '-  a: "1"\n-  b: "2"\n+  a: "9"' },
    { run: "kubectl apply -f one-changed.yaml", prints: "configmap/one configured" },
    { run: "kubectl get configmap one -o jsonpath='{.data}'", prints: '{"a":"9"}' },
    { run: "kubectl apply view-last-applied configmap one -o json | grep '\"a\"'", prints: '"a": "9"' },
    { run: "EDITOR=true kubectl apply edit-last-applied configmap one", prints: "Edit cancelled, no changes made." },
    { run: "kubectl apply set-last-applied -f one.yaml", prints: "configmap/one configured" },
    {
      run: "kubectl apply -f one.yaml -f two.yaml -l app=demo --prune --prune-allowlist=core/v1/ConfigMap",
      prints: "configmap/one configured\nconfigmap/two created",
    },
    {
      run: "kubectl apply -f one.yaml -l app=demo --prune --prune-allowlist=core/v1/ConfigMap",
      prints: "configmap/one unchanged\nconfigmap/two pruned",
    },
    {
      run: "KUBECTL_APPLYSET=true kubectl apply --prune --applyset=set -f one.yaml -f two.yaml",
      prints: "error: namespace is required to use namespace-scoped ApplySet",
      code: 1,
      only: "1.32",
    },
    { run: "kubectl apply --server-side -f two.yaml", prints: "configmap/two serverside-applied" },
    { run: 'kubectl patch configmap two --type=merge -p \'{"data":{"a":"other"}}\'', prints: "configmap/two patched" },
    {
      run: "kubectl apply --server-side -f two.yaml",
      prints: 'error: Apply failed with 1 conflict: conflict with "kubectl-patch" using v1…: .data.a\n…',
      code: 1,
    },
    { run: "kubectl apply --server-side --force-conflicts -f two.yaml", prints: "configmap/two serverside-applied" },
    {
      run: "kubectl apply --server-side --field-manager=second -f two.yaml",
      prints: "configmap/two serverside-applied",
    },
    {
      run: "kubectl get configmap two --show-managed-fields -o jsonpath='{.metadata.managedFields[*].manager}'",
      prints: "…",
    },
    { run: "kubectl apply -k both", prints: "configmap/made-one created" },
    { run: "kubectl kustomize both | grep name:", prints: "name: made-one" },
    {
      run: 'kubectl get configmap one -o yaml | sed \'s/"1"/"5"/\' | kubectl replace -f -',
      prints: "configmap/one replaced",
    },
    { run: "kubectl replace --force -f two.yaml", prints: 'configmap "two" deleted…\nconfigmap/two replaced' },
    { run: "kubectl replace -f both/one.yaml --dry-run=server", prints: "configmap/one replaced (server dry run)" },
    { run: "EDITOR='sh edit.sh' kubectl edit configmap one", prints: "configmap/one edited" },
    { run: "EDITOR=true kubectl edit configmap one", prints: "Edit cancelled, no changes made." },
    { run: "kubectl get configmap one -o jsonpath='{.data.a}'", prints: "7" },
  ],
};

export const applySets: Section = {
  title: "ApplySets",
  files: {
    "one.yaml": configMap("one", "{a: '1'}"),
    "two.yaml": configMap("two", "{a: '1'}"),
  },
  steps: [
    {
      run: "KUBECTL_APPLYSET=true kubectl apply --prune --applyset=parts -n applysets -f one.yaml -f two.yaml",
      prints: "configmap/one created\nconfigmap/two created",
    },
    {
      run: "kubectl get secret parts -o jsonpath='{.metadata.annotations}'",
      prints: "…applyset.kubernetes.io/contains-group-kinds…ConfigMap…",
    },
    {
      run: "kubectl get configmap one --show-labels --no-headers",
      prints: "one 1 …s app=demo,applyset.kubernetes.io/part-of=applyset-…",
    },
    {
      run: "KUBECTL_APPLYSET=true kubectl apply --prune --applyset=parts -n applysets -f one.yaml",
      prints: "configmap/one unchanged\nconfigmap/two pruned",
    },
    {
      run: "KUBECTL_APPLYSET=true kubectl apply --prune --applyset=configmaps/parent -n applysets --server-side -f two.yaml",
      prints: "configmap/two serverside-applied",
    },
    {
      run: "KUBECTL_APPLYSET=true kubectl apply --prune --applyset=configmaps/parent -n applysets --server-side -f two.yaml",
      prints: "configmap/two serverside-applied",
    },
  ],
};

export const patch: Section = {
  title: "patch, set, label, annotate",
  steps: [
    { run: "kubectl create deployment web --image=drydock.local/nginx:1", prints: "deployment.apps/web created" },
    {
      run: 'kubectl patch deployment web -p \'{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"drydock.local/busybox:1"}]}}}}\'',
      prints: "deployment.apps/web patched",
    },
    { run: "kubectl get deployment web -o jsonpath='{.spec.template.spec.containers[*].name}'", prints: "side nginx" },
    {
      run: 'kubectl patch deployment web -p \'{"spec":{"template":{"spec":{"containers":[{"$patch":"delete","name":"side"}]}}}}\'',
      prints: "deployment.apps/web patched",
    },
    {
      run: 'kubectl patch deployment web --type=merge -p \'{"spec":{"replicas":2}}\'',
      prints: "deployment.apps/web patched",
    },
    { run: "kubectl create configmap settings --from-literal=a=1", prints: "configmap/settings created" },
    {
      run: 'kubectl patch configmap settings --type=merge -p \'{"data":{"a":"1"}}\'',
      prints: "configmap/settings patched (no change)",
    },
    {
      run: 'kubectl patch deployment web --type=json -p \'[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":3}]\'',
      prints: "deployment.apps/web patched",
    },
    {
      run: 'kubectl patch deployment web --type=json -p \'[{"op":"test","path":"/spec/replicas","value":9}]\'',
      prints: "…test…",
      code: 1,
    },
    {
      run: 'kubectl patch deployment web --subresource=scale --type=merge -p \'{"spec":{"replicas":1}}\'',
      prints: "…web patched",
    },
    { run: "kubectl get deployment web --subresource=scale", prints: "NAME DESIRED AVAILABLE AGE\nweb 1 … …s" },
    {
      run: 'kubectl patch deployment web --subresource=status --type=merge -p \'{"status":{"observedGeneration":1}}\' -o name',
      prints: "deployment.apps/web",
    },
    {
      run: "kubectl patch deployment nobody -p '{}'",
      prints: 'Error from server (NotFound): deployments.apps "nobody" not found',
      code: 1,
    },
    {
      run: "kubectl set image deployment/web nginx=drydock.local/nginx:2",
      prints: "deployment.apps/web image updated",
    },
    { run: "kubectl set env deployment/web MODE=fast", prints: "deployment.apps/web env updated" },
    { run: "kubectl set env deployment/web --list", prints: "# Deployment web, container nginx\nMODE=fast" },
    {
      run: "kubectl set resources deployment web --requests=cpu=10m,memory=8Mi --limits=memory=16Mi",
      prints: "deployment.apps/web resource requirements updated",
    },
    { run: "kubectl create serviceaccount robot", prints: "serviceaccount/robot created" },
    { run: "kubectl set serviceaccount deployment web robot", prints: "deployment.apps/web serviceaccount updated" },
    {
      run: "kubectl create role reads --verb=get --resource=pods && kubectl create rolebinding reads --role=reads --user=eve",
      prints: "role.rbac.authorization.k8s.io/reads created\nrolebinding.rbac.authorization.k8s.io/reads created",
    },
    {
      run: "kubectl set subject rolebinding reads --serviceaccount=patch-set-label-annotate:robot",
      prints: "rolebinding.rbac.authorization.k8s.io/reads subjects updated",
    },
    { run: "kubectl create service clusterip web --tcp=80", prints: "service/web created" },
    { run: "kubectl set selector service web app=web,tier=front", prints: "service/web selector updated" },
    { run: "kubectl label deployment web tier=front", prints: "deployment.apps/web labeled" },
    { run: "kubectl label deployment web tier=front", prints: "deployment.apps/web not labeled" },
    {
      run: "kubectl label deployment web tier=back",
      prints: "error: 'tier' already has a value (front), and --overwrite is false",
      code: 1,
    },
    { run: "kubectl label deployment web tier=back --overwrite", prints: "deployment.apps/web labeled" },
    { run: "kubectl get deployments -l 'tier in (back,side),!gone' -o name", prints: "deployment.apps/web" },
    { run: "kubectl label deployment web tier-", prints: "deployment.apps/web unlabeled" },
    {
      run: "kubectl label deployments --all 'bad label=x'",
      prints:
        'The Deployment "web" is invalid: metadata.labels: Invalid value: "bad label": name part must consist of…',
      code: 1,
    },
    { run: "kubectl annotate deployment web note=mine", prints: "deployment.apps/web annotated" },
    { run: "kubectl annotate deployment web note-", prints: "deployment.apps/web annotated" },
  ],
};

export const rollout: Section = {
  title: "scale, autoscale, rollout, wait",
  steps: [
    {
      run: "kubectl create deployment web --image=drydock.local/nginx:1 --replicas=2",
      prints: "deployment.apps/web created",
    },
    {
      run: "kubectl rollout status deployment/web --timeout=60s",
      prints: '…\ndeployment "web" successfully rolled out',
    },
    { run: "kubectl scale deployment web --replicas=3", prints: "deployment.apps/web scaled" },
    {
      run: "kubectl scale deployment web --current-replicas=7 --replicas=1",
      prints: "error: Expected replicas to be 7, was 3",
      code: 1,
    },
    {
      run: "kubectl wait deployment/web --for=condition=Available --timeout=60s",
      prints: "deployment.apps/web condition met",
    },
    {
      run: "kubectl wait deployment/web --for=jsonpath='{.status.readyReplicas}'=3 --timeout=60s",
      prints: "deployment.apps/web condition met",
    },
    {
      run: "kubectl wait pod -l app=web --for=condition=Ready --timeout=60s",
      prints: "pod/web-… condition met\npod/web-… condition met\npod/web-… condition met",
    },
    {
      run: "kubectl set image deployment/web nginx=drydock.local/nginx:2",
      prints: "deployment.apps/web image updated",
    },
    {
      run: "kubectl rollout status deployment/web --timeout=60s | tail -n1",
      prints: 'deployment "web" successfully rolled out',
    },
    {
      run: "kubectl annotate deployment web kubernetes.io/change-cause='to 2'",
      prints: "deployment.apps/web annotated",
    },
    {
      run: "kubectl rollout history deployment/web",
      prints: "deployment.apps/web\nREVISION CHANGE-CAUSE\n1 <none>\n2 to 2",
      eventually: true,
    },
    { run: "kubectl rollout history deployment/web --revision=1 | grep Image", prints: "Image: drydock.local/nginx:1" },
    { run: "kubectl rollout undo deployment/web", prints: "deployment.apps/web rolled back" },
    {
      run: "kubectl rollout undo deployment/web --to-revision=99",
      prints: "error: unable to find specified revision 99 in history",
      code: 1,
    },
    { run: "kubectl rollout pause deployment/web", prints: "deployment.apps/web paused" },
    {
      run: "kubectl rollout restart deployment/web",
      prints: 'error: deployments.apps "web" can\'t restart paused deployment (run rollout resume first)',
      code: 1,
    },
    { run: "kubectl rollout resume deployment/web", prints: "deployment.apps/web resumed" },
    { run: "kubectl rollout restart deployment/web", prints: "deployment.apps/web restarted" },
    {
      run: "kubectl rollout status deployment/web --timeout=60s | tail -n1",
      prints: 'deployment "web" successfully rolled out',
    },
    {
      run: "kubectl autoscale deployment web --min=1 --max=4 --cpu-percent=80",
      prints: "horizontalpodautoscaler.autoscaling/web autoscaled",
      only: "1.32",
    },
    {
      run: "kubectl autoscale deployment web --min=1 --max=4 --cpu=80%",
      prints: "horizontalpodautoscaler.autoscaling/web autoscaled",
      only: "1.36",
    },
    {
      run: "kubectl get hpa web",
      prints: "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE\nweb Deployment/web cpu: …/80% 1 4 … …",
    },
    {
      run: "(sleep 2; kubectl delete hpa web > /dev/null) & kubectl wait hpa/web --for=delete --timeout=30s; wait",
      prints: "horizontalpodautoscaler.autoscaling/web condition met",
    },
    {
      run: "kubectl wait deployment/web --for=condition=Nonsense --timeout=1s",
      prints: "error: timed out waiting for the condition on deployments/web",
      code: 1,
    },
    {
      run: "kubectl scale deployment/web --replicas=0 && kubectl wait pod -l app=web --for=delete --timeout=60s | grep -vc 'condition met'",
      prints: "deployment.apps/web scaled\n0",
      code: 1,
    },
    { run: "kubectl wait --for=create deployment/web --timeout=5s", prints: "deployment.apps/web condition met" },
  ],
};
