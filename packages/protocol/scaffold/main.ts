import { join } from "node:path";
import { parseArgs } from "node:util";

import { createNewProtocol } from "./new-protocol.ts";

const USAGE = `usage: new:protocol NAME [--wire NAME]
  NAME     the package: lowercase words joined by hyphens, as in demo-thing
  --wire   the name on the wire, 1 to 8 letters and digits; the beginning of NAME by default`;

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { wire: { type: "string" } },
  });
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0) throw new Error(USAGE);
  const root = join(import.meta.dirname, "..", "..", "..");
  const { names, created, changed } = await createNewProtocol({ root, name, wire: values.wire });
  process.stdout.write(`made packages/${name} and examples/${name}: ${names.wire}/1 on the wire
  ${created.join("\n  ")}
changed, so that the workspace knows them:
  ${changed.join("\n  ")}
next, and pnpm-lock.yaml follows by itself:
  npx -y pnpm@12 check && npx -y pnpm@12 test packages/${name} examples/${name}
  npx -y pnpm@12 example:${name}
`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const { message } = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(`new:protocol: ${message}\n`);
  process.exitCode = 1;
}
