/**
 * Secrets of type kubernetes.io/service-account-token: gives them the token, the authority and the namespace of the
 * ServiceAccount they name, and removes them when it is gone.
 */
import { isStatus } from "../../../../common/kube/status.ts";
import type { Secret, ServiceAccount } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";

const TYPE = "kubernetes.io/service-account-token";
const NAME = "kubernetes.io/service-account.name";
const UID = "kubernetes.io/service-account.uid";
const BY_ACCOUNT = "service account";
/** An account that was made a moment ago may not have been seen yet. */
const GRACE_MILLIS = 10_000;

export const tokensController: ControllerDefinition = {
  name: "serviceaccount-token-controller",
  concurrency: 4,
  setup({ client, informers, clock, ca, issueToken }, keys) {
    const accounts = informers.for<ServiceAccount>(kinds.serviceAccounts);
    const secrets = follow(informers.for<Secret>(kinds.secrets, { fieldSelector: `type=${TYPE}` }), keys);
    secrets.addIndex(BY_ACCOUNT, ({ metadata }) => [`${metadata.namespace}/${metadata.annotations?.[NAME] ?? ""}`]);
    follow(accounts, keys, ({ metadata }) =>
      secrets
        .byIndex(BY_ACCOUNT, `${metadata.namespace}/${metadata.name}`)
        .map((secret) => `${secret.metadata.namespace}/${secret.metadata.name}`),
    );
    return {
      async reconcile(key) {
        const secret = secrets.get(key);
        if (!secret || secret.metadata.deletionTimestamp !== undefined) return undefined;
        const { namespace = "", name = "", uid = "", annotations = {}, creationTimestamp = "" } = secret.metadata;
        const account = accounts.get(`${namespace}/${annotations[NAME]}`);
        if (!account || (annotations[UID] !== undefined && annotations[UID] !== account.metadata.uid)) {
          const left = Date.parse(creationTimestamp) + GRACE_MILLIS - clock.now();
          if (left > 0) return { again: left };
          const { group, version, resource } = kinds.secrets;
          try {
            await client.delete({ group, version, resource, namespace, name }, { preconditions: { uid } });
          } catch (error) {
            if (!isStatus(error, "NotFound")) throw error;
          }
          return undefined;
        }
        const data = { ...(secret.data as Record<string, string> | undefined) };
        const accountUid = account.metadata.uid ?? "";
        if (!data["token"] && issueToken) {
          const subject = { namespace, name: account.metadata.name ?? "", uid: accountUid };
          data["token"] = btoa(await issueToken(subject, { name, uid }));
        }
        data["ca.crt"] = btoa(ca.certificate);
        data["namespace"] = btoa(namespace);
        await commit(client, kinds.secrets, secret, {
          ...secret,
          metadata: { ...secret.metadata, annotations: { ...annotations, [UID]: accountUid } },
          data,
        } as Secret);
        return undefined;
      },
    };
  },
};
