import { expect, test } from "vitest";

import { Greetings } from "../src/greetings.ts";
import { defer, rejection, settle } from "./harness.ts";

const idOf = (n: number): Uint8Array => new Uint8Array(64).fill(n);
const OURS = 100;

/** Serves a connection that says who it is when told, and is decided when told. */
function serve(greetings: Greetings, n: number, dialDecided: Promise<void> = Promise.resolve()) {
  const [isIdentified, isAdmitted] = [defer(), defer()];
  const steps: string[] = [];
  const served = greetings.serve({
    dialDecided: () => dialDecided,
    admit: async (identified) => {
      await isIdentified.promise;
      await identified(idOf(n));
      steps.push("identified");
      await isAdmitted.promise;
    },
  });
  served.catch(() => undefined);
  return { isIdentified, isAdmitted, steps, served };
}

test("a dial waits for the node's own connection from its identity to its outcome, good or bad", async () => {
  for (const isGood of [true, false]) {
    const greetings = new Greetings(idOf(OURS));
    const one = serve(greetings, 1);
    expect(greetings.decided(idOf(1))).toBeUndefined();
    one.isIdentified.resolve();
    await settle();
    const decided = greetings.decided(idOf(1));
    expect(decided).toBeInstanceOf(Promise);
    expect(greetings.decided(idOf(2))).toBeUndefined();
    if (isGood) one.isAdmitted.resolve();
    else one.isAdmitted.reject(new Error("refused"));
    await decided;
    if (isGood) await one.served;
    else expect((await rejection(one.served)).message).toBe("refused");
    expect(greetings.decided(idOf(1))).toBeUndefined();
  }
});

test("the connection of a larger node waits for our dial of it, that of a smaller one does not", async () => {
  const greetings = new Greetings(idOf(OURS));
  const dial = defer();
  const [larger, smaller] = [
    serve(greetings, 200, dial.promise),
    serve(greetings, 1, dial.promise),
  ];
  for (const { isIdentified } of [larger, smaller]) isIdentified.resolve();
  await settle();
  expect([larger.steps, smaller.steps]).toEqual([[], ["identified"]]);
  expect(greetings.decided(idOf(200))).toBeUndefined();
  dial.resolve();
  await settle();
  expect(larger.steps).toEqual(["identified"]);
  for (const { isAdmitted } of [larger, smaller]) isAdmitted.resolve();
  await Promise.all([larger.served, smaller.served]);
});

test("a second connection of a node leaves the first one's place alone", async () => {
  const greetings = new Greetings(idOf(OURS));
  const [first, second] = [serve(greetings, 1), serve(greetings, 1)];
  first.isIdentified.resolve();
  await settle();
  const decided = greetings.decided(idOf(1));
  second.isIdentified.resolve();
  second.isAdmitted.resolve();
  await second.served;
  expect(greetings.decided(idOf(1))).toBe(decided);
  first.isAdmitted.resolve();
  await first.served;
  expect(greetings.decided(idOf(1))).toBeUndefined();
});
