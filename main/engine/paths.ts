/** Kept here for whoever looks for the engine's paths: they are the computer's, in main/host. */
export * from "../host/paths.ts";
