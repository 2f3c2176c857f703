import { decodeUint, generateSecretKey, toHex, type RlpValue } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { Message, MessageReadWriter, Peer, Protocol, ServerOptions } from "@heddle/p2p";
import { EventLog, type Match, type PeerEvent } from "./event-log.ts";
import { checksum, filled, type Fill } from "./payload.ts";
import { decodeWords } from "./words.ts";

/** The same protocols as `geth/protocols.go`, by name, at their length there. */
const LENGTHS = { MyProtocol: 1, bench: 3, echo: 4, wide: 1024 } as const;

/** A protocol of the harness. */
export type TestProtocolName = keyof typeof LENGTHS;

/** What can be set on a Heddle node beside its protocols. */
export type HeddleOptions = Omit<Partial<ServerOptions>, "protocols" | "key" | "listen"> & {
  /** `NAME/VERSION`; `MyProtocol/1` by default. */
  readonly protocols?: readonly string[];
};

/** A running Heddle server with the test protocols, which tells events as the other peers do. */
export class Heddle implements AsyncDisposable {
  readonly server: Server;
  readonly #log = new EventLog("Heddle");
  readonly #sessions = new Map<string, MessageReadWriter>();

  constructor({ protocols = ["MyProtocol/1"], ...options }: HeddleOptions = {}) {
    this.server = new Server({
      key: generateSecretKey(),
      clientId: "heddle-interop",
      listen: "127.0.0.1:0",
      ...options,
      protocols: protocols.map((label) => this.#protocol(label)),
    });
    this.#report();
  }

  /** Node id, 128 hex digits. */
  get id(): string {
    return toHex(this.server.id);
  }

  /** Where other peers dial it. */
  get enode(): string {
    return this.server.enode;
  }

  /** See {@link EventLog.expect}. */
  expect(event: string, match?: Match, options?: { timeoutMs?: number }): Promise<PeerEvent> {
    return this.#log.expect(event, match, options);
  }

  /** See {@link EventLog.seen}. */
  seen(event: string, match?: Match): PeerEvent[] {
    return this.#log.seen(event, match);
  }

  /** The reader and writer of a protocol with the one peer, as soon as it runs. */
  async session(protocol: TestProtocolName): Promise<MessageReadWriter> {
    if (!this.#sessions.has(protocol)) await this.#log.expect("running", { protocol });
    const rw = this.#sessions.get(protocol);
    if (rw === undefined) throw new Error(`${protocol} does not run`);
    return rw;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
  }

  #protocol(label: string): Protocol {
    const [name = "", version] = label.split("/");
    if (!isTestProtocol(name)) throw new TypeError(`${label}: no such test protocol`);
    return {
      name,
      version: Number(version),
      length: LENGTHS[name],
      run: async (_peer, rw) => {
        this.#sessions.set(name, rw);
        this.#log.push({ event: "running", protocol: name, version: rw.version });
        await HANDLERS[name](rw, this.#log);
      },
    };
  }

  #report(): void {
    const log = this.#log;
    this.server.on("peer:add", ({ peer, protocols }) => {
      const ranges = protocols.map(
        ({ name, version, offset, length }) =>
          `${name}/${version} ${offset}-${offset + length - 1}`,
      );
      log.push({ event: "peer", ...describePeer(peer), ranges });
    });
    this.server.on("peer:drop", ({ peer, error: { reason, by, message } }) => {
      log.push({ event: "drop", ...describePeer(peer), reason, by, message });
    });
    this.server.on("handshake", ({ inbound, phase, failed }) => {
      if (failed === undefined) return;
      const { reason, side, error } = failed;
      log.push({ event: "refused", inbound, phase, reason, side, message: error.message });
    });
  }
}

/** Starts a Heddle node that listens. */
export async function startHeddle(options: HeddleOptions = {}): Promise<Heddle> {
  const heddle = new Heddle(options);
  await heddle.server.start();
  return heddle;
}

function describePeer(peer: Peer): Record<string, unknown> {
  return {
    id: toHex(peer.id),
    name: peer.clientId,
    caps: peer.capabilities.map(({ name, version }) => `${name}/${version}`),
    inbound: peer.inbound,
  };
}

function isTestProtocol(name: string): name is TestProtocolName {
  return Object.hasOwn(LENGTHS, name);
}

/** What each protocol does with what it reads; what the codes mean stands in `geth/protocols.go`. */
const HANDLERS: Record<TestProtocolName, (rw: MessageReadWriter, log: EventLog) => Promise<void>> =
  {
    async MyProtocol(rw, log) {
      for await (const msg of rw) {
        const words = decodeWords(msg.payload);
        log.push({ event: "msg", protocol: "MyProtocol", code: msg.code, words });
        if (words.length === 1 && words[0] === "foo") await rw.sendItems(0, "bar");
      }
    },

    async bench(rw, log) {
      let messages = 0;
      let bytes = 0;
      for await (const msg of rw) {
        if (msg.code === 0) {
          messages += 1;
          bytes += msg.size;
        } else if (msg.code === 1) {
          await rw.sendItems(2, messages, bytes);
        } else {
          const [seen = [], size = []] = itemsOf(msg);
          log.push({
            event: "counted",
            messages: decodeUint(seen, "messages"),
            bytes: decodeUint(size, "bytes"),
          });
        }
      }
    },

    async echo(rw, log) {
      for await (const msg of rw) {
        const { code, size, payload } = msg;
        if (code === 0) await rw.sendEncoded(1, payload.slice());
        if (code === 1) log.push({ event: "echoed", size, sum: checksum(payload) });
        if (code === 2) await give(rw, msg);
        if (code === 3) log.push({ event: "given", ...describeData(msg.decode()) });
      }
    },

    async wide(rw, log) {
      for await (const { code, size, payload } of rw) {
        if (code % 2 === 0) await rw.sendEncoded(code + 1, payload.slice());
        else log.push({ event: "returned", code, size, sum: checksum(payload) });
      }
    },
  };

const FILLS: readonly Fill[] = ["zero", "text", "random"];

/** Answers [size, fill] with that many bytes. */
async function give(rw: MessageReadWriter, ask: Message): Promise<void> {
  const [size = [], wanted = []] = itemsOf(ask);
  const name = wanted instanceof Uint8Array ? new TextDecoder().decode(wanted) : "";
  const fill = FILLS.find((known) => known === name);
  if (fill === undefined) throw new Error(`no such fill: ${name}`);
  await rw.send(3, filled(fill, decodeUint(size, "size")));
}

function describeData(data: RlpValue): Record<string, unknown> {
  return data instanceof Uint8Array ? { size: data.length, sum: checksum(data) } : { size: "none" };
}

function itemsOf(msg: Message): readonly RlpValue[] {
  const value = msg.decode();
  return value instanceof Uint8Array ? [] : value;
}
