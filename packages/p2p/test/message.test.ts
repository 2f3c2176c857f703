import { encodeRlp } from "@heddle/identity";
import { expect, test } from "vitest";

import { Message, releaseMessage } from "../src/message.ts";

test("a payload that is released is gone, where it is large enough to matter", () => {
  const large = new Message(1, new Uint8Array(64 * 1024));
  large.release();
  expect(large.size).toBe(0);
  const small = new Message(1, encodeRlp("word"));
  small.release();
  expect(small.payload).toEqual(encodeRlp("word"));
});

test("a message is released by any large view into it, too", () => {
  const message = new Message(1, encodeRlp([1, new Uint8Array(64 * 1024)]));
  const [small, large] = [message.payload.subarray(4, 5), message.payload.subarray(9)];
  releaseMessage(small);
  expect(message.size).toBeGreaterThan(64 * 1024);
  releaseMessage(large);
  expect([message.size, large.length]).toEqual([0, 0]);
});
