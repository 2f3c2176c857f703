import { displayName, formatHash, parseHash, safeFileName } from "@heddle/file-share";
import type { FileShareEvents } from "@heddle/file-share";
import { formatEnode } from "@heddle/identity";
import type { Enr } from "@heddle/identity";

import { checkFolder } from "./call.ts";
import { ExitCode, Failure } from "./exit-code.ts";
import { startNode } from "./node.ts";
import { formatBytes, ProgressBar } from "./progress.ts";

/** How long a search waits for answers, in milliseconds. */
const SEARCH_MS = 3_000;

/** What `share` is called with. */
export interface ShareArguments {
  readonly folder: string;
  readonly listen: string;
  readonly address: string | undefined;
  readonly keyFile: string | undefined;
  readonly join: readonly string[];
}

/** What `search` is called with. */
export interface SearchArguments {
  readonly query: string;
  readonly join: readonly string[];
  readonly json: boolean;
}

/** What `get` is called with. */
export interface GetArguments {
  readonly hash: string;
  readonly join: readonly string[];
  readonly to: string;
  readonly name: string | undefined;
  readonly force: boolean;
}

/**
 * Shares a folder until `signal` aborts; the first line is the enode URL.
 *
 * @throws Failure `disk` when there is no such folder, before anything is printed
 */
export async function runShare(args: ShareArguments, signal: AbortSignal): Promise<void> {
  const events: FileShareEvents = {
    added: ({ name, size, hash }) => {
      console.log(`shared ${formatHash(hash)}  ${formatBytes(size)}  ${displayName(name)}`);
    },
    removed: ({ hash, name }) => console.log(`gone ${formatHash(hash)}  ${displayName(name)}`),
    skipped: (path, error) => console.error(`left out ${displayName(path)}: ${error.message}`),
  };
  const { folder, listen, address, keyFile, join } = args;
  await checkFolder(folder);
  await using node = await startNode({ listen, address, keyFile, join, events });
  console.log(node.server.enode);
  await node.share.share(folder);
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
  });
}

/**
 * Prints every file that matches: a line each, or a JSON object each.
 *
 * @throws Failure `notFound`
 */
export async function runSearch(args: SearchArguments, signal: AbortSignal): Promise<void> {
  await using node = await startNode({ listen: false, join: args.join });
  let count = 0;
  for await (const result of node.share.search(args.query, { deadlineMs: SEARCH_MS, signal })) {
    const { name, size } = result;
    const hash = formatHash(result.hash);
    const holder = formatHolder(result.holder);
    count += 1;
    // JSON escapes control characters by itself; a program that reads it wants the name as it is.
    if (args.json) console.log(JSON.stringify({ name, size, hash, holder }));
    else console.log(`${hash}  ${formatBytes(size)}  ${displayName(name)}  ${holder}`);
  }
  if (count === 0) throw new Failure(ExitCode.notFound, "nothing was found");
}

/** Fetches a file; the last line is its path. */
export async function runGet(args: GetArguments, signal: AbortSignal): Promise<void> {
  const hash = parseHash(args.hash);
  await checkFolder(args.to);
  const liar: FileShareEvents["liar"] = ({ enode, fault }) => {
    console.error(`dropped ${enode}: ${fault.code}`);
  };
  await using node = await startNode({ listen: false, join: args.join, events: { liar } });
  let { name } = args;
  if (name === undefined) {
    for await (const found of node.share.search(hash, { deadlineMs: SEARCH_MS, signal })) {
      // What a holder calls it is a suggestion: nothing of it but one harmless component is used.
      name = safeFileName(found.name);
      break;
    }
  }
  if (name === undefined) throw new Failure(ExitCode.notFound, "no holder was found");
  const bar = new ProgressBar(process.stderr, () => performance.now());
  const { path } = await node.share.fetch(hash, {
    to: args.to,
    name,
    force: args.force,
    signal,
    onProgress: (progress) => bar.update(progress),
  });
  console.log(path);
}

function formatHolder(holder: Enr): string {
  const enode = holder.toEnode();
  if (enode === undefined) return holder.toString();
  // As the holder's own first line has it: the port of node discovery is of no interest here.
  return formatEnode({ ...enode, udpPort: enode.tcpPort });
}
