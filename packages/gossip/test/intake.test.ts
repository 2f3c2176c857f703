import { silentLogger } from "@heddle/p2p";
import { VirtualClock } from "@heddle/testing";
import { expect, test } from "vitest";

import { createConfig } from "../src/config.ts";
import type { GossipOptions, Verdict } from "../src/config.ts";
import { Intake } from "../src/intake.ts";
import type { Link } from "../src/link.ts";
import { keyOf } from "../src/message.ts";
import type { GossipMessage } from "../src/index.ts";
import { KEYS, sample } from "./samples.ts";

const link = { peer: {} } as Link;

function setUp(validate: NonNullable<GossipOptions["validate"]>): {
  clock: VirtualClock;
  admit: (message: GossipMessage) => Promise<string>;
  intake: Intake;
} {
  const clock = new VirtualClock();
  const limits = { origin: { messages: 100_000, windowMs: 10_000 } };
  const config = createConfig({ key: KEYS[0]!, clock, validate, limits, logger: silentLogger });
  const intake = new Intake(config);
  const admit = ({ id, ...content }: GossipMessage): Promise<string> =>
    intake.admit(content, id, link);
  return { clock, admit, intake };
}

test("what was refused is remembered, 4,096 of it", async () => {
  const { admit, intake } = setUp(() => "ignore");
  const refused = Array.from({ length: 4_097 }, () => sample());
  for (const message of refused) expect(await admit(message)).toBe("ignored");
  expect(await admit(refused[1]!)).toBe("duplicate");
  expect(await admit(refused[0]!)).toBe("ignored");
  expect(intake.isKnown(keyOf(refused[2]!.id))).toBe(true);
  expect(intake.store.size).toBe(0);
});

test("while a message is judged, copies of it are duplicates", async () => {
  let decide: (verdict: Verdict) => void = () => undefined;
  const { admit } = setUp(() => new Promise((resolve) => (decide = resolve)));
  const message = sample();
  const first = admit(message);
  expect(await admit(message)).toBe("duplicate");
  decide("accept");
  expect(await first).toBe("accepted");
  expect(await admit(message)).toBe("duplicate");
});

test("256 messages may be before the validator; more are dropped and may come again", async () => {
  const decisions: ((verdict: Verdict) => void)[] = [];
  const { admit } = setUp(() => new Promise((resolve) => decisions.push(resolve)));
  const judged = Array.from({ length: 256 }, () => admit(sample()));
  const more = sample();
  expect(await admit(more)).toBe("ignored");
  for (const decide of decisions) decide("accept");
  expect(new Set(await Promise.all(judged))).toEqual(new Set(["accepted"]));
  const again = admit(more);
  decisions.at(-1)?.("accept");
  expect(await again).toBe("accepted");
});

test("a message that is too old, or whose place is taken, once it is judged, is not taken", async () => {
  const decisions: ((verdict: Verdict) => void)[] = [];
  const { admit, clock, intake } = setUp(() => new Promise((resolve) => decisions.push(resolve)));
  const slow = admit(sample());
  await clock.advance(600_000);
  decisions[0]?.("accept");
  expect(await slow).toBe("stale");
  const time = clock.wallNow();
  const rivals = [1, 2].map((byte) =>
    admit(sample({ time, sequence: 7_777, payload: Uint8Array.of(byte) })),
  );
  for (const decide of decisions) decide("accept");
  expect(await Promise.all(rivals)).toEqual(["accepted", "conflict"]);
  expect(intake.store.size).toBe(1);
});
