import { Worker } from "node:worker_threads";

import { main } from "../src/fuzz/cli.ts";

/** A thread does not take over what runs TypeScript in this one. */
const BOOT = `
  const { workerData } = require("node:worker_threads");
  import(workerData.tsx).then(({ register }) => {
    register();
    return import(workerData.entry);
  });
`;

process.exitCode = await main(process.argv.slice(2), process.stdout, (work) => {
  const tsx = import.meta.resolve("tsx/esm/api");
  const entry = import.meta.resolve("./fuzz-worker.ts");
  return new Worker(BOOT, { eval: true, workerData: { ...work, tsx, entry } });
});
