/** What an admission plug-in sees of a request, and what it may do with it. */
import type { GroupVersionResource, KubeObject } from "../../../common/kube/object.ts";
import type { User } from "../resources/definition.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

export interface AdmissionRequest {
  operation: Operation;
  gvr: GroupVersionResource;
  /** The kind of `object`; for a subresource with a body of its own (Binding, Eviction) that kind. */
  kind: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  user: User;
  dryRun: boolean;
  /** The new object; undefined for DELETE. Mutating plug-ins change it in place. For CONNECT its options, without metadata. */
  object?: KubeObject;
  /** What is stored now: UPDATE and DELETE. */
  old?: KubeObject;
  warn(message: string): void;
  /** Notes for the audit log; the first value of a key stays. */
  annotate?(key: string, value: string): void;
  /** Set by plug-ins that changed the object after others had seen it: the mutating phase then runs once more. */
  again?: boolean;
}

/** Refusals are StatusErrors (Forbidden, mostly). */
export interface AdmissionPlugin {
  name: string;
  /**
   * Asked for others than the registry's writes, too: CONNECT (exec, proxy…), and what is created without being stored
   * (Eviction, TokenRequest). Those who add things of their own to the cluster look at everything that happens in it.
   */
  intercepts?: boolean;
  /** The first phase: may change `request.object`. */
  mutate?(request: AdmissionRequest): void | Promise<void>;
  /** The second phase: sees what will be stored. */
  validate?(request: AdmissionRequest): void | Promise<void>;
}
