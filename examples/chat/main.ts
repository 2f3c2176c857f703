import { escapeText } from "@heddle/identity";

import { converse } from "./conversation.ts";
import { startNode } from "./node.ts";
import { parseOptions, USAGE, UsageError } from "./options.ts";

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return;
  }
  const node = await startNode(options);
  try {
    await converse(node, options);
  } finally {
    await node.stop();
  }
}

try {
  await main();
} catch (error) {
  console.error(`chat: ${escapeText(error instanceof Error ? error.message : String(error), 600)}`);
  if (error instanceof UsageError) console.error("chat: --help lists the options");
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
