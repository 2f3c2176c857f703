import { bytesEqual, decodeRlp, encodeRlp } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import { DisconnectReason } from "@heddle/p2p";
import type { Message, Protocol } from "@heddle/p2p";

import { combinations, payloadOf } from "./contract-cases.ts";
import type { ContractSetup } from "./contract-cases.ts";
import { Conversation } from "./conversation.ts";
import { FaultKind } from "./faults.ts";
import type { Direction, Probe } from "./probe.ts";
import { withId } from "./samples.ts";
import type { CodeSample } from "./samples.ts";

/** How long an answer may take, in virtual milliseconds: longer than any request should wait for it. */
const PATIENCE_MS = 60_000;

/** A request id that nobody has given yet: 2^60. */
const FAR_ID = Uint8Array.of(0x10, 0, 0, 0, 0, 0, 0, 0);

/** A list that is longer than its message. */
const UNREADABLE = Uint8Array.of(0xc2, 0x01);

interface Place {
  readonly protocol: Protocol;
  readonly direction: Direction;
}

/** Sends every code: requests are answered, the rest is taken, and what has no place is refused. */
export async function answerOrRefuse(probe: Probe, setup: ContractSetup): Promise<void> {
  await atEveryCode(probe, setup, async (conversation, sample) => {
    const { kind } = sample;
    if (kind === "request") return checkAnswered(probe, conversation, sample, setup);
    if (kind === "notify" || (kind === "unknown" && sample.isUsed)) {
      await conversation.send(sample.code, payloadOf(sample, setup));
      return checkTaken(probe, conversation, sample);
    }
    // A second handshake, a reply to what was never asked, a code that no message has.
    const isAsked = conversation.asked.some(({ replyCode }) => replyCode === sample.code);
    if (isAsked && !sample.hasId) return undefined;
    const payload = encodeRlp(withId(sample, sample.draw(setup.random), FAR_ID));
    await conversation.send(sample.code, payload);
    return checkRefused(probe, conversation, sample, "has no place here");
  });
}

/** Sends every code with what is no RLP: what is read at all is refused as a breach of protocol. */
export async function refuseUnreadable(probe: Probe, setup: ContractSetup): Promise<void> {
  await atEveryCode(probe, setup, async (conversation, sample) => {
    await conversation.send(sample.code, UNREADABLE);
    if (sample.kind === "request") {
      await checkRefused(probe, conversation, sample, "cannot be read");
    } else {
      await checkTaken(probe, conversation, sample);
    }
  });
  for (const place of combinations(probe)) {
    const conversation = await Conversation.open(probe, { ...place, ...setup });
    const handshake = conversation.codes.find(({ kind }) => kind === "handshake");
    if (handshake !== undefined) {
      await conversation.send(handshake.code, UNREADABLE);
      await checkRefused(probe, conversation, handshake, "cannot be read");
    }
    await leave(probe, conversation);
  }
}

/** Begins a conversation for every code of every protocol, from both sides, and does its handshake. */
async function atEveryCode(
  probe: Probe,
  setup: ContractSetup,
  check: (conversation: Conversation, sample: CodeSample) => Promise<void>,
): Promise<void> {
  const open = async (place: Place): Promise<Conversation> => {
    const conversation = await Conversation.open(probe, { ...place, ...setup });
    await conversation.greet();
    await conversation.receive();
    return conversation;
  };
  for (const place of combinations(probe)) {
    const first = await open(place);
    first.checkGreeted();
    const wasAccepted = !first.isOver;
    await leave(probe, first);
    for (const sample of wasAccepted ? first.codes : []) {
      const conversation = await open(place);
      await check(conversation, sample);
      await leave(probe, conversation);
    }
  }
}

async function leave(probe: Probe, { peer }: Conversation): Promise<void> {
  peer.destroy();
  await probe.clock.advance(0);
}

async function checkAnswered(
  probe: Probe,
  conversation: Conversation,
  sample: CodeSample,
  setup: ContractSetup,
): Promise<void> {
  await conversation.send(sample.code, payloadOf(sample, setup));
  let message: Message | undefined;
  const look = async (): Promise<boolean> => {
    const received = await conversation.receive();
    message = received.find((each) => isAnswer(each, sample));
    return message !== undefined || conversation.isOver;
  };
  await probe.waitFor(look, PATIENCE_MS);
  const name = conversation.nameOf(sample);
  if (message === undefined) {
    if (!conversation.isOver) {
      probe.note(FaultKind.conduct, `${name}: neither answered nor refused within a minute`);
    }
    return;
  }
  const reply = conversation.codes[message.code];
  const value = decodeRlp(message.payload);
  const body = sample.hasId && Array.isArray(value) ? (value[1] as RlpValue) : value;
  if (reply?.accepts(body) === true && message.size <= reply.maxBytes) return;
  probe.note(FaultKind.conduct, `${name}: its answer is not what its definition allows`);
}

function isAnswer({ code, payload }: Message, { counterpart, hasId }: CodeSample): boolean {
  if (code !== counterpart) return false;
  if (!hasId) return true;
  const value = decodeRlp(payload);
  const id: unknown = Array.isArray(value) ? value[0] : undefined;
  return id instanceof Uint8Array && bytesEqual(id, Uint8Array.of(1));
}

async function checkTaken(
  probe: Probe,
  conversation: Conversation,
  sample: CodeSample,
): Promise<void> {
  const isTaken = (): boolean => conversation.isOver || conversation.read >= conversation.sent;
  if (await probe.waitFor(isTaken, PATIENCE_MS)) return;
  probe.note(FaultKind.unread, `${conversation.nameOf(sample)}: unread after a minute`);
}

async function checkRefused(
  probe: Probe,
  conversation: Conversation,
  sample: CodeSample,
  why: string,
): Promise<void> {
  await probe.waitFor(() => conversation.isOver, PATIENCE_MS);
  await conversation.receive();
  if (conversation.isOver && conversation.endReason === DisconnectReason.protocolError) return;
  const detail = `${conversation.nameOf(sample)}: ${why}, and yet: ${conversation.fate}`;
  probe.note(FaultKind.conduct, detail);
}
