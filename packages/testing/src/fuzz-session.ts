import { toHex } from "@heddle/identity";
import type { Protocol } from "@heddle/p2p";

import { Conversation } from "./conversation.ts";
import { FaultKind } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { keptMemory, Meters } from "./meters.ts";
import type { FuzzLimits, Reading } from "./meters.ts";
import type { Direction, Probe } from "./probe.ts";
import type { SeededRandom } from "./random.ts";
import type { CodeSample, Sampler } from "./samples.ts";

/** One message that was sent. */
export interface FuzzInput {
  /** As in `foo/2 blob(0x04)`. */
  readonly message: string;
  /** What is wrong with it. */
  readonly how: string;
  /** In hex; the beginning, where it is long. */
  readonly payload: string;
}

/** A fault, and the messages that brought it about. */
export interface FuzzFault extends Fault {
  /** Everything sent on that connection, oldest first. */
  readonly sent: readonly FuzzInput[];
}

/** Messages on one connection, at most. */
const MAX_PER_CONNECTION = 24;

/** Faults that are reported, at most: after these it stops. */
const MAX_FAULTS = 20;

/** Bytes of a payload that a report shows. */
const SHOWN_BYTES = 64;

/** How long a message may stay unread, in virtual milliseconds. */
const UNREAD_MS = 60_000;

/** What a fuzz session is made of. */
export interface FuzzSessionOptions {
  readonly random: SeededRandom;
  readonly sampler: Sampler;
  readonly limits: FuzzLimits;
}

/** Messages to a probe's protocols, one after another, and what each of them brings about. */
export class FuzzSession {
  readonly random: SeededRandom;
  readonly faults: FuzzFault[] = [];
  readonly counts = { connections: 0, messages: 0, received: 0, refused: 0 };
  readonly #probe: Probe;
  readonly #options: FuzzSessionOptions;
  readonly #meters: Meters;
  readonly #keptBefore = keptMemory();
  readonly #seen = new Set<string>();
  #current: { readonly conversation: Conversation; readonly isGreeted: boolean } | undefined;
  #bystander: Conversation | undefined;
  #sent: FuzzInput[] = [];
  #noted = 0;

  constructor(probe: Probe, options: FuzzSessionOptions) {
    this.random = options.random;
    this.#probe = probe;
    this.#options = options;
    this.#meters = new Meters(probe.server);
  }

  get protocols(): readonly Protocol[] {
    return this.#probe.protocols;
  }

  /** There are so many faults that more would say nothing. */
  get isDone(): boolean {
    return this.faults.length >= MAX_FAULTS;
  }

  /** The conversation that goes on, if it is one with this protocol and not over yet. */
  current(protocol?: Protocol): Conversation | undefined {
    const { conversation, isGreeted } = this.#current ?? {};
    if (conversation === undefined || conversation.isOver || !isGreeted) return undefined;
    if (conversation.sent >= MAX_PER_CONNECTION) return undefined;
    return protocol === undefined || conversation.protocol === protocol ? conversation : undefined;
  }

  /** Ends the conversation that goes on, and begins another. */
  async begin(
    protocol: Protocol,
    direction: Direction,
    { isGreeted = true }: { isGreeted?: boolean } = {},
  ): Promise<Conversation> {
    await this.leave();
    if (this.#bystander === undefined || this.#bystander.isOver) {
      this.#bystander = await this.#open(this.random.pick(this.protocols), "inbound");
      await this.#bystander.greet();
    }
    const conversation = await this.#open(protocol, direction);
    this.#current = { conversation, isGreeted };
    this.counts.connections += 1;
    if (isGreeted) await conversation.greet();
    await this.#receive(conversation);
    if (isGreeted) conversation.checkGreeted();
    this.#collect();
    return conversation;
  }

  /**
   * Sends one message, and looks at what comes of it.
   *
   * @returns false when it cost too much: larger numbers of this kind would cost more
   */
  async send(
    conversation: Conversation,
    sample: CodeSample,
    { how, payload }: { readonly how: string; readonly payload: Uint8Array },
  ): Promise<boolean> {
    this.#sent.push({ message: conversation.nameOf(sample), how, payload: show(payload) });
    this.counts.messages += 1;
    const bystander = this.#bystander?.isOver === false ? this.#bystander : undefined;
    const before = this.#meters.read();
    await conversation.send(sample.code, payload);
    const isCheap = this.#compare(payload.length, before, this.#meters.read());
    if (bystander?.isOver === true) {
      this.#probe.note(FaultKind.conduct, "another peer's connection ended with it");
    }
    await this.#receive(conversation);
    const hasNew = this.#collect();
    return isCheap && !hasNew;
  }

  /** Looks whether the conversation is still alive, and ends it. */
  async leave(): Promise<void> {
    const { conversation } = this.#current ?? {};
    if (conversation === undefined) return;
    this.#current = undefined;
    if (conversation.isOver) {
      this.counts.refused += 1;
    } else {
      await this.#probe.checkAnswers(conversation.peer);
      const isRead = (): boolean => conversation.isOver || conversation.read >= conversation.sent;
      if (!(await this.#probe.waitFor(isRead, UNREAD_MS))) {
        const unread = conversation.sent - conversation.read;
        this.#probe.note(FaultKind.unread, `${conversation.label}: ${unread} messages stay unread`);
      }
    }
    if (this.random.integer(2) === 0) conversation.peer.disconnect();
    conversation.peer.destroy();
    await this.#probe.clock.advance(0);
    this.#collect();
    this.#sent = [];
  }

  /** Ends everything, and looks at what is left. */
  async close(): Promise<void> {
    await this.leave();
    this.#bystander?.peer.destroy();
    await this.#probe.close();
    this.#meters.close();
    const kept = keptMemory() - this.#keptBefore;
    if (kept > this.#options.limits.memoryBytes) {
      this.#probe.note(FaultKind.memory, `${kept} bytes are kept after everything has ended`);
    }
    this.#collect();
  }

  #open(protocol: Protocol, direction: Direction): Promise<Conversation> {
    const { sampler, random } = this.#options;
    return Conversation.open(this.#probe, { protocol, direction, sampler, random });
  }

  async #receive(conversation: Conversation): Promise<void> {
    for (const { code, size } of await conversation.receive()) {
      this.counts.received += 1;
      const sample = conversation.codes[code];
      if (sample === undefined || size <= sample.maxBytes) continue;
      const detail = `${conversation.nameOf(sample)}: ${size} bytes, its definition allows ${sample.maxBytes}`;
      this.#probe.note(FaultKind.conduct, detail);
    }
  }

  #compare(size: number, before: Reading, after: Reading): boolean {
    const { memoryBytes, answerBytes, cpuMs } = this.#options.limits;
    const noted = this.#probe.faults.length;
    const cpu = Math.round(after.cpuMs - before.cpuMs);
    if (cpu > cpuMs) {
      this.#probe.note(FaultKind.blocked, `${size} bytes took ${cpu} ms of processor time`);
    }
    const memory = after.memoryBytes - before.memoryBytes;
    // What is read is there several times over, and lists are larger decoded than encoded.
    if (memory > memoryBytes + 64 * size) {
      this.#probe.note(FaultKind.memory, `${size} bytes took ${memory} bytes of memory`);
    }
    const sent = after.sentBytes - before.sentBytes;
    if (sent > answerBytes) {
      this.#probe.note(FaultKind.amplification, `${size} bytes were answered by ${sent} bytes`);
    }
    return this.#probe.faults.length === noted;
  }

  /** Takes over what the probe has noted since; says whether there was anything. */
  #collect(): boolean {
    const { faults } = this.#probe;
    const hasNew = this.#noted < faults.length;
    for (; this.#noted < faults.length; this.#noted++) {
      const fault = faults[this.#noted] as Fault;
      const last = this.#sent.at(-1)?.message ?? "";
      const alike = `${fault.kind} ${last} ${fault.detail.replaceAll(/[0-9]+/g, "0")}`;
      if (this.#seen.has(alike) || this.isDone) continue;
      this.#seen.add(alike);
      this.faults.push({ ...fault, sent: [...this.#sent] });
    }
    return hasNew;
  }
}

function show(payload: Uint8Array): string {
  const hex = toHex(payload.subarray(0, SHOWN_BYTES));
  return `0x${hex}${payload.length > SHOWN_BYTES ? `… (${payload.length} bytes)` : ""}`;
}
