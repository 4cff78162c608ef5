/** Typed views of the kinds, from the published schema (types only; nothing of it is bundled). */
import type { IPod } from "kubernetes-models/v1/Pod";
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
import type { IPodStatus } from "kubernetes-models/v1/PodStatus";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IContainerStatus } from "kubernetes-models/v1/ContainerStatus";
import type { INode } from "kubernetes-models/v1/Node";
import type { INamespace } from "kubernetes-models/v1/Namespace";
import type { IService } from "kubernetes-models/v1/Service";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { ISecret } from "kubernetes-models/v1/Secret";
import type { IServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import type { IEvent } from "kubernetes-models/v1/Event";
import type { IEndpoints } from "kubernetes-models/v1/Endpoints";
import type { IEndpointSlice } from "kubernetes-models/discovery.k8s.io/v1/EndpointSlice";
import type { ILease } from "kubernetes-models/coordination.k8s.io/v1/Lease";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IReplicaSet } from "kubernetes-models/apps/v1/ReplicaSet";
import type { ICertificateSigningRequest } from "kubernetes-models/certificates.k8s.io/v1/CertificateSigningRequest";
import type { ObjectMeta } from "./object.ts";

/** A mapped type (not an interface), so that typed objects are assignable to KubeObject. */
type Typed<T> = { [K in keyof Omit<T, "metadata">]: T[K] } & { apiVersion: string; kind: string; metadata: ObjectMeta };

export type Pod = Typed<IPod>;
export type PodSpec = IPodSpec;
export type PodStatus = IPodStatus;
export type Container = IContainer;
export type ContainerStatus = IContainerStatus;
export type Node = Typed<INode>;
export type Namespace = Typed<INamespace>;
export type Service = Typed<IService>;
export type ConfigMap = Typed<IConfigMap>;
export type Secret = Typed<ISecret>;
export type ServiceAccount = Typed<IServiceAccount>;
export type Event = Typed<IEvent>;
export type Endpoints = Typed<IEndpoints>;
export type EndpointSlice = Typed<IEndpointSlice>;
export type Lease = Typed<ILease>;
export type Deployment = Typed<IDeployment>;
export type ReplicaSet = Typed<IReplicaSet>;
export type CertificateSigningRequest = Typed<ICertificateSigningRequest>;
