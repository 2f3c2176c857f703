import { formatEnode, generateSecretKey, nodeIdOf, parseEnode } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import {
  compareCapabilities,
  PROTOCOL_VERSION,
  rlpxUpgrade,
  Server,
  systemClock,
  tcpTransport,
} from "@heddle/p2p";
import type {
  ByteStream,
  Clock,
  Hello,
  Listener,
  ProtocolShape,
  SessionUpgrade,
  StreamAddress,
  Transport,
} from "@heddle/p2p";

import { ExpectationError } from "./expectation-error.ts";
import { ScriptedPeer } from "./scripted-peer.ts";

const DEFAULT_TIMEOUT_MS = 5_000;

/** Connections a listener holds for `accept`; further ones are closed. */
const MAX_BACKLOG = 64;

/** How a scripted peer is made; what is not given is the server's, where it connects to a `Server`. */
export interface ScriptedPeerOptions {
  /** Its secret key, 32 bytes; a fresh one by default. */
  readonly key?: Uint8Array;
  /** What it says in its Hello in place of what it would say: whatever a test needs, true or not. */
  readonly hello?: Partial<Hello>;
  /** What it speaks: makes its capabilities, and the msgIds of `capability`. The server's, or none. */
  readonly protocols?: readonly ProtocolShape[];
  /** RLPx by default. */
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

/** Where a listening scripted peer listens, besides {@link ScriptedPeerOptions}. */
export interface ScriptedListenerOptions extends ScriptedPeerOptions {
  /** 127.0.0.1 and any free port by default. */
  readonly address?: StreamAddress;
}

/** Waits to be dialed, and plays the dialed side. */
export interface ScriptedListener extends AsyncDisposable {
  /** How a server dials it. */
  readonly enode: string;
  /** Takes the next connection, shakes hands and exchanges Hellos. @throws as {@link scriptedPeer} */
  accept(): Promise<ScriptedPeer>;
  /** Takes the next connection and only shakes hands; see {@link ScriptedPeer.greet}. */
  acceptHandshake(): Promise<ScriptedPeer>;
  close(): Promise<void>;
}

/** The ways to make a {@link ScriptedPeer}. */
export interface ScriptedPeerFactory {
  /**
   * Dials a node, shakes hands and exchanges Hellos.
   *
   * @throws ExpectationError when something else comes than a Hello; what the transport or session says
   * when it does not get that far
   */
  (target: Server | string | Enode, options?: ScriptedPeerOptions): Promise<ScriptedPeer>;
  /** Dials a node and only shakes hands: Hello is the script's to send, or not. */
  handshake(target: Server | string | Enode, options?: ScriptedPeerOptions): Promise<ScriptedPeer>;
  /** Waits to be dialed. */
  listen(options?: ScriptedListenerOptions): Promise<ScriptedListener>;
}

/**
 * Makes the other end of a connection that a test plays message by message.
 *
 * @example
 * await using peer = await scriptedPeer(server);
 * const foo = peer.capability("foo");
 * foo.send(0, ["hello"]);
 * const [word] = (await foo.expect(1)).decode(tuple(text));
 * foo.sendRaw(0, Uint8Array.of(0xff));
 * await peer.expectDisconnect(DisconnectReason.protocolError);
 */
export const scriptedPeer: ScriptedPeerFactory = Object.assign(
  async (target: Server | string | Enode, options: ScriptedPeerOptions = {}) =>
    greet(await dialHandshake(target, options)),
  { handshake: dialHandshake, listen },
);

async function dialHandshake(
  target: Server | string | Enode,
  options: ScriptedPeerOptions = {},
): Promise<ScriptedPeer> {
  const settings = settle(options, target instanceof Server ? target : undefined);
  const url = target instanceof Server ? target.enode : target;
  const { id, host, tcpPort } = typeof url === "string" ? parseEnode(url) : url;
  return withDeadline(settings, "a handshake", async (signal) => {
    const stream = await settings.transport.dial({ host, port: tcpPort }, { signal });
    return upgrade(stream, settings, { remoteId: id, signal });
  });
}

async function listen(options: ScriptedListenerOptions = {}): Promise<ScriptedListener> {
  const settings = settle(options, undefined);
  const backlog: ByteStream[] = [];
  const wakes: (() => void)[] = [];
  const address = options.address ?? { host: "127.0.0.1", port: 0 };
  const listener: Listener = await settings.transport.listen(address, (stream) => {
    if (backlog.length >= MAX_BACKLOG) stream.destroy();
    else backlog.push(stream);
    for (const wake of wakes.splice(0)) wake();
  });
  const next = async (signal: AbortSignal): Promise<ByteStream> => {
    for (;;) {
      signal.throwIfAborted();
      const stream = backlog.shift();
      if (stream !== undefined) return stream;
      await new Promise<void>((resolve) => {
        wakes.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  };
  const acceptHandshake = (): Promise<ScriptedPeer> =>
    withDeadline(settings, "a connection and its handshake", async (signal) =>
      upgrade(await next(signal), settings, { signal }),
    );
  const close = async (): Promise<void> => {
    for (const stream of backlog.splice(0)) stream.destroy();
    await listener.close();
  };
  const { host, port } = listener.address;
  return {
    enode: formatEnode({ id: nodeIdOf(settings.key), host, tcpPort: port, udpPort: port }),
    accept: async () => greet(await acceptHandshake()),
    acceptHandshake,
    close,
    [Symbol.asyncDispose]: close,
  };
}

type Settings = Required<Omit<ScriptedPeerOptions, "hello">> & { readonly hello: Hello };

function settle(options: ScriptedPeerOptions, server: Server | undefined): Settings {
  const { config } = server ?? {};
  const key = options.key ?? generateSecretKey();
  const protocols = options.protocols ?? config?.protocols ?? [];
  return {
    key,
    protocols,
    session: options.session ?? config?.session ?? rlpxUpgrade,
    transport: options.transport ?? config?.transport ?? tcpTransport,
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

async function upgrade(
  stream: ByteStream,
  settings: Settings,
  { remoteId, signal }: { readonly remoteId?: Uint8Array; readonly signal: AbortSignal },
): Promise<ScriptedPeer> {
  try {
    const session = await settings.session(stream, {
      secretKey: settings.key,
      signal,
      ...(remoteId === undefined ? {} : { remoteId }),
    });
    return new ScriptedPeer({ ...settings, session, id: nodeIdOf(settings.key) });
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

async function greet(peer: ScriptedPeer): Promise<ScriptedPeer> {
  try {
    await peer.greet();
    return peer;
  } catch (error) {
    peer.destroy();
    throw error;
  }
}

async function withDeadline<T>(
  { clock, timeoutMs }: Settings,
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
