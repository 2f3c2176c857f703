import { beforeEach, expect, test } from "vitest";

import { Emitter } from "../src/emitter.ts";

interface Events {
  greet: string;
  count: number;
}

let errors: unknown[];
let emitter: Emitter<Events>;

beforeEach(() => {
  errors = [];
  emitter = new Emitter<Events>((error) => errors.push(error));
});

test("tells every listener of the event, in the order they came, and no other", () => {
  const heard: unknown[] = [];
  emitter.on("greet", (who) => heard.push(`first ${who}`));
  emitter.on("count", (n) => heard.push(n));
  emitter.on("greet", (who) => heard.push(`second ${who}`));
  emitter.emit("greet", "you");
  expect(heard).toEqual(["first you", "second you"]);
});

test("emits to nobody without complaint", () => {
  emitter.emit("greet", "nobody");
  expect(errors).toEqual([]);
});

test("says whether anybody listens", () => {
  expect(emitter.has("greet")).toBe(false);
  const off = emitter.on("greet", () => undefined);
  expect([emitter.has("greet"), emitter.has("count")]).toEqual([true, false]);
  off();
  expect(emitter.has("greet")).toBe(false);
});

test("removes the one registration, even of a listener registered twice", () => {
  let calls = 0;
  const listener = (): void => void (calls += 1);
  const off = emitter.on("greet", listener);
  emitter.on("greet", listener);
  off();
  off();
  emitter.emit("greet", "you");
  expect(calls).toBe(1);
});

test("reports a listener that throws, and tells the others", () => {
  const failure = new Error("listener");
  const heard: string[] = [];
  emitter.on("greet", () => {
    throw failure;
  });
  emitter.on("greet", (who) => heard.push(who));
  emitter.emit("greet", "you");
  expect(errors).toEqual([failure]);
  expect(heard).toEqual(["you"]);
});

test("does not tell a listener that an earlier one removed", () => {
  const heard: string[] = [];
  emitter.on("greet", () => off());
  const off = emitter.on("greet", (who) => heard.push(who));
  emitter.emit("greet", "you");
  expect(heard).toEqual([]);
});

test("tells a listener that came amid an event only of the next", () => {
  let calls = 0;
  let off = (): void => undefined;
  // Listens anew at every event: were it told of the same one again, that would never end.
  const renew = (): void => {
    calls += 1;
    if (calls > 10) return;
    off();
    off = emitter.on("greet", renew);
  };
  off = emitter.on("greet", renew);
  emitter.emit("greet", "you");
  expect(calls).toBe(1);
  emitter.emit("greet", "again");
  expect(calls).toBe(2);
});
