import { join } from "node:path";

import { createNewProtocol } from "./new-protocol.ts";
import { readArgs, WrongCall } from "./wrong-call.ts";

const USAGE = `usage: new:protocol NAME [--wire NAME]
  NAME     the package: lowercase words joined by hyphens, as in demo-thing
  --wire   the name on the wire, 1 to 8 letters and digits; the beginning of NAME by default`;

async function main(args: string[]): Promise<void> {
  const { values, positionals } = readArgs({
    args,
    allowPositionals: true,
    options: { wire: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0) throw new WrongCall("expected one NAME");
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
  const isWrongCall = error instanceof WrongCall;
  process.stderr.write(`new:protocol: ${message}\n${isWrongCall ? `${USAGE}\n` : ""}`);
  process.exitCode = isWrongCall ? 2 : 1;
}
