import { generateSecretKey, nodeIdOf } from "@heddle/identity";
import {
  compareCapabilities,
  PROTOCOL_VERSION,
  rlpxUpgrade,
  systemClock,
  tcpTransport,
} from "@heddle/p2p";
import type { Clock, ProtocolShape, Server, SessionUpgrade, Transport } from "@heddle/p2p";

import { ExpectationError } from "./expectation-error.ts";
import { resettableTcp } from "./resettable-tcp.ts";
import type { ScriptedHello, WholeHello } from "./scripted-hello.ts";
import { DEFAULT_TIMEOUT_MS } from "./scripted-wire.ts";

/** How a scripted peer is made; what is not given is the server's, where it connects to a `Server`. */
export interface ScriptedPeerOptions {
  /** Its secret key, 32 bytes; a fresh one by default. */
  readonly key?: Uint8Array;
  /** What it says in its Hello in place of what it would say: whatever a test needs, true or not. */
  readonly hello?: ScriptedHello;
  /** What it speaks: makes its capabilities, and the msgIds of `capability`. The server's, or none. */
  readonly protocols?: readonly ProtocolShape[];
  /** RLPx of the script's own by default, whose frames may be anything; the server's, where that has another. */
  readonly session?: SessionUpgrade;
  /** TCP by default. Through a server's own one the peer comes from that server's address. */
  readonly transport?: Transport;
  /** For deadlines; real time by default. Virtual time has to be told to pass: `clock.settle(…)`. */
  readonly clock?: Clock;
  /** How long everything that is expected may take, in milliseconds; 5,000 by default. */
  readonly timeoutMs?: number;
  /** Answers pings and does not show them; true by default. */
  readonly answerPings?: boolean;
}

/** Those options, and what was not given. */
export type ScriptedSettings = Required<Omit<ScriptedPeerOptions, "hello" | "session">> & {
  /** Undefined where the script shakes hands itself. */
  readonly session: SessionUpgrade | undefined;
  readonly hello: WholeHello;
};

/** Completes the options, from what a server that is the target has. */
export function settle(options: ScriptedPeerOptions, server: Server | undefined): ScriptedSettings {
  const { config } = server ?? {};
  const key = options.key ?? generateSecretKey();
  const protocols = options.protocols ?? config?.protocols ?? [];
  const transport = options.transport ?? config?.transport ?? tcpTransport;
  const session = options.session ?? config?.session;
  return {
    key,
    protocols,
    session: session === rlpxUpgrade ? undefined : session,
    transport: transport === tcpTransport ? resettableTcp : transport,
    clock: options.clock ?? config?.clock ?? systemClock,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    answerPings: options.answerPings ?? true,
    hello: {
      protocolVersion: PROTOCOL_VERSION,
      clientId: "scripted/1",
      capabilities: protocols
        .map(({ name, version }) => ({ name, version }))
        .toSorted(compareCapabilities),
      listenPort: 0,
      nodeId: nodeIdOf(key),
      ...options.hello,
    },
  };
}

/** Gives a task a signal that aborts when its time is over. */
export async function withDeadline<T>(
  { clock, timeoutMs }: ScriptedSettings,
  expected: string,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = clock.setTimeout(() => {
    const got = `nothing within ${timeoutMs} ms`;
    controller.abort(new ExpectationError("ERR_TESTING_TIMEOUT", expected, got));
  }, timeoutMs);
  try {
    return await task(controller.signal);
  } finally {
    clock.clearTimeout(timer);
  }
}
