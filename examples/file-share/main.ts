import { readCall } from "./call.ts";
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
  const call = readCall(args, USAGE);
  if (call === undefined) {
    console.log(USAGE);
    return;
  }
  const { command, subject, options } = call;
  const { join, listen, address, json, name, force, to = "" } = options;
  if (command === "share") {
    const keyFile = options["key-file"];
    await runShare({ folder: subject, listen, address, keyFile, join }, signal);
  } else if (command === "search") {
    await runSearch({ query: subject, join, json }, signal);
  } else {
    await runGet({ hash: subject, join, to, name, force }, signal);
  }
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
