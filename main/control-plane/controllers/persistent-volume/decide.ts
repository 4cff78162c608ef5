/**
 * What the state of a claim and of a volume should be. Binding is two references that must agree: the volume's
 * `claimRef` is written first, then the claim's `volumeName`, so that a stop between leaves a volume that is reserved
 * and nothing that is lost. Pure.
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from "../../../../common/kube/types.ts";
import { chooseVolume, classOf, isReservedFor, misfit, sameMode } from "./match.ts";

export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
/** Who wrote the reference: one that the user wrote is never taken back. */
export const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
export const STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner";
const BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner";
const NO_PROVISIONER = "kubernetes.io/no-provisioner";

export interface Note {
  type: "Normal" | "Warning";
  reason: string;
  message: string;
}

export type ClaimDecision =
  | { kind: "bind"; volume: PersistentVolume }
  | { kind: "wait"; note: Note; annotations?: Record<string, string> }
  | { kind: "pending" }
  | { kind: "lost"; note: Note };

export interface ClaimInput {
  claim: PersistentVolumeClaim;
  class: StorageClass | undefined;
  volumes: ReadonlyMap<string, PersistentVolume> | { get(name: string): PersistentVolume | undefined };
  /** All of them; asked for only when one must be chosen. */
  all(): Iterable<PersistentVolume>;
  /** Pods that use the claim and have no node yet. */
  waitingPods: readonly Pod[];
}

export function decideClaim(input: ClaimInput): ClaimDecision {
  const { claim } = input;
  if (claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) return decideBound(input);
  const named = claim.spec?.volumeName;
  if (!named) return decideUnbound(input);
  const volume = input.volumes.get(named);
  if (!volume) return { kind: "pending" };
  if (!volume.spec?.claimRef) {
    const why = misfit(volume, claim);
    if (why === undefined) return { kind: "bind", volume };
    const message = `Cannot bind to requested volume "${named}": ${why}`;
    return { kind: "wait", note: { type: "Warning", reason: "VolumeMismatch", message } };
  }
  if (isReservedFor(volume, claim)) return { kind: "bind", volume };
  const message = `volume "${named}" already bound to a different claim.`;
  return { kind: "wait", note: { type: "Warning", reason: "FailedBinding", message } };
}

function decideBound({ claim, volumes }: ClaimInput): ClaimDecision {
  const lost = (reason: string, message: string): ClaimDecision => ({
    kind: "lost",
    note: { type: "Warning", reason, message },
  });
  const named = claim.spec?.volumeName;
  if (!named)
    return lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!");
  const volume = volumes.get(named);
  if (!volume) return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
  if (!volume.spec?.claimRef || isReservedFor(volume, claim)) return { kind: "bind", volume };
  return lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly");
}

function decideUnbound({ claim, class: storageClass, all, waitingPods }: ClaimInput): ClaimDecision {
  const annotations = claim.metadata.annotations ?? {};
  const delayed = storageClass?.volumeBindingMode === "WaitForFirstConsumer";
  // Once a node is selected, the scheduler has found no volume there: one is to be made.
  const volume = chooseVolume(claim, all(), delayed);
  if (volume) return { kind: "bind", volume };
  const normal = (reason: string, message: string): ClaimDecision => ({
    kind: "wait",
    note: { type: "Normal", reason, message },
  });
  if (delayed && annotations[SELECTED_NODE] === undefined) {
    const [pod] = waitingPods;
    return pod
      ? normal("WaitForPodScheduled", `waiting for pod ${pod.metadata.name} to be scheduled`)
      : normal("WaitForFirstConsumer", "waiting for first consumer to be created before binding");
  }
  const className = classOf(claim);
  if (className === "")
    return normal("FailedBinding", "no persistent volumes available for this claim and no storage class is set");
  const failed = (message: string): ClaimDecision => ({
    kind: "wait",
    note: { type: "Warning", reason: "ProvisioningFailed", message },
  });
  if (!storageClass) return failed(`storageclass.storage.k8s.io "${className}" not found`);
  const { provisioner } = storageClass;
  if (provisioner === NO_PROVISIONER) return failed(`no volume plugin matched name: ${provisioner}`);
  return {
    kind: "wait",
    note: {
      type: "Normal",
      reason: "ExternalProvisioning",
      message: `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
    },
    annotations: { [STORAGE_PROVISIONER]: provisioner, [BETA_STORAGE_PROVISIONER]: provisioner },
  };
}

export type VolumeDecision =
  | { kind: "phase"; phase: "Available" | "Bound" | "Released" }
  /** Bound by us to a claim that took another volume: free again. */
  | { kind: "unbind" }
  /** Its claim is to look at it. */
  | { kind: "ask-claim" }
  /** It and the claim that it names can never be bound to each other. */
  | { kind: "mismatch"; note: Note; claimNote: Note }
  /** Released, and nothing of it has to be kept. */
  | { kind: "delete" }
  | { kind: "fail"; note: Note };

/** `claim` is the one that the volume's claimRef names, if it is still the same. */
export function decideVolume(volume: PersistentVolume, claim: PersistentVolumeClaim | undefined): VolumeDecision {
  const reference = volume.spec?.claimRef;
  // Reserved by name only: nobody's until that claim comes.
  if (!reference || !reference.uid) return claim ? { kind: "ask-claim" } : { kind: "phase", phase: "Available" };
  if (!claim || claim.metadata.uid !== reference.uid) return decideReleased(volume);
  if (!claim.spec?.volumeName) return sameMode(volume, claim) ? { kind: "ask-claim" } : mismatch(volume, claim);
  if (claim.spec.volumeName === volume.metadata.name) return { kind: "phase", phase: "Bound" };
  if (volume.metadata.annotations?.[PROVISIONED_BY] && volume.spec?.persistentVolumeReclaimPolicy === "Delete")
    return { kind: "phase", phase: "Released" };
  return { kind: "unbind" };
}

function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): VolumeDecision {
  const note = (what: string, to: string): Note => ({
    type: "Warning",
    reason: "VolumeMismatch",
    message: `Cannot bind PersistentVolume${what} to requested PersistentVolumeClaim${to} due to incompatible volumeMode.`,
  });
  return {
    kind: "mismatch",
    note: note("", ` "${claim.metadata.name}"`),
    claimNote: note(` "${volume.metadata.name}"`, ""),
  };
}

/** Kubernetes empties folders of such paths only: what it calls deleting a volume of kind `hostPath`. */
const DELETABLE_PATH = /\/tmp\/.+/;

function decideReleased(volume: PersistentVolume): VolumeDecision {
  const policy = volume.spec?.persistentVolumeReclaimPolicy ?? "Retain";
  // What a provisioner made, it removes itself when it sees it released.
  const released = volume.status?.phase === "Released" || volume.status?.phase === "Failed";
  if (!released || policy === "Retain" || volume.metadata.annotations?.[PROVISIONED_BY])
    return { kind: "phase", phase: "Released" };
  const fail = (reason: string, message: string): VolumeDecision => ({
    kind: "fail",
    note: { type: "Warning", reason, message },
  });
  if (policy === "Recycle") return fail("VolumeFailedRecycle", "No recycler plugin found for the volume!");
  const folder = volume.spec?.hostPath?.path;
  if (folder === undefined)
    return fail(
      "VolumeFailedDelete",
      `error getting deleter volume plugin for volume "${volume.metadata.name}": no deletable volume plugin matched`,
    );
  // As there, the folder goes that the controllers see, never one of a node: here, none.
  if (DELETABLE_PATH.test(folder)) return { kind: "delete" };
  return fail("VolumeFailedDelete", `host_path deleter only supports /tmp/.+ but received provided ${folder}`);
}
