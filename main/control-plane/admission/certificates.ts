/** CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may decide about a request, and for whom. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { RbacAuthorizer } from "../auth/rbac/authorizer.ts";
import { superusers } from "../auth/types.ts";
import { peekCertificateRequest } from "../pki/index.ts";
import { groupResource } from "../resources/reader.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

const REQUESTS = "certificatesigningrequests.certificates.k8s.io";
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";

const signerOf = (object: KubeObject | undefined): string =>
  (object?.["spec"] as { signerName?: string } | undefined)?.signerName ?? "";

/** Allowed for the signer, or for all of its domain ("example.com/*"). */
function may({ user }: AdmissionRequest, verb: string, signer: string, rbac: RbacAuthorizer): boolean {
  const attributes = { verb, group: "certificates.k8s.io", version: "*", resource: "signers" };
  const domain = signer.slice(0, signer.indexOf("/"));
  return [signer, `${domain}/*`].some((name) => rbac.decide(user, { ...attributes, name }).allowed);
}

const writes = (request: AdmissionRequest, subresource: string): boolean =>
  request.operation === "UPDATE" && request.subresource === subresource && groupResource(request.gvr) === REQUESTS;

export function certificateApproval(rbac: RbacAuthorizer): AdmissionPlugin {
  return {
    name: "CertificateApproval",
    validate(request) {
      if (!writes(request, "approval")) return;
      const signer = signerOf(request.old);
      if (!may(request, "approve", signer, rbac)) {
        throw forbid(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
      }
    },
  };
}

interface Status {
  certificate?: string;
  conditions?: { type?: string }[];
}
const failed = ({ conditions = [] }: Status): boolean => conditions.some(({ type }) => type === "Failed");

export function certificateSigning(rbac: RbacAuthorizer): AdmissionPlugin {
  return {
    name: "CertificateSigning",
    validate(request) {
      if (!writes(request, "status")) return;
      const before = (request.old?.["status"] ?? {}) as Status;
      const now = (request.object?.["status"] ?? {}) as Status;
      if (before.certificate === now.certificate && failed(before) === failed(now)) return;
      const signer = signerOf(request.old);
      if (!may(request, "sign", signer, rbac)) {
        throw forbid(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
      }
    },
  };
}

/** Nobody becomes an administrator for good by a certificate. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  validate(request) {
    if (!on(request, "CREATE", REQUESTS) || signerOf(request.object) !== CLIENT_SIGNER) return;
    const { request: encoded = "" } = (request.object?.["spec"] ?? {}) as { request?: string };
    const { organizations } = peekCertificateRequest(Buffer.from(encoded, "base64").toString("utf8"));
    if (organizations.includes(superusers)) {
      throw forbid(request, `use of ${CLIENT_SIGNER} signer with ${superusers} group is not allowed`);
    }
  },
};
