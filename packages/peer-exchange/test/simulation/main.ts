import { simulateEclipse } from "./eclipse.ts";
import { simulateGrowth } from "./growth.ts";

/** Runs one simulation: `growth` or `eclipse`, with its options in JSON; prints the result in JSON. */
const [name = "", json = "{}"] = process.argv.slice(2);
const options: unknown = JSON.parse(json);
switch (name) {
  case "growth":
    console.log(
      JSON.stringify(await simulateGrowth(options as Parameters<typeof simulateGrowth>[0])),
    );
    break;
  case "eclipse":
    console.log(
      JSON.stringify(await simulateEclipse(options as Parameters<typeof simulateEclipse>[0])),
    );
    break;
  default:
    throw new Error(`there is no simulation ${name}`);
}
// A simulated network that has been measured need not be taken down.
process.exit(0);
