/** What the control plane's volume provisioner and the nodes' agents agree on. */

/** The provisioner of the StorageClass `standard`, as it stands in claims and volumes. */
export const LOCAL_DISK_PROVISIONER = "drydock.local/disk";
/** On every node: one folder for each PersistentVolume, by its name. */
export const LOCAL_DISK_FOLDER = "/var/lib/drydock/volumes";
/** In that folder: the volume's files, or the one file behind a block volume. */
export const LOCAL_DISK_DATA = "data";
