import { silentLogger } from "@heddle/p2p";
import type { Logger } from "@heddle/p2p";
import { VirtualClock } from "@heddle/testing";
import { expect, test, vi } from "vitest";

import { GossipError } from "../src/index.ts";
import type { GossipMessage, SubscribeOptions } from "../src/index.ts";
import { TopicSubscription } from "../src/subscription.ts";
import type { SubscriptionParts } from "../src/subscription.ts";
import { unsigned } from "./samples.ts";

function subscribe(
  options: SubscribeOptions = {},
  parts: Partial<SubscriptionParts> = {},
): TopicSubscription {
  return new TopicSubscription("t", options, {
    clock: new VirtualClock(),
    logger: silentLogger,
    orderWaitMs: 1_000,
    maxQueued: 3,
    listener: undefined,
    closed: () => undefined,
    ...parts,
  });
}

const messages: readonly GossipMessage[] = Array.from({ length: 5 }, (_, i) =>
  unsigned({ time: i }),
);

async function take(subscription: TopicSubscription, count: number): Promise<GossipMessage[]> {
  const taken: GossipMessage[] = [];
  for await (const message of subscription) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

test("messages wait to be taken, and are waited for", async () => {
  const subscription = subscribe();
  subscription.push(messages[0]!);
  expect(subscription.queued).toBe(1);
  const taking = take(subscription, 2);
  await vi.waitFor(() => expect(subscription.queued).toBe(0));
  subscription.push(messages[1]!);
  expect(await taking).toEqual(messages.slice(0, 2));
});

test("leaving the loop closes it", async () => {
  const closed = vi.fn();
  const subscription = subscribe({}, { closed });
  subscription.push(messages[0]!);
  await take(subscription, 1);
  expect(closed).toHaveBeenCalledExactlyOnceWith(subscription);
  subscription.push(messages[1]!);
  expect(subscription.queued).toBe(0);
});

test("after closing, what is queued can still be read, and then the loop ends", async () => {
  const subscription = subscribe();
  subscription.push(messages[0]!);
  subscription.push(messages[1]!);
  subscription.close();
  expect(await take(subscription, 5)).toEqual(messages.slice(0, 2));
});

test("closing ends a loop that waits", async () => {
  const subscription = subscribe();
  const taking = take(subscription, 1);
  subscription[Symbol.dispose]();
  expect(await taking).toEqual([]);
});

test("who does not take what comes is told so instead of losing messages in silence", async () => {
  const closed = vi.fn();
  const subscription = subscribe({}, { closed });
  for (const message of messages.slice(0, 4)) subscription.push(message);
  expect(closed).toHaveBeenCalledOnce();
  const taken: GossipMessage[] = [];
  const loop = async (): Promise<void> => {
    for await (const message of subscription) taken.push(message);
  };
  const error = await loop().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(GossipError);
  expect((error as GossipError).code).toBe("ERR_GOSSIP_SLOW_SUBSCRIBER");
  expect(taken).toEqual(messages.slice(0, 3));
});

test("a listener gets each message at once, and one that throws is logged and gets the next", () => {
  const error = vi.fn();
  const logger: Logger = { ...silentLogger, error };
  const heard: GossipMessage[] = [];
  const listener = (message: GossipMessage): void => {
    heard.push(message);
    throw new Error("oops");
  };
  const subscription = subscribe({}, { logger, listener });
  for (const message of messages) subscription.push(message);
  expect(heard).toEqual(messages);
  expect(subscription.queued).toBe(0);
  expect(error).toHaveBeenCalledTimes(messages.length);
});

test("a listener that rejects is logged as well", async () => {
  const error = vi.fn();
  const listener = async (): Promise<void> => Promise.reject(new Error("oops"));
  const subscription = subscribe({}, { logger: { ...silentLogger, error }, listener });
  subscription.push(messages[0]!);
  await vi.waitFor(() => expect(error).toHaveBeenCalledOnce());
});

test("an ordered subscription counts what came too late", async () => {
  const clock = new VirtualClock();
  const subscription = subscribe({ ordered: true }, { clock });
  const [first, second] = [1, 2].map((sequence) => ({ ...messages[0]!, sequence }));
  subscription.push(second!);
  expect(subscription.queued).toBe(0);
  await clock.advance(1_000);
  expect(subscription.queued).toBe(1);
  subscription.push(first!);
  expect([subscription.queued, subscription.late]).toEqual([1, 1]);
});

test("an ordered subscription may wait for another while, and take what is late out of order", async () => {
  const clock = new VirtualClock();
  const ordered = { waitMs: 300, late: "deliver" } as const;
  const sequences: number[] = [];
  const listener = ({ sequence }: GossipMessage): unknown => sequences.push(sequence);
  const subscription = subscribe({ ordered }, { clock, listener });
  const [first, second, third] = [1, 2, 3].map((sequence) => ({ ...messages[0]!, sequence }));
  subscription.push(second!);
  await clock.advance(299);
  expect(sequences).toEqual([]);
  await clock.advance(1);
  subscription.push(first!);
  subscription.push(third!);
  expect([sequences, subscription.late]).toEqual([[2, 1, 3], 1]);
});

test.each([-1, Number.NaN, Infinity])("an order that waits %s ms is refused", (waitMs) => {
  expect(() => subscribe({ ordered: { waitMs } }, {})).toThrow(/ordered\.waitMs: .*got/);
});
