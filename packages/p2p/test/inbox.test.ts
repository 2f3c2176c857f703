import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";

import { TimeoutError } from "../src/errors.ts";
import { Inbox, MESSAGE_OVERHEAD, messageCost } from "../src/inbox.ts";
import { Message } from "../src/message.ts";
import { ManualClock } from "./manual-clock.ts";

const ended = new Error("the connection ended");

const message = (code: number, size = 0): Message => new Message(code, new Uint8Array(size));

let clock: ManualClock;
let taken: number[];
let inbox: Inbox;

beforeEach(() => {
  clock = new ManualClock();
  taken = [];
  inbox = new Inbox(clock, (cost) => taken.push(cost));
});

/** Settles what can settle, without any time passing. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The codes that a `for await` sees until it ends. */
async function codesOf(source: Inbox): Promise<number[]> {
  const codes: number[] = [];
  for await (const { code } of { [Symbol.asyncIterator]: () => source.iterate() }) codes.push(code);
  return codes;
}

describe("an inbox", () => {
  test("hands messages out in the order they came", async () => {
    for (let code = 0; code < 5_000; code += 1) inbox.push(message(code));
    for (let code = 0; code < 5_000; code += 1) expect((await inbox.read()).code).toBe(code);
    expect(inbox.size).toBe(0);
  });

  test("counts what it holds, and says what was taken", async () => {
    inbox.push(message(0, 100));
    inbox.push(message(1, 0));
    expect(inbox.size).toBe(2);
    expect(inbox.cost).toBe(100 + 2 * MESSAGE_OVERHEAD);
    await inbox.read();
    expect(inbox.cost).toBe(MESSAGE_OVERHEAD);
    expect(taken).toEqual([100 + MESSAGE_OVERHEAD]);
  });

  test("hands a message that a reader waits for straight on, holding nothing", async () => {
    const reading = inbox.read();
    inbox.push(message(7, 9));
    expect(inbox.cost).toBe(0);
    expect(taken).toEqual([messageCost(new Uint8Array(9))]);
    expect((await reading).code).toBe(7);
  });

  test("serves many readers in the order they asked", async () => {
    const reads = Array.from({ length: 100 }, () => inbox.read());
    for (let code = 0; code < 100; code += 1) inbox.push(message(code));
    const codes = (await Promise.all(reads)).map(({ code }) => code);
    expect(codes).toEqual(Array.from({ length: 100 }, (_, code) => code));
  });

  test("loses and reorders nothing, however pushes and reads mix", async () => {
    const step = fc.constantFrom("push", "read", "next");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
        let held = 0;
        const box = new Inbox(clock, (cost) => (held -= cost));
        const iterator = box.iterate();
        const reads: Promise<number | undefined>[] = [];
        let pushed = 0;
        for (const what of steps) {
          if (what === "read") reads.push(box.read().then(({ code }) => code));
          else if (what === "next") reads.push(iterator.next().then(({ value }) => value?.code));
          else {
            held += messageCost(new Uint8Array(pushed));
            box.push(message(pushed, pushed));
            pushed += 1;
          }
        }
        expect(box.cost).toBe(held);
        expect(box.size).toBe(Math.max(0, pushed - reads.length));
        while (pushed < reads.length) {
          box.push(message(pushed));
          pushed += 1;
        }
        expect(await Promise.all(reads)).toEqual(reads.map((_, i) => i));
      }),
      { numRuns: 200 },
    );
  });

  test("gives back the memory of what was read, even when it is never empty", async () => {
    inbox.push(message(0, 1));
    for (let code = 1; code < 10_000; code += 1) {
      inbox.push(message(code, 1));
      expect((await inbox.read()).code).toBe(code - 1);
    }
    expect(inbox.size).toBe(1);
    expect(inbox.cost).toBe(1 + MESSAGE_OVERHEAD);
  });
});

describe("a closed inbox", () => {
  test("hands out what had arrived, then rejects with the very error", async () => {
    inbox.push(message(1));
    inbox.push(message(2));
    inbox.close(ended);
    expect((await inbox.read()).code).toBe(1);
    expect((await inbox.read()).code).toBe(2);
    await expect(inbox.read()).rejects.toBe(ended);
    await expect(inbox.read({ timeoutMs: 5 })).rejects.toBe(ended);
    expect(clock.pending).toBe(0);
  });

  test("rejects every reader that waits, with or without a limit, and leaves no timer", async () => {
    const { signal } = new AbortController();
    const reads = [inbox.read(), inbox.read({ timeoutMs: 1_000 }), inbox.read({ signal })];
    inbox.close(ended);
    for (const read of reads) await expect(read).rejects.toBe(ended);
    expect(clock.pending).toBe(0);
  });

  test("takes no more messages, and keeps its first error", async () => {
    inbox.close(ended);
    inbox.close(new Error("another"));
    inbox.push(message(1));
    expect(inbox.size).toBe(0);
    await expect(inbox.read()).rejects.toBe(ended);
  });

  test("has nothing to hand out when it was cleared, too", async () => {
    inbox.push(message(1, 10));
    inbox.close(ended);
    inbox.clear();
    expect([inbox.size, inbox.cost]).toEqual([0, 0]);
    await expect(inbox.read()).rejects.toBe(ended);
  });
});

describe("iterating", () => {
  test("yields what arrives and ends when the inbox closes", async () => {
    inbox.push(message(0));
    const codes = codesOf(inbox);
    await turn();
    inbox.push(message(1));
    await turn();
    inbox.push(message(2));
    inbox.close(ended);
    expect(await codes).toEqual([0, 1, 2]);
  });

  test("ends at once over a closed inbox", async () => {
    inbox.close(ended);
    expect(await codesOf(inbox)).toEqual([]);
  });

  test("leaves what it did not take to the next reader", async () => {
    for (let code = 0; code < 3; code += 1) inbox.push(message(code));
    for await (const { code } of { [Symbol.asyncIterator]: () => inbox.iterate() }) {
      if (code === 1) break;
    }
    expect((await inbox.read()).code).toBe(2);
  });

  test("yields nothing more once it was left", async () => {
    const iterator = inbox.iterate();
    inbox.push(message(0));
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect((await inbox.read()).code).toBe(0);
  });
});

describe("a read with a timeout", () => {
  test("rejects when the time is up, not before, and says how long it was", async () => {
    const outcome = inbox.read({ timeoutMs: 1_000 }).catch((error: unknown) => error);
    clock.advance(999);
    inbox.push(message(1));
    expect(await outcome).toMatchObject({ code: 1 });
    const late = inbox.read({ timeoutMs: 1_000 });
    clock.advance(1_000);
    await expect(late).rejects.toThrow(TimeoutError);
    await expect(late).rejects.toMatchObject({ what: "read", ms: 1_000, code: "ERR_P2P_TIMEOUT" });
  });

  test("leaves no timer once a message came", async () => {
    const reading = inbox.read({ timeoutMs: 1_000 });
    inbox.push(message(1));
    await reading;
    expect(clock.pending).toBe(0);
  });

  test("that timed out takes no message from those that wait on", async () => {
    const first = inbox.read({ timeoutMs: 10 });
    const second = inbox.read();
    const third = inbox.read({ timeoutMs: 10 });
    const fourth = inbox.read();
    clock.advance(10);
    await expect(first).rejects.toThrow(TimeoutError);
    await expect(third).rejects.toThrow(TimeoutError);
    inbox.push(message(1));
    inbox.push(message(2));
    expect([(await second).code, (await fourth).code]).toEqual([1, 2]);
  });
});

describe("a read with a signal", () => {
  test("rejects with the signal's reason, whatever that is", async () => {
    const controller = new AbortController();
    const reading = inbox.read({ signal: controller.signal, timeoutMs: 1_000 });
    controller.abort("enough");
    await expect(reading).rejects.toBe("enough");
    expect(clock.pending).toBe(0);
  });

  test("takes nothing when the signal was aborted before", async () => {
    inbox.push(message(1));
    await expect(inbox.read({ signal: AbortSignal.abort("over") })).rejects.toBe("over");
    expect((await inbox.read()).code).toBe(1);
  });

  test("that was served already is deaf to its signal and its timer", async () => {
    const controller = new AbortController();
    const served = inbox.read({ signal: controller.signal, timeoutMs: 10 });
    const other = inbox.read();
    const third = inbox.read();
    inbox.push(message(1));
    controller.abort("late");
    clock.advance(10);
    expect((await served).code).toBe(1);
    inbox.push(message(2));
    inbox.push(message(3));
    expect([(await other).code, (await third).code]).toEqual([2, 3]);
  });

  test("keeps its place apart from others that share the signal", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const before = inbox.read();
    const aborted = [inbox.read({ signal }), inbox.read({ signal }), inbox.read({ signal })];
    const after = inbox.read();
    // Comes when all three have left: it is for the one behind them.
    signal.addEventListener("abort", () => inbox.push(message(2)));
    inbox.push(message(1));
    controller.abort("all of them");
    for (const read of aborted) await expect(read).rejects.toBe("all of them");
    expect([(await before).code, (await after).code]).toEqual([1, 2]);
  });

  test("gets a message that comes amid the abort, before its own turn to leave", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener("abort", () => inbox.push(message(1)));
    const served = inbox.read({ signal });
    const other = inbox.read();
    controller.abort("now");
    expect((await served).code).toBe(1);
    inbox.push(message(2));
    expect((await other).code).toBe(2);
  });

  test("leaves no listener behind", async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const reading = inbox.read({ signal });
    expect(listeners).toBe(1);
    inbox.push(message(1));
    await reading;
    expect(listeners).toBe(0);
  });
});

test("a read that nobody awaits brings nothing down when the inbox closes", async () => {
  const escaped: unknown[] = [];
  const note = (error: unknown): void => void escaped.push(error);
  process.on("unhandledRejection", note);
  void inbox.read();
  void inbox.read({ timeoutMs: 5 });
  void inbox.read({ signal: AbortSignal.abort("over") });
  inbox.close(ended);
  void inbox.read();
  await turn();
  process.off("unhandledRejection", note);
  expect(escaped).toEqual([]);
});
