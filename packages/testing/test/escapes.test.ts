import { expect, test } from "vitest";

import { watchEscapes } from "../src/escapes.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const listenersOf = (event: string): readonly unknown[] => process.listeners(event as never);

test("rejections that nobody takes are told to every watch, and to nobody else", async () => {
  const [first, second]: unknown[][] = [[], []];
  const others = listenersOf("unhandledRejection");
  const stopFirst = watchEscapes((error) => first!.push(error));
  const stopSecond = watchEscapes((error) => second!.push(error));
  try {
    expect(listenersOf("unhandledRejection")).toHaveLength(1);
    void Promise.reject(new Error("one"));
    await turn();
    stopFirst();
    void Promise.reject(new Error("two"));
    await turn();
  } finally {
    stopFirst();
    stopSecond();
  }
  expect(first).toMatchObject([{ message: "one" }]);
  expect(second).toMatchObject([{ message: "one" }, { message: "two" }]);
  expect(listenersOf("unhandledRejection")).toEqual(others);
});

test("uncaught exceptions are told, too, and the listeners are given back", async () => {
  const told: unknown[] = [];
  const others = listenersOf("uncaughtException");
  const stop = watchEscapes((error) => told.push(error));
  try {
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        setImmediate(resolve);
        throw new Error("thrown");
      });
    });
  } finally {
    stop();
    stop();
  }
  expect(told).toMatchObject([{ message: "thrown" }]);
  expect(listenersOf("uncaughtException")).toEqual(others);
});
