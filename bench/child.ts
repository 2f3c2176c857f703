// One of the two processes of a Node stack, driven by JSON lines as `gethpeer bench-*` is.
//
//   node child.ts PEER serve CHANNELS
//   node child.ts PEER drive ADDRESS
import { createInterface } from "node:readline";

import { Driver } from "./drive.ts";
import type { Command } from "./drive.ts";
import { nodePeers } from "./peers/index.ts";
import { Profiler } from "./profiler.ts";

const [, , name = "", role, argument = ""] = process.argv;

function emit(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** What both roles understand. */
type Own =
  | { do: "usage"; gc?: boolean }
  | { do: "profile-start" }
  | { do: "profile-stop"; file: string };

const profiler = new Profiler();

async function execute(line: Command | Own): Promise<object> {
  if (line.do === "usage") return usage(line.gc === true);
  if (line.do === "profile-start") {
    await profiler.start();
    return {};
  }
  if (line.do === "profile-stop") {
    await profiler.stop(line.file);
    return {};
  }
  if (driver === undefined) throw new Error(`${line.do} is for the driver`);
  return driver.execute(line);
}

/** CPU time of this process so far, and what it holds, after a collection if asked. */
function usage(isCollecting: boolean): object {
  if (isCollecting) globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssKiB: process.memoryUsage().rss / 1024 };
}

const load = nodePeers[name];
if (load === undefined) throw new Error(`no such peer: ${name}`);
const peer = await load();
const driver = role === "drive" ? new Driver(peer, argument) : undefined;
emit({ address: driver === undefined ? await peer.serve(Number(argument)) : argument });

for await (const text of createInterface({ input: process.stdin })) {
  try {
    emit(await execute(JSON.parse(text) as Command | Own));
  } catch (error) {
    emit({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}
process.exit(0);
