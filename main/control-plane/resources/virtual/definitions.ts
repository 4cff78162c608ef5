/** Kinds that are asked, not stored: reviews of tokens and permissions, and bindings. */
import { bindingKind, validateBinding } from "../core/pod/binding.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, defineVirtual } from "../define.ts";

const authentication = { group: "authentication.k8s.io", version: "v1", namespaced: false } as const;
const authorization = { group: "authorization.k8s.io", version: "v1", namespaced: false } as const;

export const virtualKinds: ResourceDefinition[] = [
  defineVirtual({ ...authentication, kind: "TokenReview", resource: "tokenreviews" }),
  defineVirtual({ ...authentication, kind: "SelfSubjectReview", resource: "selfsubjectreviews" }),
  defineVirtual({ ...authorization, kind: "SubjectAccessReview", resource: "subjectaccessreviews" }),
  defineVirtual({ ...authorization, kind: "SelfSubjectAccessReview", resource: "selfsubjectaccessreviews" }),
  defineVirtual({ ...authorization, kind: "SelfSubjectRulesReview", resource: "selfsubjectrulesreviews" }),
  defineVirtual({
    ...authorization,
    namespaced: true,
    kind: "LocalSubjectAccessReview",
    resource: "localsubjectaccessreviews",
  }),
  define({
    ...bindingKind,
    resource: "bindings",
    verbs: ["create"],
    virtual: true,
    strategy: { validate: validateBinding },
  }),
];
