/** Webhook configurations as they are now, in the order in which they are asked, with their conditions compiled. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Reader } from "../../resources/reader.ts";
import { compileAll } from "../expressions.ts";
import type { CompiledExpression, NamedExpression } from "../expressions.ts";
import type { Rule } from "../matching.ts";
import type { ClientConfig } from "../../outbound/webhook-client.ts";

export interface Webhook {
  name: string;
  clientConfig?: ClientConfig;
  rules?: Rule[];
  failurePolicy?: string;
  matchPolicy?: string;
  namespaceSelector?: LabelSelectorObject;
  objectSelector?: LabelSelectorObject;
  timeoutSeconds?: number;
  reinvocationPolicy?: string;
  matchConditions?: NamedExpression[];
}

export interface PreparedWebhook {
  /** Of all webhooks of all configurations, this one. */
  id: string;
  configuration: string;
  webhook: Webhook;
  conditions: CompiledExpression[];
}

/** Prepared anew only when a configuration changes: the usual request costs one comparison. */
export function configurations(reader: Reader, resource: string): () => readonly PreparedWebhook[] {
  let version = -1;
  let prepared: PreparedWebhook[] = [];
  return () => {
    const now = reader.version(resource);
    if (now === version) return prepared;
    const all = [...reader.list(resource)] as (KubeObject & { webhooks?: Webhook[] })[];
    prepared = all
      .toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1))
      .flatMap(({ metadata: { name: configuration = "" }, webhooks = [] }) =>
        webhooks.map((webhook) => ({
          id: `${configuration}/${webhook.name}`,
          configuration,
          webhook,
          conditions: compileAll(webhook.matchConditions),
        })),
      );
    version = now;
    return prepared;
  };
}
