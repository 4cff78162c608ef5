/**
 * What a kind is to the API server: one definition, from which the generic registry
 * (`api/registry`) does everything else. Built-in and custom resources go the same way.
 */
import type { KeyValue } from "../store/store.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { StatusCause } from "../../../common/kube/status.ts";

export type Verb = "create" | "delete" | "deletecollection" | "get" | "list" | "patch" | "update" | "watch";

/** Who asks. Groups include system:authenticated or system:unauthenticated. */
export interface User {
  name: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

/** What strategies and validators may know of the request. */
export interface RequestContext {
  user: User;
  verb: "create" | "update" | "delete" | "patch" | "get";
  subresource?: string;
  dryRun: boolean;
  /** Adds a `Warning: 299` header to the answer. */
  warn(message: string): void;
  now(): Date;
}

export interface Column {
  name: string;
  /** OpenAPI type: string, integer, number, boolean, date */
  type: string;
  format?: string;
  description: string;
  /** 0 is shown by default; 1 only with -o wide. */
  priority: number;
}

export type Cell = string | number | boolean | null;

export interface TableDefinition {
  /** The columns after Name (which every table begins with); Age is added by the kind itself where it has one. */
  columns: Column[];
  /** Set where the kind lists its Name column itself, in `columns` (Events, which begin with Last Seen). */
  placesName?: boolean;
  /** The cells in the columns' order, the name first (unless `placesName`). */
  cells(object: KubeObject, now: Date): Cell[];
}

/**
 * The life of an object of this kind, in the order the registry calls it. All are pure with respect to
 * the store; they may change `object` in place. Defaults come from the schema facts before any of them.
 */
export interface Strategy {
  /** Conditional or computed defaults that data cannot say (facts give the constant ones). */
  defaults?(object: KubeObject): void;
  /** Clears what clients may not set (status), sets what the server owns. */
  prepareForCreate?(object: KubeObject, context: RequestContext): void;
  /** Reset fields that this write may not touch; raises nothing: generation is the registry's. */
  prepareForUpdate?(object: KubeObject, old: KubeObject, context: RequestContext): void;
  validate?(object: KubeObject, context: RequestContext): StatusCause[];
  validateUpdate?(object: KubeObject, old: KubeObject, context: RequestContext): StatusCause[];
  /** `Warning` headers for legal but doubtful input. */
  warnings?(object: KubeObject): string[];
  /** An update without resourceVersion is allowed (most kinds: yes). Default true. */
  allowUnconditionalUpdate?: boolean;
  /** PUT to a name that does not exist creates it (Lease, Event, Endpoints…). Default false. */
  allowCreateOnUpdate?: boolean;
  /** The seconds a graceful delete may take; undefined or 0 deletes at once. Pods only, today. */
  gracePeriodSeconds?(object: KubeObject, requested: number | undefined): number | undefined;
  /** Where the kind's default when a delete names no propagationPolicy is not Background. */
  defaultPropagation?: "Orphan" | "Background";
  /**
   * Takes what the object needs from a pool outside itself (cluster IPs, node ports), just before it is
   * stored and after its own validation, writing what it got into `object`. Runs without an await, so two
   * requests never get the same. The registry calls `commit` once the write is durable, `rollback` when it
   * failed or was a dry run. Throws StatusError when the pool is empty or the wish is taken.
   */
  claim?(object: KubeObject, old: KubeObject | undefined, context: RequestContext): Claim;
  /** The object has left the store: what it held goes back to its pool. */
  released?(object: KubeObject): void;
}

export interface Claim {
  commit(): void;
  rollback(): void;
}

export interface SubresourceDefinition {
  name:
    | "status"
    | "scale"
    | "eviction"
    | "binding"
    | "log"
    | "exec"
    | "attach"
    | "portforward"
    | "proxy"
    | "token"
    | "approval"
    | "finalize"
    | "ephemeralcontainers"
    | "resize"
    | (string & {});
  /** GVK of its body where it is not the parent's (Scale, Eviction, Binding, TokenRequest). */
  kind?: { group: string; version: string; kind: string };
  verbs: Verb[];
  /** Who asks for it of an object that is not there is told so of `deployments/scale`, not of `deployments`. */
  missedByItsOwnName?: boolean;
  /** What GET shows and a write answers with, where it is not the parent itself (Scale). */
  read?(parent: KubeObject): KubeObject;
  /** Throws StatusError where GET has nothing to show, though it may be written (a Scale without replicas). */
  readable?(parent: KubeObject): void;
  /** How it is shown as a Table, where its body is of another kind. Default: name and age. */
  table?: TableDefinition;
  /**
   * For subresources that are a partial write of the parent (status, finalize, approval, ephemeralcontainers,
   * resize; also Scale and Binding, whose body is of another kind): takes only its own part from `object`
   * onto a copy of `old`, and returns that copy. May throw StatusError.
   */
  prepareForUpdate?(object: KubeObject, old: KubeObject, context: RequestContext): KubeObject;
  /** Problems of the request's body, before it touches the parent (Scale, Binding). */
  validate?(object: KubeObject, context: RequestContext): StatusCause[];
  validateUpdate?(object: KubeObject, old: KubeObject, context: RequestContext): StatusCause[];
  /** A successful write answers with a `Status` (binding) instead of the object. */
  answersStatus?: boolean;
  /**
   * Neither a view nor a partial write of the parent: a handler of `resources/virtual` (token, eviction) or the
   * streaming side (log, exec, attach, portforward, proxy) answers.
   */
  handled?: boolean;
}

export interface ComputedQuery {
  labelSelector?: string;
  fieldSelector?: string;
}

/** Conversion that takes time (a webhook's): items are prepared before they are looked at. */
export interface AsyncConversion {
  /** Makes `fromStored` ready for these. Throws StatusError. */
  prepare(items: readonly KeyValue[]): Promise<void>;
  /** `object`: what is stored of a prepared item, maybe without its managedFields. */
  fromStored(item: KeyValue, object: KubeObject): KubeObject;
  toStored(object: KubeObject): Promise<KubeObject>;
  /** To any version of the kind. */
  convert(object: KubeObject, apiVersion: string): Promise<KubeObject>;
}

export interface ResourceDefinition {
  group: string;
  version: string;
  /** Plural: "pods" */
  resource: string;
  singular: string;
  kind: string;
  /** Default `${kind}List` */
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
  namespaced: boolean;
  verbs: Verb[];
  /** True where spec changes raise metadata.generation. */
  hasGeneration: boolean;
  strategy: Strategy;
  table?: TableDefinition;
  /**
   * Selectable fields beyond metadata.name and metadata.namespace, e.g.
   * { "spec.nodeName": (pod) => pod.spec.nodeName ?? "" }.
   */
  selectableFields?: Record<string, (object: KubeObject) => string>;
  subresources?: SubresourceDefinition[];
  /** Never stored: POST only, answered by a handler of `resources/virtual` (SubjectAccessReview, TokenReview…). */
  virtual?: boolean;
  /** Told with every answer of a kind that is on its way out: what to use in its place. */
  deprecation?: string;
  /** Never stored either: what GET of one and of all answers is made when it is asked for (metrics.k8s.io). */
  computed?: {
    get(namespace: string | undefined, name: string): Promise<KubeObject>;
    list(namespace: string | undefined, query: ComputedQuery): Promise<KubeObject[]>;
  };
  /**
   * Stored as the kind of another definition, of which this is a second view (events.k8s.io/v1 over core
   * Events): the storage's group, version, resource, and the conversions both ways.
   */
  storedAs?: {
    group: string;
    version: string;
    resource: string;
    toStored(object: KubeObject): KubeObject;
    fromStored(object: KubeObject): KubeObject;
    /** In place of the two above, where there is one. */
    conversion?: AsyncConversion;
  };
  /** Finalizers need not be qualified (custom resources and their definitions). */
  anyFinalizer?: boolean;
  /** Of a kind that is not served for ever: whoever watches it is told of its end. */
  lifetime?: { onEnd(listener: () => void): () => void };
  /** Names must be… (default: an RFC 1123 subdomain). Returns what is wrong with one. */
  nameProblems?(name: string): string[];
}
