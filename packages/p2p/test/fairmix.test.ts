import { getEventListeners } from "node:events";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { FairMix } from "../src/fairmix.ts";

function setUp(): { mix: FairMix<string>; controller: AbortController; errors: unknown[] } {
  const errors: unknown[] = [];
  const controller = new AbortController();
  const onError = (error: unknown): void => void errors.push(error);
  return { mix: new FairMix({ signal: controller.signal, onError }), controller, errors };
}

async function* items(name: string, count = Infinity): AsyncGenerator<string> {
  for (let i = 0; i < count; i += 1) yield `${name}${i}`;
}

/** A source that yields what it is given when it is given it, and counts what is asked of it. */
class ManualSource implements AsyncIterable<string> {
  asked = 0;
  returned = 0;
  #answer: ((result: IteratorResult<string>) => void) | undefined;
  #fail: ((error: unknown) => void) | undefined;

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: () => {
        this.asked += 1;
        return new Promise((resolve, reject) => {
          this.#answer = resolve;
          this.#fail = reject;
        });
      },
      return: () => {
        this.returned += 1;
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  give(value: string): void {
    this.#answer?.({ done: false, value });
  }

  end(): void {
    this.#answer?.({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    this.#fail?.(error);
  }
}

async function take(mix: AsyncIterator<string>, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const result = await mix.next();
    if (result.done === true) break;
    taken.push(result.value);
  }
  return taken;
}

/** Lets everything that is ready happen. */
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("FairMix", () => {
  test("hands out all items of all sources, each source's in order, and ends", async () => {
    const counts = fc.array(fc.nat(8), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(counts, async (lengths) => {
        const { mix } = setUp();
        const names = "abcdef";
        for (const [i, length] of lengths.entries()) mix.add(items(names.charAt(i), length));
        const all: string[] = [];
        for await (const item of mix) all.push(item);
        for (const [i, length] of lengths.entries()) {
          const name = names.charAt(i);
          const expected = Array.from({ length }, (_, at) => `${name}${at}`);
          expect(all.filter((item) => item.startsWith(name))).toEqual(expected);
        }
        expect(all).toHaveLength(lengths.reduce((sum, length) => sum + length, 0));
      }),
    );
  });

  test("draws from equally fast sources in turn", async () => {
    const { mix, controller } = setUp();
    for (const name of ["a", "b", "c"]) mix.add(items(name));
    const drawn: string[] = [];
    for await (const item of mix) {
      drawn.push(item);
      // A consumer that works on each item: sources refill meanwhile.
      await settle();
      if (drawn.length === 9) controller.abort();
    }
    const perSource = (name: string): number => drawn.filter((item) => item[0] === name).length;
    expect(["a", "b", "c"].map(perSource)).toEqual([3, 3, 3]);
  });

  test("hands out a slow source's item next, however fast the others are", async () => {
    const { mix, controller } = setUp();
    const slow = new ManualSource();
    mix.add(items("fast"));
    mix.add(slow);
    const iterator = mix[Symbol.asyncIterator]();
    await take(iterator, 100);
    slow.give("slow");
    await settle();
    expect(await take(iterator, 2)).toContain("slow");
    controller.abort();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("asks a source for nothing before it is iterated, and for one item ahead then", async () => {
    const { mix, controller } = setUp();
    const source = new ManualSource();
    mix.add(source);
    await settle();
    expect(source.asked).toBe(0);
    const iterator = mix[Symbol.asyncIterator]();
    const first = iterator.next();
    source.give("one");
    expect((await first).value).toBe("one");
    await settle();
    expect(source.asked).toBe(1);
    const second = iterator.next();
    await settle();
    expect(source.asked).toBe(2);
    controller.abort();
    await second;
  });

  test("holds at most one item of a source that nobody draws from", async () => {
    const { mix, controller } = setUp();
    let produced = 0;
    mix.add(
      (async function* () {
        for (;;) {
          produced += 1;
          yield `item${produced}`;
        }
      })(),
    );
    const iterator = mix[Symbol.asyncIterator]();
    await take(iterator, 1);
    for (let i = 0; i < 10; i += 1) await settle();
    expect(produced).toBeLessThanOrEqual(2);
    controller.abort();
    await iterator.next();
  });

  test("takes a source that is added while it waits", async () => {
    const { mix, controller } = setUp();
    mix.add(new ManualSource());
    const iterator = mix[Symbol.asyncIterator]();
    const next = iterator.next();
    await settle();
    mix.add(items("late", 1));
    expect((await next).value).toBe("late0");
    controller.abort();
    await iterator.next();
  });

  test("removes and closes a source on demand, its unread item with it", async () => {
    const { mix, controller } = setUp();
    const [kept, removed] = [new ManualSource(), new ManualSource()];
    mix.add(kept);
    const remove = mix.add(removed);
    const iterator = mix[Symbol.asyncIterator]();
    const first = iterator.next();
    kept.give("kept0");
    removed.give("gone0");
    expect((await first).value).toBe("kept0");
    remove();
    remove();
    expect(mix.size).toBe(1);
    expect(removed.returned).toBe(1);
    const next = iterator.next();
    removed.give("gone1");
    kept.give("kept1");
    expect((await next).value).toBe("kept1");
    controller.abort();
    await iterator.next();
  });

  test("ends when the last source is removed while it waits", async () => {
    const { mix } = setUp();
    const remove = mix.add(new ManualSource());
    const next = mix[Symbol.asyncIterator]().next();
    await settle();
    remove();
    expect((await next).done).toBe(true);
  });

  test("keeps turns when sources before the next one go", async () => {
    const { mix, controller } = setUp();
    const sources = [new ManualSource(), new ManualSource(), new ManualSource()];
    const removers = sources.map((source) => mix.add(source));
    const iterator = mix[Symbol.asyncIterator]();
    const first = iterator.next();
    for (const [i, source] of sources.entries()) source.give(`s${i}`);
    expect((await first).value).toBe("s0");
    removers[0]?.();
    expect(await take(iterator, 1)).toEqual(["s1"]);
    expect(await take(iterator, 1)).toEqual(["s2"]);
    controller.abort();
    await iterator.next();
  });

  test("reports a source that throws and goes on with the others", async () => {
    const { mix, errors } = setUp();
    const failing = new ManualSource();
    mix.add(failing);
    mix.add(items("a", 2));
    const iterator = mix[Symbol.asyncIterator]();
    expect(await take(iterator, 1)).toEqual(["a0"]);
    const fault = new Error("no more");
    failing.fail(fault);
    expect(await take(iterator, 5)).toEqual(["a1"]);
    expect(errors).toEqual([fault]);
    expect(mix.size).toBe(0);
  });

  test.each<[string, AsyncIterator<string>["next"]]>([
    [
      "throws instead of rejecting",
      () => {
        throw new Error("at once");
      },
    ],
    ["resolves to no result", () => Promise.resolve(undefined as never)],
    ["returns no promise", () => null as never],
  ])("reports a source whose next() %s", async (_name, next) => {
    const { mix, errors } = setUp();
    mix.add({ [Symbol.asyncIterator]: () => ({ next }) });
    mix.add(items("a", 2));
    expect(await take(mix[Symbol.asyncIterator](), 5)).toEqual(["a0", "a1"]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(Error);
  });

  test("reports a source that cannot be closed", async () => {
    const { mix, errors } = setUp();
    const fault = new Error("stays open");
    const closers = [
      () => Promise.reject(fault),
      () => {
        throw fault;
      },
    ];
    for (const close of closers) {
      const next = (): Promise<never> => new Promise(() => undefined);
      mix.add({ [Symbol.asyncIterator]: () => ({ next, return: close }) })();
    }
    await settle();
    expect(errors).toEqual([fault, fault]);
  });

  test("lets a removed source fail in silence", async () => {
    const { mix, controller, errors } = setUp();
    const source = new ManualSource();
    mix.add(new ManualSource());
    const remove = mix.add(source);
    const next = mix[Symbol.asyncIterator]().next();
    remove();
    source.fail(new Error("too late"));
    await settle();
    expect(errors).toEqual([]);
    controller.abort();
    expect((await next).done).toBe(true);
  });

  test("ends on abort while it waits, closes every source and forgets the signal", async () => {
    const { mix, controller } = setUp();
    const sources = [new ManualSource(), new ManualSource()];
    for (const source of sources) mix.add(source);
    const next = mix[Symbol.asyncIterator]().next();
    await settle();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(sources.map((source) => source.returned)).toEqual([1, 1]);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("closes every source when its reader breaks off", async () => {
    const { mix } = setUp();
    const source = new ManualSource();
    mix.add(source);
    mix.add(items("a"));
    for await (const item of mix) {
      expect(item).toBe("a0");
      break;
    }
    expect(source.returned).toBe(1);
    expect(mix.size).toBe(0);
  });

  test("does not close a source that has ended or failed by itself", async () => {
    const { mix } = setUp();
    const [ended, failed] = [new ManualSource(), new ManualSource()];
    mix.add(ended);
    mix.add(failed);
    const next = mix[Symbol.asyncIterator]().next();
    ended.end();
    failed.fail(new Error("broken"));
    expect((await next).done).toBe(true);
    expect([ended.returned, failed.returned]).toEqual([0, 0]);
  });

  test("ends at once without sources, or when the signal has aborted before", async () => {
    expect(await take(setUp().mix[Symbol.asyncIterator](), 1)).toEqual([]);
    const { mix, controller } = setUp();
    const source = new ManualSource();
    mix.add(source);
    controller.abort();
    expect(await take(mix[Symbol.asyncIterator](), 1)).toEqual([]);
    expect([source.asked, source.returned]).toEqual([0, 1]);
  });

  test("refuses a second reader", () => {
    const { mix } = setUp();
    mix[Symbol.asyncIterator]();
    expect(() => mix[Symbol.asyncIterator]()).toThrow(TypeError);
  });
});
