/**
 * How Node is to run a control plane, for all who start one. Left to itself V8 lets 128 MB of young objects and
 * as much old garbage as there are old objects stand around; of a large cluster that is a gigabyte. Smaller heaps
 * are collected more often, each time for a shorter while.
 */
export const controlPlaneFlags = ["--max-semi-space-size=16", "--heap-growing-percent=50"];
