import { parseArgs } from "node:util";

import { runGet, runSearch, runShare } from "./commands.ts";
import { describeError, ExitCode, exitCodeOf, Failure } from "./exit-code.ts";

const USAGE = `usage:
  files share DIR [--listen HOST:PORT] [--address IP] [--join ENODE]... [--key-file FILE]
      share a folder; the first line printed is the node's enode URL
  files search QUERY --join ENODE... [--json]
      list what others share under these words; --json prints one object per line:
      { "name", "size", "hash", "holder" }
  files get HASH --join ENODE... --to DIR [--name NAME] [--force]
      fetch a file from all who hold it; run it again to go on after an interruption

exit codes:
  0  done                               4  there is a file of that name (see --force)
  1  any other failure                  5  the disk: no space, no permission, no such folder
  2  a wrong call                       6  a node to join cannot be reached
  3  nothing found, nobody holds it     7  holders were there, but nothing came for a minute`;

async function main(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h", default: false },
      listen: { type: "string", default: "127.0.0.1:30303" },
      address: { type: "string" },
      join: { type: "string", multiple: true, default: [] },
      "key-file": { type: "string" },
      json: { type: "boolean", default: false },
      to: { type: "string" },
      name: { type: "string" },
      force: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [command, subject, ...rest] = positionals;
  const { join, listen, address, json, to, name, force } = values;
  const wrongCall = new Failure(ExitCode.wrongCall, `a wrong call\n${USAGE}`);
  if (subject === undefined || rest.length > 0) throw wrongCall;
  if (command === "share") {
    const keyFile = values["key-file"];
    await runShare({ folder: subject, listen, address, keyFile, join }, signal);
  } else if (command === "search" && join.length > 0) {
    await runSearch({ query: subject, join, json }, signal);
  } else if (command === "get" && join.length > 0 && to !== undefined) {
    await runGet({ hash: subject, join, to, name, force }, signal);
  } else throw wrongCall;
}

const controller = new AbortController();
const stop = (): void => controller.abort(new Failure(ExitCode.failed, "interrupted"));
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
try {
  await main(process.argv.slice(2), controller.signal);
} catch (error) {
  console.error(`files: ${describeError(error)}`);
  process.exitCode = exitCodeOf(error);
}
