import { main } from "../src/soak/cli.ts";

process.exitCode = await main(process.argv.slice(2), process.stdout);
