import { prepare } from "./payload.ts";
import type { Fill } from "./payload.ts";
import type { BenchPeer, Client, Link } from "./peers/peer.ts";

/** What the driving process is told to do; the Go driver understands the same. */
export type Command =
  | { do: "connect"; channels: number }
  | { do: "oneway"; size: number; fill: Fill; channels: number; ms: number }
  | { do: "rtt"; ms: number }
  | { do: "prepare"; clients: number }
  | { do: "handshake"; inFlight: number; ms: number }
  | { do: "hold"; inFlight: number }
  | { do: "release" };

/** What was done in which time. */
export interface Done {
  readonly count: number;
  readonly seconds: number;
}

/** The driving side of a stack: one long connection, and identities for connections that are timed. */
export class Driver {
  readonly #peer: BenchPeer;
  readonly #address: string;
  #long: { client: Client; link: Link } | undefined;
  #clients: Client[] = [];
  #used: Client[] = [];
  #held: Link[] = [];

  constructor(peer: BenchPeer, address: string) {
    this.#peer = peer;
    this.#address = address;
  }

  async execute(command: Command): Promise<Done> {
    switch (command.do) {
      case "connect":
        return this.#connect(command.channels);
      case "oneway":
        return this.#oneWay(command);
      case "rtt":
        return this.#roundTrips(command.ms);
      case "prepare":
        return this.#prepare(command.clients);
      case "handshake":
        return this.#handshakes(command.inFlight, command.ms, (link) => link.close());
      case "hold":
        return this.#handshakes(command.inFlight, Infinity, (link) => this.#held.push(link));
      case "release":
        return this.#release();
      default:
        throw new Error(`no such command: ${JSON.stringify(command satisfies never)}`);
    }
  }

  async #connect(channels: number): Promise<Done> {
    this.#long?.link.close();
    await this.#long?.client.dispose();
    const client = await this.#peer.client(this.#address, channels);
    this.#long = { client, link: await client.connect() };
    return { count: 1, seconds: 0 };
  }

  async #oneWay({ size, fill, channels, ms }: Command & { do: "oneway" }): Promise<Done> {
    const link = this.#link();
    const ring = prepare(size, fill);
    // Looking at the clock is not what is measured: small messages share a look.
    const burst = Math.max(1, Math.min(64, Math.floor(65_536 / size)));
    const start = performance.now();
    const one = async (channel: number): Promise<number> => {
      let sent = 0;
      do {
        for (let i = 0; i < burst; i += 1) {
          const wait = link.send(channel, ring[sent % ring.length] as (typeof ring)[number]);
          if (wait !== undefined) await wait;
          sent += 1;
        }
      } while (performance.now() - start < ms);
      const { messages } = await link.finish(channel);
      if (messages !== sent) throw new Error(`${messages} of ${sent} messages arrived`);
      return sent;
    };
    const sent = await Promise.all(Array.from({ length: channels }, (_, n) => one(n)));
    const seconds = (performance.now() - start) / 1000;
    return { count: sent.reduce((sum, n) => sum + n, 0), seconds };
  }

  async #roundTrips(ms: number): Promise<Done> {
    const link = this.#link();
    const start = performance.now();
    let count = 0;
    do {
      await link.roundTrip();
      count += 1;
    } while (performance.now() - start < ms);
    return { count, seconds: (performance.now() - start) / 1000 };
  }

  async #prepare(clients: number): Promise<Done> {
    for (let n = this.#clients.length; n < clients; n += 1) {
      this.#clients.push(await this.#peer.client(this.#address, 1));
    }
    return { count: clients, seconds: 0 };
  }

  /** Connects the prepared clients, `inFlight` at a time, until none is left or the time is over. */
  async #handshakes(inFlight: number, ms: number, keep: (link: Link) => void): Promise<Done> {
    const start = performance.now();
    let count = 0;
    const one = async (): Promise<void> => {
      while (performance.now() - start < ms) {
        const client = this.#clients.pop();
        if (client === undefined) return;
        this.#used.push(client);
        keep(await client.connect());
        count += 1;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
    return { count, seconds: (performance.now() - start) / 1000 };
  }

  async #release(): Promise<Done> {
    const count = this.#used.length;
    for (const link of this.#held.splice(0)) link.close();
    await Promise.all(this.#used.splice(0).map(async (client) => client.dispose()));
    return { count, seconds: 0 };
  }

  #link(): Link {
    if (this.#long === undefined) throw new Error("connect first");
    return this.#long.link;
  }
}
