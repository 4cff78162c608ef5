/** Reviews of tokens, of users, and of what they may do. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { parseFieldSelector } from "../../../../common/kube/selector.ts";
import type { Auth } from "../../auth/index.ts";
import { anonymous } from "../../auth/types.ts";
import type { Attributes, FieldValue } from "../../auth/types.ts";
import type { User } from "../definition.ts";
import { invalidError } from "../invalid.ts";
import type { PolicyRule } from "../rbac/rbac.ts";
import { Problems } from "../validation/problems.ts";
import type { VirtualHandler, VirtualHandlers } from "./handler.ts";

type Asked = NonNullable<AccessSpec["resourceAttributes"]>;

interface AccessSpec {
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
    fieldSelector?: {
      rawSelector?: string;
      requirements?: { key?: string; operator?: string; values?: string[] }[];
    };
  };
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
}

interface UserInfo {
  username: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

const authorizationGroup = "authorization.k8s.io";
const specOf = <T>(object: KubeObject): T => (object["spec"] ?? {}) as T;

function userInfo(user: User): UserInfo {
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: user.groups,
    ...(user.extra && Object.keys(user.extra).length > 0 ? { extra: user.extra } : {}),
  };
}

function attributesOf(spec: AccessSpec): Attributes {
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec;
  if (path) return { verb: path.verb ?? "", nonResourcePath: path.path ?? "" };
  const {
    verb = "",
    group = "",
    version = "",
    resource = "",
    subresource,
    namespace,
    name,
    fieldSelector,
  } = asked ?? {};
  const fields = fieldSelector ? valuesOf(fieldSelector) : [];
  return {
    verb,
    group,
    version,
    resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(fields.length > 0 ? { fields } : {}),
  };
}

/** The fields that must equal a value; other requirements limit no authorizer of ours. Throws StatusError. */
function valuesOf({ rawSelector, requirements = [] }: Asked["fieldSelector"] & object): FieldValue[] {
  if (rawSelector) return parseFieldSelector(rawSelector).filter(({ equal }) => equal);
  return requirements.flatMap(({ key = "", operator, values = [] }) =>
    operator === "In" && values.length === 1 ? [{ field: key, value: values[0] as string }] : [],
  );
}

function check(object: KubeObject, kind: string, self: boolean, namespace?: string): AccessSpec {
  const spec = specOf<AccessSpec>(object);
  const problems = new Problems();
  if ((spec.resourceAttributes === undefined) === (spec.nonResourceAttributes === undefined)) {
    problems.invalid(
      "spec.resourceAttributes",
      spec.resourceAttributes ?? null,
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
  }
  if (!self && !spec.user && !spec.groups?.length) {
    problems.invalid("spec.user", spec.user ?? "", "at least one of user or group must be specified");
  }
  if (namespace !== undefined) {
    if (spec.nonResourceAttributes)
      problems.invalid("spec.nonResourceAttributes", spec.nonResourceAttributes, "disallowed on this kind of request");
    else if (spec.resourceAttributes?.namespace !== namespace) {
      problems.invalid(
        "spec.resourceAttributes.namespace",
        spec.resourceAttributes?.namespace ?? "",
        `must match metadata.namespace: ${namespace}`,
      );
    }
  }
  if (problems.causes.length > 0) throw invalidError({ group: authorizationGroup, kind }, "", problems.causes);
  return spec;
}

function accessReview(auth: Auth, kind: string, options: { self?: boolean; local?: boolean } = {}): VirtualHandler {
  return async (object, request) => {
    const spec = check(object, kind, options.self === true, options.local ? (request.namespace ?? "") : undefined);
    const user: User = options.self
      ? request.user
      : {
          name: spec.user ?? "",
          groups: spec.groups ?? [],
          ...(spec.uid ? { uid: spec.uid } : {}),
          ...(spec.extra ? { extra: spec.extra } : {}),
        };
    const { allowed, reason } = await auth.authorizer.authorize(user, attributesOf(spec));
    return { ...object, status: { allowed, ...(reason ? { reason } : {}) } };
  };
}

/** Rules as the review lists them: what is empty is left out. */
function listed(rules: readonly PolicyRule[], part: "nonResourceURLs" | "resources"): object[] {
  return rules
    .filter((rule) => (rule[part] ?? []).length > 0)
    .map(({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }) =>
      part === "resources"
        ? { verbs, apiGroups, resources, ...(resourceNames?.length ? { resourceNames } : {}) }
        : { verbs, nonResourceURLs },
    );
}

function tokenReview(auth: Auth): VirtualHandler {
  return async (object) => {
    const { token = "", audiences } = specOf<{ token?: string; audiences?: string[] }>(object);
    if (token === "") {
      const problems = new Problems();
      problems.required("spec.token");
      throw invalidError({ group: "authentication.k8s.io", kind: "TokenReview" }, "", problems.causes);
    }
    const answer = (status: object): KubeObject => ({
      ...object,
      spec: { token, ...(audiences ? { audiences } : {}) },
      status,
    });
    if (audiences?.length) {
      const verified = await auth.tokens.verify(token, audiences);
      if (verified) {
        return answer({ authenticated: true, user: userInfo(verified.user), audiences: verified.audiences });
      }
    } else {
      const user = await auth.authenticator.authenticate({ authorization: `Bearer ${token}` });
      if (user && user !== anonymous)
        return answer({ authenticated: true, user: userInfo(user), audiences: [auth.tokens.issuer] });
    }
    return answer({ user: {}, error: "invalid bearer token" });
  };
}

export function reviewHandlers(auth: Auth): VirtualHandlers {
  return new Map<string, VirtualHandler>([
    ["authentication.k8s.io/tokenreviews", tokenReview(auth)],
    [
      "authentication.k8s.io/selfsubjectreviews",
      async (object, { user }) => ({ ...object, status: { userInfo: userInfo(user) } }),
    ],
    [`${authorizationGroup}/subjectaccessreviews`, accessReview(auth, "SubjectAccessReview")],
    [`${authorizationGroup}/selfsubjectaccessreviews`, accessReview(auth, "SelfSubjectAccessReview", { self: true })],
    [
      `${authorizationGroup}/localsubjectaccessreviews`,
      accessReview(auth, "LocalSubjectAccessReview", { local: true }),
    ],
    [
      `${authorizationGroup}/selfsubjectrulesreviews`,
      async (object, { user }) => {
        const { namespace = "" } = specOf<{ namespace?: string }>(object);
        const rules = auth.rbac.rulesFor(user, namespace);
        return {
          ...object,
          status: {
            resourceRules: listed(rules, "resources"),
            nonResourceRules: listed(rules, "nonResourceURLs"),
            // What the node authorizer adds is not in here.
            incomplete: user.groups.includes("system:nodes"),
          },
        };
      },
    ],
  ]);
}
