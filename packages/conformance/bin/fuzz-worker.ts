import { parentPort, workerData } from "node:worker_threads";

import { fuzzTargets } from "../src/fuzz/cli.ts";
import type { FuzzWork } from "../src/fuzz/cli.ts";

fuzzTargets(workerData as FuzzWork, (report) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(report);
});
