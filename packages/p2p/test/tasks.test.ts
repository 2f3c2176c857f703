import { expect, test } from "vitest";

import { TaskSet } from "../src/tasks.ts";
import { defer, settle, watchEscapes } from "./harness.ts";

test("an empty set is settled at once", async () => {
  await new TaskSet().settled();
});

test("is settled when every task has ended, well or badly", async () => {
  const escaped = watchEscapes();
  const tasks = new TaskSet();
  const [good, bad] = [defer(), defer()];
  tasks.add(good.promise);
  tasks.add(bad.promise);
  let isSettled = false;
  const settled = tasks.settled().then(() => (isSettled = true));
  bad.reject(new Error("boom"));
  await settle();
  expect([tasks.size, isSettled]).toEqual([1, false]);
  good.resolve();
  await settled;
  expect(tasks.size).toBe(0);
  expect(escaped).toEqual([]);
});

test("waits for what a task leaves behind, too", async () => {
  const tasks = new TaskSet();
  const [first, second] = [defer(), defer()];
  tasks.add(first.promise.then(() => tasks.add(second.promise)));
  let isSettled = false;
  const settled = tasks.settled().then(() => (isSettled = true));
  first.resolve();
  await settle();
  expect([tasks.size, isSettled]).toEqual([1, false]);
  second.resolve();
  await settled;
});
