export const controlPlaneFlags: readonly string[];
