import { formatEnode, nodeIdOf, parseEnode } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { ByteStream, Listener, StreamAddress } from "@heddle/p2p";

import { shakeHands } from "./scripted-handshake.ts";
import type { ScriptedSession } from "./scripted-handshake.ts";
import { ScriptedPeer } from "./scripted-peer.ts";
import { settle, withDeadline } from "./scripted-settings.ts";
import type { ScriptedPeerOptions, ScriptedSettings } from "./scripted-settings.ts";
import { ScriptedWire } from "./scripted-wire.ts";

/** Connections a listener holds for `accept`; further ones are closed. */
const MAX_BACKLOG = 64;

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
  /** Takes the next connection and sends nothing; see {@link ScriptedPeerFactory.wire}. */
  acceptWire(): Promise<ScriptedWire>;
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
  /** Dials a node and sends nothing: the handshake is the script's to do, or not. */
  wire(target: Server | string | Enode, options?: ScriptedPeerOptions): Promise<ScriptedWire>;
  /**
   * Makes a peer of a handshake that the script has done: of what `open` of `ScriptedAuth` and `ScriptedAck` returns.
   * Hello is the script's to send, or not.
   */
  over(session: ScriptedSession, options?: ScriptedPeerOptions): ScriptedPeer;
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
  { handshake: dialHandshake, wire: dialWire, over, listen },
);

async function dialHandshake(
  target: Server | string | Enode,
  options: ScriptedPeerOptions = {},
): Promise<ScriptedPeer> {
  const { settings, node } = aim(target, options);
  return withDeadline(settings, "a handshake", async (signal) => {
    const stream = await settings.transport.dial(node.address, { signal });
    return upgrade(stream, settings, { remoteId: node.id, signal });
  });
}

async function dialWire(
  target: Server | string | Enode,
  options: ScriptedPeerOptions = {},
): Promise<ScriptedWire> {
  const { settings, node } = aim(target, options);
  return withDeadline(settings, "a connection", async (signal) => {
    const stream = await settings.transport.dial(node.address, { signal });
    return new ScriptedWire(stream, settings);
  });
}

interface Aim {
  readonly settings: ScriptedSettings;
  readonly node: { readonly id: Uint8Array; readonly address: StreamAddress };
}

function aim(target: Server | string | Enode, options: ScriptedPeerOptions): Aim {
  const settings = settle(options, target instanceof Server ? target : undefined);
  const url = target instanceof Server ? target.enode : target;
  const { id, host, tcpPort } = typeof url === "string" ? parseEnode(url) : url;
  return { settings, node: { id, address: { host, port: tcpPort } } };
}

function over(session: ScriptedSession, options: ScriptedPeerOptions = {}): ScriptedPeer {
  const hello = { nodeId: session.localId, ...options.hello };
  return play(session, settle({ ...options, hello }, undefined));
}

function play(session: ScriptedSession, settings: ScriptedSettings): ScriptedPeer {
  const { wire, localId: id } = session;
  return new ScriptedPeer({ ...settings, session, wire, id });
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
  const acceptWire = (): Promise<ScriptedWire> =>
    withDeadline(
      settings,
      "a connection",
      async (signal) => new ScriptedWire(await next(signal), settings),
    );
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
    acceptWire,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function upgrade(
  stream: ByteStream,
  settings: ScriptedSettings,
  options: { readonly remoteId?: Uint8Array; readonly signal: AbortSignal },
): Promise<ScriptedPeer> {
  const { key } = settings;
  try {
    if (settings.session === undefined) {
      const session = await shakeHands(new ScriptedWire(stream, settings), key, options);
      return play(session, settings);
    }
    const session = await settings.session(stream, { secretKey: key, ...options });
    const wire = new ScriptedWire(session.stream, settings);
    return new ScriptedPeer({ ...settings, session, wire, id: nodeIdOf(key) });
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
