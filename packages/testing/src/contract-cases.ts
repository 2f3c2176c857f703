import { encodeRlp } from "@heddle/identity";
import { DisconnectReason, MemoryNetwork } from "@heddle/p2p";
import type { Protocol } from "@heddle/p2p";

import { Conversation } from "./conversation.ts";
import { FaultKind } from "./faults.ts";
import { Probe } from "./probe.ts";
import type { Direction } from "./probe.ts";
import type { SeededRandom } from "./random.ts";
import { openResources, resourcesBeyond } from "./resources.ts";
import { toBytes } from "./sample-shape.ts";
import { withId } from "./samples.ts";
import type { CodeSample, Sampler } from "./samples.ts";
import type { CreateSubject } from "./subject.ts";
import { WatchedClock } from "./watched-clock.ts";

/** What a case of the contract works with. */
export interface ContractSetup {
  readonly create: CreateSubject;
  readonly sampler: Sampler;
  readonly seed: number;
  readonly patienceMs: number;
  readonly random: SeededRandom;
}

const DIRECTIONS: readonly Direction[] = ["inbound", "dialed"];

/** How long what a connection has begun may go on after its end, in virtual milliseconds. */
const AFTERWARDS_MS = 60_000;

/** How often a connection is made to see whether each of them leaves something behind. */
const REPEATS = 8;

/** Two nodes of the same kind talk for a minute: neither finds the other in breach of the protocol. */
export async function speakTogether(
  { faults }: Probe,
  { create, seed, patienceMs }: ContractSetup,
): Promise<void> {
  const shared = { network: new MemoryNetwork(), clock: new WatchedClock(), patienceMs };
  const probes: Probe[] = [];
  try {
    for (const offset of [1, 2]) {
      const probe = await Probe.open(create, { seed: seed + offset, ...shared });
      probes.push(probe);
      probe.server.on("peer:drop", ({ error }) => {
        const isBreach =
          error.reason === DisconnectReason.protocolError ||
          error.reason === DisconnectReason.subprotocolError;
        if (isBreach) probe.note(FaultKind.conduct, `two of a kind: ${error.message}`, error);
      });
    }
    const [one, other] = probes as [Probe, Probe];
    await shared.clock.settle(one.server.dial(other.server.enode));
    await shared.clock.advance(AFTERWARDS_MS);
  } finally {
    for (const probe of probes) faults.push(...(await probe.close()));
  }
}

/** Ends connections at every message, in every way; a bystander's connection goes on. */
export async function endAnywhere(probe: Probe, setup: ContractSetup): Promise<void> {
  for (const { protocol, direction } of combinations(probe)) {
    const open = (): Promise<Conversation> =>
      Conversation.open(probe, { protocol, direction, ...setup });
    const { codes, peer } = await open();
    peer.destroy();
    await probe.clock.advance(0);
    for (const sample of codes) {
      if (!sample.isUsed) continue;
      for (const [how, end] of ENDINGS) {
        const bystander = await Conversation.open(probe, { protocol, direction, ...setup });
        await bystander.greet();
        const conversation = await open();
        if (sample.kind !== "handshake") await conversation.greet();
        const wasGone = bystander.isOver;
        await end(probe, conversation, sample, payloadOf(sample, setup));
        if (bystander.isOver && !wasGone) {
          probe.note(FaultKind.conduct, `${how} at ${sample.name} ended another connection`);
        }
        for (const { peer } of [conversation, bystander]) peer.destroy();
        await probe.clock.advance(0);
      }
    }
  }
  await probe.waitFor(() => hasSettled(probe), AFTERWARDS_MS);
  await probe.checkAnswers(await probe.connect("inbound"));
}

/** Looks for what outlives its connection, its server, and the protocol itself. */
export async function leaveNothing(probe: Probe, setup: ContractSetup): Promise<void> {
  const before = openResources();
  const inner = await Probe.open(setup.create, setup);
  try {
    await talkOnce(inner, setup);
    const pending = inner.clock.pending;
    for (let i = 0; i < REPEATS; i++) await talkOnce(inner, setup);
    const more = inner.clock.pending - pending;
    if (more >= REPEATS) {
      probe.note(FaultKind.leak, `${REPEATS} connections left ${more} timers behind`);
    }
  } finally {
    probe.faults.push(...(await inner.close()));
  }
  const isClean = (): boolean => resourcesBeyond(before).length === 0;
  if (!(await probe.waitFor(isClean, 0))) {
    probe.note(FaultKind.leak, `left behind: ${resourcesBeyond(before).join(", ")}`);
  }
}

/** Every protocol of a probe, from both sides. */
export function combinations(probe: Probe): { protocol: Protocol; direction: Direction }[] {
  return probe.protocols.flatMap((protocol) =>
    DIRECTIONS.map((direction) => ({ protocol, direction })),
  );
}

/** A payload that fits, with a request id where one belongs. */
export function payloadOf(sample: CodeSample, { random }: ContractSetup): Uint8Array {
  return encodeRlp(withId(sample, sample.draw(random), toBytes(1)));
}

type Ending = (
  probe: Probe,
  conversation: Conversation,
  sample: CodeSample,
  payload: Uint8Array,
) => Promise<void>;

const ENDINGS: readonly (readonly [how: string, end: Ending])[] = [
  [
    "a reset in place of a message",
    async ({ clock }, { peer }) => {
      peer.destroy();
      await clock.advance(0);
    },
  ],
  [
    "a reset behind a message",
    async ({ clock }, conversation, { code }, payload) => {
      conversation.throwIn(code, payload);
      // One turn of the promises: the message is on its way into the protocol.
      await Promise.resolve();
      conversation.peer.destroy();
      await clock.advance(0);
    },
  ],
  [
    "a reset once a message is taken",
    async ({ clock }, conversation, { code }, payload) => {
      await conversation.send(code, payload);
      conversation.peer.destroy();
      await clock.advance(0);
    },
  ],
  [
    "a Disconnect behind a message",
    async ({ clock }, conversation, { code }, payload) => {
      conversation.throwIn(code, payload);
      conversation.peer.disconnect(DisconnectReason.clientQuitting);
      await clock.advance(0);
    },
  ],
  [
    "a Disconnect of ours behind a message",
    async ({ clock }, conversation, { code }, payload) => {
      conversation.throwIn(code, payload);
      void conversation.remote?.disconnect(DisconnectReason.tooManyPeers);
      await clock.advance(0);
    },
  ],
];

function hasSettled({ runs }: Probe): boolean {
  return runs.every(({ isSettled }) => isSettled);
}

/** Says one of each message to each protocol, goes, and lets all of that come to its end. */
async function talkOnce(probe: Probe, setup: ContractSetup): Promise<void> {
  for (const { protocol, direction } of combinations(probe)) {
    const conversation = await Conversation.open(probe, { protocol, direction, ...setup });
    await conversation.greet();
    for (const sample of conversation.codes) {
      const isSent = sample.kind === "notify" || sample.kind === "request";
      if (isSent && !conversation.isOver) {
        await conversation.send(sample.code, payloadOf(sample, setup));
      }
    }
    await conversation.receive();
    conversation.peer.destroy();
    await probe.waitFor(() => hasSettled(probe), AFTERWARDS_MS);
    await probe.clock.advance(AFTERWARDS_MS);
  }
}
