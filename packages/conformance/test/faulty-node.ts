import { createDecipheriv } from "node:crypto";

import {
  bytesEqual,
  concatBytes,
  encodeRlp,
  formatEnode,
  generateSecretKey,
  nodeIdOf,
  rlpItemLength,
} from "@heddle/identity";
import { BaseMessage, compareCapabilities, decodeHello, tcpTransport } from "@heddle/p2p";
import type { Capability } from "@heddle/p2p";
import { compress, decompress, RawFrameWriter } from "@heddle/rlpx";
import type { SessionSecrets } from "@heddle/rlpx";
import { encodeScriptedHello, ScriptedAck, ScriptedWire } from "@heddle/testing";

import type { Place } from "../src/link.ts";
import { LENGTHS } from "../src/protocols.ts";

/** One thing that a {@link startFaultyNode} node does wrong. */
export type Fault =
  | "auth elements are counted"
  | "auth version is checked"
  | "auth size has no bound"
  | "header MAC is not checked"
  | "frame MAC is not checked"
  | "frame MAC is compared in 8 bytes"
  | "ids need not be canonical"
  | "ids are cut to 32 bits"
  | "ids out of range are ignored"
  | "only one frame of a chunk is read"
  | "messages have no bound"
  | "Snappy copies are not checked"
  | "Pong is not compressed"
  | "version 4 is compressed"
  | "Hello id is not compared"
  | "Hello waits for the other"
  | "a message may come before Hello"
  | "a second Hello counts"
  | "ids follow the order of Hello"
  | "names are ordered by locale"
  | "the lowest version is taken"
  | "unshared protocols take ids"
  | "nothing shared is fine"
  | "Ping is not answered"
  | "Pong has no payload"
  | "Disconnect is ignored"
  | "its own Disconnect closes nothing"
  | "half-open stays open"
  | "refusals come late"
  | "the second connection is let in"
  | "a peer is never forgotten"
  | "it dies of a bad handshake"
  | "nothing is refused"
  | "every auth is refused"
  | "everything after Hello is refused";

/** A small node of one file, with one fault or none; its streams carry `echo`, `bench`, `MyProtocol` and `wide`. */
export interface FaultyNode extends AsyncDisposable {
  readonly enode: string;
}

const CAPABILITIES: readonly Capability[] = [
  { name: "MyProtocol", version: 1 },
  { name: "bench", version: 1 },
  { name: "echo", version: 1 },
  { name: "echo", version: 2 },
  { name: "wide", version: 1 },
];

const HELLO = {
  protocolVersion: 5,
  clientId: "faulty/1",
  capabilities: CAPABILITIES,
  listenPort: 0,
};

/** How long a node with late refusals waits; its silent connections are cut as late as that. */
const LATE_MS = 300;

const MAX_MESSAGE_SIZE = 0xffffff;

interface Node {
  readonly secretKey: Uint8Array;
  readonly fault: Fault | undefined;
  readonly peers: Set<string>;
}

/** Starts a node with one fault, or with none, on a free port of loopback. */
export async function startFaultyNode(fault?: Fault): Promise<FaultyNode> {
  const secretKey = generateSecretKey();
  const node: Node = { secretKey, fault, peers: new Set() };
  const wires = new Set<ScriptedWire>();
  const address = { host: "127.0.0.1", port: 0 };
  const listener = await tcpTransport.listen(address, (stream) => {
    const wire = new ScriptedWire(stream);
    wires.add(wire);
    if (fault === "refusals come late") setTimeout(() => wire.finish(), LATE_MS).unref();
    void new Connection(node, wire).serve().then((isDead) => {
      if (isDead && fault === "it dies of a bad handshake") void listener.close();
    });
  });
  const { host, port } = listener.address;
  return {
    enode: formatEnode({ id: nodeIdOf(secretKey), host, tcpPort: port, udpPort: port }),
    async [Symbol.asyncDispose]() {
      for (const wire of wires) wire.close();
      await listener.close();
    },
  };
}

/** The other side broke the rules, or has left. */
class Refusal extends Error {
  readonly reason: number | undefined;

  constructor(reason?: number) {
    super("refused");
    this.reason = reason;
  }
}

function check(isGood: boolean, reason = 0x02): asserts isGood {
  if (!isGood) throw new Refusal(reason);
}

class Connection {
  readonly #node: Node;
  readonly #wire: ScriptedWire;
  #bytes: Uint8Array = new Uint8Array(0);
  #decipher: ReturnType<typeof createDecipheriv> | undefined;
  /** Seals what came as it must have been sealed: its MACs are the right ones. */
  #mirror: RawFrameWriter | undefined;
  #writer: RawFrameWriter | undefined;
  #isCompressed = false;
  #places: readonly Place[] = [];
  #peer: string | undefined;

  constructor(node: Node, wire: ScriptedWire) {
    this.#node = node;
    this.#wire = wire;
  }

  /** Serves the connection to its end; resolves with whether the handshake failed. */
  async serve(): Promise<boolean> {
    let isOpen = false;
    try {
      const remoteId = await this.#shakeHands();
      isOpen = true;
      await this.#greet(remoteId);
      if (this.#has("everything after Hello is refused")) await this.#read();
      check(!this.#has("everything after Hello is refused"));
      for (;;) await this.#answer(await this.#read());
    } catch (error) {
      if (this.#peer !== undefined && !this.#has("a peer is never forgotten")) {
        this.#node.peers.delete(this.#peer);
      }
      await this.#leave(error);
      return !isOpen;
    }
  }

  #has(fault: Fault): boolean {
    return this.#node.fault === fault;
  }

  async #leave(error: unknown): Promise<void> {
    if (this.#has("refusals come late") || this.#has("nothing is refused")) return;
    if (this.#wire.ending !== undefined && this.#has("half-open stays open")) return;
    const reason = error instanceof Refusal ? error.reason : 0x02;
    if (reason !== undefined && this.#writer !== undefined) {
      await this.#send(BaseMessage.disconnect, encodeRlp([reason]));
    }
    if (!this.#has("its own Disconnect closes nothing")) this.#wire.finish();
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#bytes.length < length) {
      const chunk = await this.#wire.read(60_000);
      if (!(chunk instanceof Uint8Array)) throw new Refusal();
      const isFirst = this.#bytes.length === 0;
      const rest = this.#has("only one frame of a chunk is read") && isFirst && this.#isCompressed;
      this.#bytes = concatBytes(this.#bytes, rest ? chunk.subarray(0, 64) : chunk);
    }
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  async #shakeHands(): Promise<Uint8Array> {
    const { secretKey } = this.#node;
    const prefix = await this.#take(2);
    const size = (prefix[0] ?? 0) * 256 + (prefix[1] ?? 0);
    check(size >= 113 && (size <= 2048 || this.#has("auth size has no bound")));
    const auth = concatBytes(prefix, await this.#take(size));
    const ack = new ScriptedAck(secretKey, auth);
    const [, , , version] = ack.auth;
    check(!this.#has("every auth is refused"));
    check(ack.auth.length === 4 || !this.#has("auth elements are counted"));
    check(!this.#has("auth version is checked") || (version as Uint8Array)[0] === 4);
    this.#open(ack.secrets);
    await this.#wire.write(ack.packet);
    return ack.remoteId;
  }

  #open({ egress, ingress }: SessionSecrets): void {
    this.#writer = new RawFrameWriter(egress);
    this.#mirror = new RawFrameWriter(ingress);
    this.#decipher = createDecipheriv("aes-256-ctr", ingress.aesSecret, new Uint8Array(16));
  }

  async #greet(remoteId: Uint8Array): Promise<void> {
    const { secretKey } = this.#node;
    const key = Buffer.from(remoteId).toString("hex");
    const isNew = !this.#node.peers.has(key) || this.#has("the second connection is let in");
    check(isNew, 0x05);
    const sayHello = (): Promise<void> =>
      this.#send(BaseMessage.hello, encodeScriptedHello({ ...HELLO, nodeId: nodeIdOf(secretKey) }));
    if (!this.#has("Hello waits for the other")) await sayHello();
    let message = await this.#read();
    while (message.msgId !== 0n) {
      if (message.msgId === 1n) throw new Refusal();
      check(this.#has("a message may come before Hello"));
      await this.#answer(message);
      message = await this.#read();
    }
    if (this.#has("Hello waits for the other")) await sayHello();
    this.#accept(message.payload, remoteId);
    this.#peer = key;
    this.#node.peers.add(key);
  }

  #accept(payload: Uint8Array, remoteId: Uint8Array): void {
    const hello = decodeHello(payload);
    const isSame = bytesEqual(hello.nodeId, remoteId) || this.#has("Hello id is not compared");
    check(isSame, 0x09);
    this.#isCompressed = hello.protocolVersion >= 5 || this.#has("version 4 is compressed");
    this.#places = this.#deal(hello.capabilities);
    check(this.#places.length > 0 || this.#has("nothing shared is fine"), 0x03);
  }

  /** Deals out message ids, by the rules or not. */
  #deal(theirs: readonly Capability[]): Place[] {
    const isLowest = this.#has("the lowest version is taken");
    const isShared = ({ name, version }: Capability): boolean =>
      theirs.some((other) => other.name === name && other.version === version);
    const taken = new Map<string, Capability>();
    for (const capability of CAPABILITIES) {
      if (!isShared(capability) && !this.#has("unshared protocols take ids")) continue;
      if (!isLowest || !taken.has(capability.name)) taken.set(capability.name, capability);
    }
    const names = [...taken.values()].sort(compareCapabilities);
    if (this.#has("names are ordered by locale")) {
      names.sort((a, b) => a.name.localeCompare(b.name, "en"));
    }
    if (this.#has("ids follow the order of Hello")) {
      const at = ({ name }: Capability): number => theirs.findIndex((other) => other.name === name);
      names.sort((a, b) => at(a) - at(b));
    }
    let offset = 0x10;
    return names.map(({ name, version }) => {
      // The lower version is shorter here: by its neighbour's place it can be told which one runs.
      const length = name === "echo" && version === 1 && isLowest ? 2 : (LENGTHS[name] ?? 0);
      offset += length;
      return { name, version, offset: offset - length, length };
    });
  }

  async #answer({ msgId, payload }: Incoming): Promise<void> {
    if (msgId === 0n && this.#has("a second Hello counts")) {
      this.#accept(payload, decodeHello(payload).nodeId);
    }
    if (msgId === 1n && !this.#has("Disconnect is ignored")) throw new Refusal();
    if (msgId === 2n && !this.#has("Ping is not answered")) {
      const pong = this.#has("Pong has no payload") ? new Uint8Array(0) : encodeRlp([]);
      await this.#send(BaseMessage.pong, pong, this.#has("Pong is not compressed"));
    }
    if (msgId < 0x10n) return;
    const id = Number(this.#has("ids are cut to 32 bits") ? msgId & 0xffffffffn : msgId);
    const place = this.#places.find(({ offset, length }) => id >= offset && id < offset + length);
    if (place === undefined) {
      check(this.#has("ids out of range are ignored"));
      return;
    }
    const code = id - place.offset;
    const isAsked = place.name === "echo" ? code === 0 : place.name === "wide" && code % 2 === 0;
    if (isAsked) await this.#send(id + 1, payload);
  }

  async #send(msgId: number, payload: Uint8Array, isPlain = false): Promise<void> {
    const body = this.#isCompressed && !isPlain ? compress(payload) : payload;
    const frame = this.#writer?.seal(concatBytes(encodeRlp(msgId), body));
    if (frame !== undefined) await this.#wire.write(frame);
  }

  async #read(): Promise<Incoming> {
    const data = await this.#readFrame();
    const { msgId, length } = this.#readId(data);
    const body = data.slice(length);
    if (!this.#isCompressed || msgId === 1n) return { msgId, payload: body };
    return { msgId, payload: this.#inflate(body) };
  }

  #inflate(body: Uint8Array): Uint8Array {
    try {
      return decompress(body, this.#has("messages have no bound") ? 2 ** 32 : MAX_MESSAGE_SIZE);
    } catch (error) {
      if (this.#has("Snappy copies are not checked") && body.length > 20) return body;
      throw error;
    }
  }

  #readId(data: Uint8Array): { msgId: bigint; length: number } {
    const length = this.#has("ids need not be canonical")
      ? Math.max(1, (data[0] ?? 0) - 0x7f)
      : rlpItemLength(data);
    const head = data.subarray(0, length);
    const first = head[0] ?? 0xc0;
    check(first <= 0x88);
    const bytes = first < 0x80 ? head : head.subarray(1);
    // A byte under 0x80 stands for itself; a number has no leading zero, 0 is the empty string.
    const isShortest = first !== 0x81 || (bytes[0] ?? 0) >= 0x80;
    const isCanonical = bytes[0] !== 0 && isShortest;
    check(isCanonical || this.#has("ids need not be canonical"));
    return { msgId: bytes.reduce((id, byte) => id * 256n + BigInt(byte), 0n), length };
  }

  async #readFrame(): Promise<Uint8Array> {
    const header = await this.#take(32);
    const plain = this.#decrypt(header.subarray(0, 16));
    const size = ((plain[0] ?? 0) << 16) | ((plain[1] ?? 0) << 8) | (plain[2] ?? 0);
    const limit = this.#places.length > 0 ? MAX_MESSAGE_SIZE : 2049;
    check(size > 0 && size <= limit);
    const padded = Math.ceil(size / 16) * 16;
    const rest = await this.#take(padded + 16);
    const data = this.#decrypt(rest.subarray(0, padded));
    const expected = this.#mirror?.seal(data.slice(0, size), {
      headerData: plain.slice(3),
      padding: data[padded - 1] ?? 0,
    });
    check(expected !== undefined);
    const isHeaderGood = bytesEqual(header.subarray(16), expected.subarray(16, 32));
    check(isHeaderGood || this.#has("header MAC is not checked"));
    const compared = this.#has("frame MAC is compared in 8 bytes") ? 8 : 16;
    const [given, right] = [rest.subarray(padded), expected.subarray(-16)];
    const isGood = bytesEqual(given.subarray(0, compared), right.subarray(0, compared));
    check(isGood || this.#has("frame MAC is not checked"));
    return data.subarray(0, size);
  }

  #decrypt(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(this.#decipher?.update(bytes) ?? []);
  }
}

interface Incoming {
  readonly msgId: bigint;
  readonly payload: Uint8Array;
}
