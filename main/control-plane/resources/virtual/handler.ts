/** What answers a request that is neither stored nor a part of something stored. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { User } from "../definition.ts";

export interface VirtualRequest {
  user: User;
  namespace?: string;
  /** The parent's name, for subresources. */
  name?: string;
  dryRun: boolean;
}

/** Returns what the client gets (a Status where nothing else is to say). Throws StatusError. */
export type VirtualHandler = (object: KubeObject, request: VirtualRequest) => Promise<KubeObject>;

/** "authorization.k8s.io/subjectaccessreviews", "/pods/eviction" */
export type VirtualHandlers = Map<string, VirtualHandler>;

export function success(): KubeObject {
  return { apiVersion: "v1", kind: "Status", metadata: {}, status: "Success" };
}
