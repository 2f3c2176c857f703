import { describe, inject, type SuiteFactory } from "vitest";
import { LinePeer } from "./line-peer.ts";

/** What can be set on a go-ethereum peer; the flags of `geth/main.go`. */
export interface GethOptions {
  /** Private key, 64 hex digits; a new one by default. */
  readonly key?: string;
  /** `NAME/VERSION` of MyProtocol, bench, echo and req; `MyProtocol/1` by default. */
  readonly protocols?: readonly string[];
  readonly maxPeers?: number;
}

/** A running go-ethereum peer and how to reach it. */
export interface Geth extends AsyncDisposable {
  readonly lines: LinePeer;
  readonly enode: string;
  /** Node id, 128 hex digits. */
  readonly id: string;
}

/** Groups tests that need go-ethereum: they are skipped, by name, where it cannot be built. */
export function describeGeth(name: string, body: SuiteFactory): void {
  const build = inject("geth");
  const skip = "missing" in build;
  describe.skipIf(skip)(skip ? `${name} (skipped: no go-ethereum)` : name, body);
}

/** Starts a go-ethereum peer that waits to be dialed. */
export function serveGeth(options: GethOptions = {}): Promise<Geth> {
  return start(["serve", ...flags(options)]);
}

/** Starts a go-ethereum peer that dials a node. */
export function dialGeth(enode: string, options: GethOptions = {}): Promise<Geth> {
  return start(["dial", ...flags(options), enode]);
}

async function start(args: readonly string[]): Promise<Geth> {
  const build = inject("geth");
  if ("missing" in build) throw new Error(`no go-ethereum: ${build.missing}`);
  const lines = new LinePeer("go-ethereum", build.binary, args);
  const { enode, id } = await lines.expect("listening");
  return {
    lines,
    enode: String(enode),
    id: String(id),
    [Symbol.asyncDispose]: () => lines[Symbol.asyncDispose](),
  };
}

function flags({ key, protocols, maxPeers }: GethOptions): string[] {
  return [
    ...(key === undefined ? [] : ["--key", key]),
    ...(protocols === undefined ? [] : ["--protocols", protocols.join(",")]),
    ...(maxPeers === undefined ? [] : ["--max-peers", String(maxPeers)]),
  ];
}
