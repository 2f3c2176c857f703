import { markAsUntransferable } from "node:worker_threads";

import { afterEach, expect, test, vi } from "vitest";

import { freeBuffer, freeWholeBuffer } from "../src/free-buffer.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test("a large buffer is emptied at once", () => {
  const bytes = new Uint8Array(4096).fill(7);
  freeBuffer(bytes);
  expect([bytes.length, bytes.buffer.byteLength]).toEqual([0, 0]);
  // There is nothing left to free.
  freeBuffer(bytes);
});

test("small buffers, and views of a part, are left alone: others may look at the rest", () => {
  const small = new Uint8Array(4095).fill(7);
  const whole = new Uint8Array(16_384).fill(7);
  const shared = new Uint8Array(new SharedArrayBuffer(8192)).fill(7);
  const parts = [whole.subarray(0, 16_383), whole.subarray(1), Buffer.from(whole.buffer, 0, 8192)];
  for (const view of [small, shared, ...parts]) {
    freeBuffer(view);
    expect(view.at(-1)).toBe(7);
  }
  expect(whole.length).toBe(16_384);
});

test("a buffer is freed by a part of it where that is asked for, if the part is large", () => {
  const whole = new Uint8Array(16_384).fill(7);
  freeWholeBuffer(whole.subarray(0, 4095));
  expect(whole.length).toBe(16_384);
  freeWholeBuffer(whole.subarray(100, 5000));
  expect(whole.length).toBe(0);
});

test("memory that cannot be given away stays", () => {
  const pool = new Uint8Array(8192).fill(7);
  markAsUntransferable(pool.buffer);
  freeBuffer(pool);
  expect(pool[8191]).toBe(7);
});

test("memory that was freed does not pile up until the collector runs", () => {
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 256; n += 1) freeBuffer(new Uint8Array(1024 * 1024));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
});

test("where there are no message channels, buffers are left to the collector", async () => {
  vi.stubGlobal("MessageChannel", undefined);
  vi.resetModules();
  const fresh = await import("../src/free-buffer.ts");
  const bytes = new Uint8Array(8192).fill(7);
  fresh.freeBuffer(bytes);
  expect(bytes[8191]).toBe(7);
});

test("nothing keeps the process alive for it", () => {
  freeBuffer(new Uint8Array(8192));
  expect(process.getActiveResourcesInfo()).not.toContain("MessagePort");
});
