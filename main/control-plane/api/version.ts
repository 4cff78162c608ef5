/** The API level we speak, as /version says it. */
export const serverVersion = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+drydock",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "2026-04-22T00:00:00Z",
  goVersion: "",
  compiler: "drydock",
  platform: "linux/amd64",
  emulationMajor: "1",
  emulationMinor: "36",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "35",
} as const;
