import { expect, test } from "vitest";

import { Greetings } from "../src/greetings.ts";
import { defer, rejection, settle } from "./harness.ts";

const idOf = (n: number): Uint8Array => new Uint8Array(64).fill(n);
const OURS = 100;

/** Serves a connection that says who it is when told, and is decided when told. */
function serve(greetings: Greetings, n: number, dial?: Promise<void>) {
  const [isIdentified, isAdmitted] = [defer(), defer()];
  const steps: string[] = [];
  let dialDecided = dial?.then(() => {
    dialDecided = undefined;
  });
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

test("a larger node's connection is there for a dial that connects from the turn on in which none was found", () => {
  const greetings = new Greetings(idOf(OURS));
  void greetings.serve({
    dialDecided: () => undefined,
    admit: (identified) => identified(idOf(200)),
  });
  expect(greetings.decided(idOf(200))).toBeInstanceOf(Promise);
});

test("a connection that ends while it waits for our dial leaves nothing behind", async () => {
  const greetings = new Greetings(idOf(OURS));
  const dial = defer();
  let wait: Promise<void> | undefined = dial.promise;
  const identified = defer();
  const served = greetings.serve({
    dialDecided: () => wait,
    admit: (tell) => {
      void tell(idOf(200)).then(() => identified.resolve());
      return Promise.reject(new Error("evicted"));
    },
  });
  expect((await rejection(served)).message).toBe("evicted");
  wait = undefined;
  dial.resolve();
  await identified.promise;
  expect(greetings.decided(idOf(200))).toBeUndefined();
});
