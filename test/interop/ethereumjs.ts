import { fileURLToPath } from "node:url";
import { LinePeer } from "./line-peer.ts";

const PROGRAM = fileURLToPath(new URL("ethereumjs-peer.ts", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A running `@ethereumjs/devp2p` peer and how to reach it. */
export interface EthereumJs extends AsyncDisposable {
  readonly lines: LinePeer;
  readonly enode: string;
  /** Node id, 128 hex digits. */
  readonly id: string;
}

/** Starts an EthereumJS peer, in a process of its own because some of its faults take the process along. */
export async function startEthereumJs(
  ...args: readonly ["serve"] | readonly ["dial", string]
): Promise<EthereumJs> {
  const lines = new LinePeer(
    "EthereumJS",
    process.execPath,
    ["--import", "tsx", PROGRAM, ...args],
    ROOT,
  );
  const { enode, id } = await lines.expect("listening");
  return {
    lines,
    enode: String(enode),
    id: String(id),
    [Symbol.asyncDispose]: () => lines[Symbol.asyncDispose](),
  };
}
