import { startEthereumJs } from "./ethereumjs.ts";
import { dialGeth, serveGeth } from "./geth.ts";
import { startHeddle, type Heddle } from "./heddle.ts";
import type { LinePeer } from "./line-peer.ts";

/** Both ways to come to a connection; whoever dials, everything afterwards must be the same. */
export const DIRECTIONS = ["Heddle dials", "go-ethereum dials"] as const;

/** As {@link DIRECTIONS}, with EthereumJS. */
export const ETHEREUMJS_DIRECTIONS = ["Heddle dials", "EthereumJS dials"] as const;

/** A Heddle node connected with a peer of another implementation; disposing it ends both. */
export interface Pair extends AsyncDisposable {
  readonly heddle: Heddle;
  readonly other: LinePeer;
}

interface Other extends AsyncDisposable {
  readonly lines: LinePeer;
  readonly enode: string;
  readonly id: string;
}

/** Connects with go-ethereum; both know of each other when this resolves. */
export function connectGeth(
  direction: (typeof DIRECTIONS)[number],
  heddleProtocols: readonly string[],
  gethProtocols: readonly string[] = heddleProtocols,
): Promise<Pair> {
  const options = { protocols: gethProtocols };
  return connect(heddleProtocols, direction === "Heddle dials", (heddle) =>
    direction === "Heddle dials" ? serveGeth(options) : dialGeth(heddle.enode, options),
  );
}

/** Connects with EthereumJS, which always speaks MyProtocol and echo. */
export function connectEthereumJs(
  direction: (typeof ETHEREUMJS_DIRECTIONS)[number],
): Promise<Pair> {
  const isDialed = direction === "Heddle dials";
  return connect(["MyProtocol/1", "echo/1"], isDialed, (heddle) =>
    isDialed ? startEthereumJs("serve") : startEthereumJs("dial", heddle.enode),
  );
}

async function connect(
  protocols: readonly string[],
  isDialed: boolean,
  startOther: (heddle: Heddle) => Promise<Other>,
): Promise<Pair> {
  const heddle = await startHeddle({ protocols });
  const started: AsyncDisposable[] = [heddle];
  const end = async (): Promise<void> => {
    await Promise.all(started.map((peer) => peer[Symbol.asyncDispose]()));
  };
  try {
    const other = await startOther(heddle);
    started.push(other);
    if (isDialed) await heddle.server.dial(other.enode);
    await other.lines.expect("peer", { id: heddle.id });
    await heddle.expect("peer", { id: other.id, inbound: !isDialed });
    return { heddle, other: other.lines, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}
