/** CertificateSigningRequests: who asked is recorded at creation; approval and signing are two other doors. */
import { copyOf } from "../../../../common/kube/copy.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { CertificateSigningRequest } from "../../../../common/kube/types.ts";
import { peekCertificateRequest } from "../../pki/index.ts";
import type { RequestContext, ResourceDefinition, SubresourceDefinition } from "../definition.ts";
import { define, shows, showsAge, table, withStatus } from "../define.ts";
import { humanDuration } from "../duration.ts";
import { pathSegmentProblems } from "../../../../common/kube/names.ts";
import { Problems, same } from "../validation/problems.ts";

type Request = CertificateSigningRequest;
type Spec = NonNullable<Request["spec"]>;
type Condition = { type: string; status?: string; lastUpdateTime?: string; lastTransitionTime?: string };

const usages = new Set([
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
]);

const specOf = (object: KubeObject): Spec => ((object as Request).spec ?? {}) as Spec;
const conditionsOf = (object: KubeObject): Condition[] =>
  ((object["status"] as { conditions?: Condition[] } | undefined)?.conditions ?? []) as Condition[];

function recordRequester(object: KubeObject, context: RequestContext): void {
  const spec = { ...specOf(object) } as Record<string, unknown>;
  const { name, uid, groups, extra } = context.user;
  Object.assign(spec, { username: name, groups: [...groups] });
  if (uid) spec["uid"] = uid;
  else delete spec["uid"];
  if (extra && Object.keys(extra).length > 0) spec["extra"] = extra;
  else delete spec["extra"];
  object["spec"] = spec;
}

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  try {
    peekCertificateRequest(Buffer.from(String(spec.request ?? ""), "base64").toString("utf8"));
  } catch (error) {
    problems.invalid("spec.request", spec.request ?? "", (error as Error).message);
  }
  const asked = spec.usages ?? [];
  if (asked.length === 0) problems.required("spec.usages");
  asked.forEach((usage, index) => {
    if (!usages.has(usage)) problems.notSupported(`spec.usages[${index}]`, usage, [...usages]);
    if (asked.indexOf(usage) < index) problems.duplicate(`spec.usages[${index}]`, usage);
  });
  if (!spec.signerName) problems.required("spec.signerName");
  else if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/.+$/.test(spec.signerName)) {
    problems.invalid(
      "spec.signerName",
      spec.signerName,
      "must be a fully qualified domain and path of the form 'example.com/signer-name'",
    );
  } else if (spec.signerName === "kubernetes.io/legacy-unknown") {
    problems.invalid("spec.signerName", spec.signerName, "the legacy signerName is not allowed via this API version");
  }
  const seconds = spec.expirationSeconds;
  if (seconds !== undefined && seconds < 600) {
    problems.invalid(
      "spec.expirationSeconds",
      seconds,
      "may not specify a duration less than 600 seconds (10 minutes)",
    );
  }
  return problems.causes;
}

/** Conditions get their times; Approved and Denied exclude each other and are never taken back. */
function stampConditions(object: KubeObject, context: RequestContext): void {
  const now = `${context.now().toISOString().slice(0, 19)}Z`;
  for (const condition of conditionsOf(object)) {
    condition.lastUpdateTime ??= now;
    condition.lastTransitionTime ??= now;
    condition.status ??= "True";
  }
}

const decided = (object: KubeObject, type: string): boolean => conditionsOf(object).some((one) => one.type === type);

function validateConditions(object: KubeObject, old: KubeObject, door: "approval" | "status"): StatusCause[] {
  const problems = new Problems();
  if (decided(object, "Approved") && decided(object, "Denied")) {
    problems.invalid(
      "status.conditions",
      conditionsOf(object).map(({ type }) => type),
      "Approved and Denied conditions are mutually exclusive",
    );
  }
  for (const type of ["Approved", "Denied", "Failed"]) {
    const locked = door === "status" ? type !== "Failed" : true;
    if (decided(old, type) && !decided(object, type)) {
      problems.forbidden("status.conditions", `updates may not remove a condition of type ${JSON.stringify(type)}`);
    }
    if (door === "status" && locked && !decided(old, type) && decided(object, type)) {
      problems.forbidden("status.conditions", `updates may not add a condition of type ${JSON.stringify(type)}`);
    }
  }
  const issued = (one: KubeObject): unknown => (one["status"] as { certificate?: string } | undefined)?.certificate;
  if (door === "status" && issued(old) && !same(issued(object), issued(old))) {
    problems.forbidden("status.certificate", "updates may not set certificate content to a different value");
  }
  return problems.causes;
}

function door(name: "approval" | "status"): SubresourceDefinition {
  return {
    name,
    verbs: ["get", "patch", "update"],
    prepareForUpdate(object, old, context) {
      const updated: KubeObject = { ...copyOf(old), metadata: object.metadata };
      const status = { ...(object["status"] as Record<string, unknown> | undefined) };
      const before = (old["status"] ?? {}) as Record<string, unknown>;
      if (name === "approval") {
        // An approver says nothing about the certificate.
        if (before["certificate"] === undefined) delete status["certificate"];
        else status["certificate"] = before["certificate"];
      }
      updated["status"] = status;
      stampConditions(updated, context);
      return updated;
    },
    validateUpdate: (object, old) => validateConditions(object, old, name),
  };
}

/** "Pending", "Approved,Issued", "Denied", "Approved,Failed" */
export function requestCondition(object: KubeObject): string {
  const states = ["Approved", "Denied", "Failed"].filter((type) => decided(object, type));
  if (decided(object, "Denied")) return "Denied";
  const shown = states.length === 0 ? ["Pending"] : states;
  if ((object["status"] as { certificate?: string } | undefined)?.certificate) shown.push("Issued");
  return shown.join(",");
}

export const certificateSigningRequest: ResourceDefinition = define({
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  resource: "certificatesigningrequests",
  shortNames: ["csr"],
  namespaced: false,
  nameProblems: pathSegmentProblems,
  strategy: withStatus({
    prepareForCreate: recordRequester,
    prepareForUpdate(object, old) {
      object["spec"] = old["spec"];
    },
    validate,
  }),
  table: table<Request>(
    showsAge,
    shows("SignerName", "Who is to sign", (one) => specOf(one).signerName ?? "<none>"),
    shows("Requestor", "Who asked", (one) => specOf(one).username ?? ""),
    shows("RequestedDuration", "How long it is wanted for", (one) => {
      const seconds = specOf(one).expirationSeconds;
      return seconds === undefined ? "<none>" : humanDuration(seconds * 1000);
    }),
    shows("Condition", "How far it is", requestCondition),
  ),
  selectableFields: { "spec.signerName": (object) => specOf(object).signerName ?? "" },
  subresources: [door("status"), door("approval")],
});
