import { simulateEclipse } from "./eclipse.ts";
import { simulateGrowth } from "./growth.ts";
import { measureLoopback } from "./loopback.ts";

/** What can be run: each takes its options and gives its figures as JSON. */
const RUNS: Readonly<Record<string, ((options: never) => Promise<unknown>) | undefined>> = {
  eclipse: simulateEclipse,
  growth: simulateGrowth,
  loopback: measureLoopback,
};

const [name = "", json = "{}"] = process.argv.slice(2);
const run = RUNS[name];
if (run === undefined) throw new Error(`there are ${Object.keys(RUNS).join(", ")}, and no ${name}`);
console.log(JSON.stringify(await run(JSON.parse(json) as never)));
// A simulated network that has been measured need not be taken down.
process.exit(0);
