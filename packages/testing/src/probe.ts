import { bytesEqual, nodeIdOf } from "@heddle/identity";
import { MemoryNetwork, Server } from "@heddle/p2p";
import type { Peer, Protocol, Transport } from "@heddle/p2p";

import { watchEscapes } from "./escapes.ts";
import { describeError, FaultKind, isDocumented } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { nullSession } from "./null-session.ts";
import { seededRandom } from "./random.ts";
import type { SeededRandom } from "./random.ts";
import { scriptedPeer } from "./scripted-connect.ts";
import type { ScriptedListener } from "./scripted-connect.ts";
import type { Speaker } from "./samples.ts";
import type { ScriptedPeer } from "./scripted-peer.ts";
import { createSubject } from "./subject.ts";
import type { CreateSubject, ProtocolOwner } from "./subject.ts";
import { WatchedClock } from "./watched-clock.ts";
import { unwatched, watchProtocol } from "./watched-protocol.ts";
import type { WatchedRun } from "./watched-protocol.ts";

const HOST = "127.0.0.1";

/** Longer than the grace period of a server, after which a `run` is left behind: 5 s. */
const END_MS = 10_000;

/** How long the end itself may take, in virtual milliseconds: longer than any deadline of a server. */
const LAST_MS = 120_000;

/** How many different peers there are: making keys is what costs most here. */
const PEERS = 8;

/** How often what takes real time is looked at, in milliseconds. */
const REAL_STEP_MS = 5;

/** The step in which virtual time passes, with a moment of real time in each. */
const VIRTUAL_STEP_MS = 1_000;

/** Who opened a connection, as the server sees it. */
export type Direction = "inbound" | "dialed";

/** What two probes share when they are to meet. */
export interface ProbeOptions {
  readonly seed?: number;
  /** How long what waits for a disk or another process is waited for, in real milliseconds. */
  readonly patienceMs: number;
  /** The other's. */
  readonly clock?: WatchedClock;
  readonly network?: MemoryNetwork;
}

interface ProbeParts {
  readonly random: SeededRandom;
  readonly clock: WatchedClock;
  readonly ownsClock: boolean;
  readonly transport: Transport;
  readonly patienceMs: number;
}

/**
 * A server that runs protocols under watch, in memory and virtual time, without cryptography.
 *
 * What goes wrong is collected in {@link Probe.faults}; {@link Probe.close} looks at what is left.
 */
export class Probe {
  readonly clock: WatchedClock;
  readonly server: Server;
  readonly runs: readonly WatchedRun[];
  readonly faults: Fault[] = [];
  readonly #ownsClock: boolean;
  readonly #patienceMs: number;
  readonly #owner: Required<ProtocolOwner>;
  readonly #transport: Transport;
  readonly #identities: readonly Speaker[];
  #connections = 0;
  /** A wait in real time was in vain: there need not be another. */
  #wasInVain = false;
  #closing: Promise<readonly Fault[]> | undefined;
  readonly #unwatch: () => void;
  readonly #listeners: ScriptedListener[] = [];

  private constructor(owner: Required<ProtocolOwner>, key: Uint8Array, parts: ProbeParts) {
    const { random, clock, ownsClock, transport } = parts;
    const runs: WatchedRun[] = [];
    this.#owner = owner;
    this.#ownsClock = ownsClock;
    this.#patienceMs = parts.patienceMs;
    clock.thrown ??= (error): void => {
      this.note(FaultKind.escaped, `a timer threw ${describeError(error)}`, error);
    };
    this.clock = clock;
    this.runs = runs;
    this.#transport = transport;
    this.#identities = Array.from({ length: PEERS }, () => {
      const key = random.secretKey();
      return { key, id: nodeIdOf(key) };
    });
    this.server = new Server({
      key,
      clientId: "probe/1",
      listen: `${HOST}:0`,
      protocols: owner.protocols.map((protocol) => watchProtocol(protocol, runs)),
      transport,
      session: nullSession,
      clock,
      random: random.fork().next,
    });
    this.server.on("protocol:error", ({ protocol, error }) => {
      if (isDocumented(error)) return;
      this.note(FaultKind.undocumented, `${protocol} ended with ${describeError(error)}`, error);
    });
    this.server.on("protocol:detached", ({ protocol }) => {
      this.note(FaultKind.hang, `${protocol}: run went on after its connection had ended`);
    });
    this.#unwatch = watchEscapes((error) => {
      this.note(FaultKind.escaped, `nobody took ${describeError(error)}`, error);
    });
  }

  /** Starts a server with what `create` makes. */
  static async open(create: CreateSubject, options: ProbeOptions): Promise<Probe> {
    const random = seededRandom(options.seed ?? 1);
    const { clock = new WatchedClock(), network = new MemoryNetwork() } = options;
    const ownsClock = options.clock === undefined;
    const key = random.secretKey();
    const owner = await createSubject(create, { key, clock, random: random.fork().next });
    const transport = network.transport(HOST);
    const probe = new Probe(owner, key, {
      random,
      clock,
      ownsClock,
      transport,
      patienceMs: options.patienceMs,
    });
    await owner.attach(unwatched(probe.server, owner.protocols));
    await clock.settle(probe.server.start());
    return probe;
  }

  /** What the server speaks, as it was made. */
  get protocols(): readonly Protocol[] {
    return this.#owner.protocols;
  }

  /** A peer that has said Hello and speaks what the server speaks, or only the given protocols of it. */
  async connect(
    direction: Direction,
    only: readonly Protocol[] = this.protocols,
  ): Promise<ScriptedPeer> {
    const key = this.#nextKey();
    const { clock } = this;
    const common = {
      key,
      protocols: only,
      transport: this.#transport,
      session: nullSession,
      clock,
    };
    if (direction === "inbound") {
      const peer = await clock.settle(scriptedPeer(this.server, common));
      await clock.advance(0);
      return peer;
    }
    const listener = await scriptedPeer.listen(common);
    this.#listeners.push(listener);
    const dialing = this.server.dial(listener.enode);
    const [peer] = await clock.settle(Promise.all([listener.accept(), dialing]));
    await clock.advance(0);
    return peer;
  }

  /** Who plays a peer of this probe. */
  speakerOf({ id }: ScriptedPeer): Speaker {
    const speaker = this.#identities.find((identity) => bytesEqual(identity.id, id));
    if (speaker === undefined) throw new TypeError("the peer is not one of this probe");
    return speaker;
  }

  /** The peer as the server sees it, while it does. */
  peer(of: ScriptedPeer): Peer | undefined {
    return this.server.peer(of.id);
  }

  /** The last run with a peer of the named protocol. */
  runOf(peer: Peer, label: string): WatchedRun | undefined {
    return this.runs.findLast((run) => run.peer === peer && run.label === label);
  }

  /** Notes a fault when the peer is connected and yet its ping is not answered. */
  async checkAnswers(peer: ScriptedPeer): Promise<void> {
    if (this.peer(peer) === undefined) return;
    peer.send(0x02, []);
    try {
      await this.clock.settle(peer.expect(0x03, { skipOthers: true }));
    } catch (error) {
      if (this.peer(peer) === undefined) return;
      this.note(FaultKind.hang, `a ping was not answered: ${describeError(error)}`, error);
    }
  }

  /**
   * Waits until the condition holds: in virtual time first, then in real time, for what waits for a disk.
   *
   * @returns whether it came to hold
   */
  async waitFor(condition: () => boolean | Promise<boolean>, virtualMs: number): Promise<boolean> {
    // Once a wait in real time was in vain, there need not be another.
    const holds = await this.#pass(condition, virtualMs, this.#wasInVain ? 0 : this.#patienceMs);
    this.#wasInVain ||= !holds;
    return holds;
  }

  async #pass(
    condition: () => boolean | Promise<boolean>,
    virtualMs: number,
    realMs: number,
  ): Promise<boolean> {
    await this.clock.advance(0);
    for (let passed = 0; passed < virtualMs; passed += VIRTUAL_STEP_MS) {
      if (await condition()) return true;
      await realTime(1);
      await this.clock.advance(VIRTUAL_STEP_MS);
    }
    for (let passed = 0; passed < realMs; passed += REAL_STEP_MS) {
      if (await condition()) return true;
      await realTime(REAL_STEP_MS);
      await this.clock.advance(0);
    }
    return condition();
  }

  /** The key of a peer that is not connected; each has its turn. */
  #nextKey(): Uint8Array {
    for (let i = 0; i < PEERS; i++) {
      const identity = this.#identities[this.#connections++ % PEERS];
      if (identity === undefined || this.server.peer(identity.id) !== undefined) continue;
      return identity.key;
    }
    throw new Error(`all ${PEERS} peers are connected`);
  }

  /** Notes that something went wrong. */
  note(kind: FaultKind, detail: string, error?: unknown): void {
    this.faults.push({ kind, detail, ...(error === undefined ? {} : { error }) });
  }

  /** Stops the server, looks at what is left, and returns everything that was found; once. */
  close(): Promise<readonly Fault[]> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<readonly Fault[]> {
    try {
      await this.#finish(this.server.stop(), "the server");
      for (const listener of this.#listeners) await listener.close();
      await this.#finish(Promise.resolve(this.#owner.close()), "what owns the protocols");
      await this.clock.advance(END_MS);
      for (const { label, isSettled, waiting } of this.runs) {
        if (!isSettled) this.note(FaultKind.hang, `${label}: run did not end`);
        else if (waiting > 0) {
          this.note(FaultKind.leak, `${label}: ${waiting} reads and sends were left waiting`);
        }
      }
      const pending = this.#ownsClock ? this.clock.pending : 0;
      if (pending > 0) this.note(FaultKind.leak, `${pending} timers were left behind`);
    } catch (error) {
      this.note(FaultKind.hang, `the end failed: ${describeError(error)}`, error);
    } finally {
      this.#unwatch();
    }
    return this.faults;
  }

  /** Waits until something has ended. @throws what it rejects with, or an Error when it does not end */
  async #finish(ending: Promise<unknown>, what: string): Promise<void> {
    let hasEnded = false;
    const ended = (): void => {
      hasEnded = true;
    };
    ending.then(ended, ended);
    if (!(await this.#pass(() => hasEnded, LAST_MS, this.#patienceMs))) {
      throw new Error(`${what} did not stop`);
    }
    await ending;
  }
}

function realTime(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
