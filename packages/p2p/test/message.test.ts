import { encodeRlp } from "@heddle/identity";
import { expect, test } from "vitest";

import { Message } from "../src/message.ts";

test("a payload that is released is gone, where it is large enough to matter", () => {
  const large = new Message(1, new Uint8Array(64 * 1024));
  large.release();
  expect(large.size).toBe(0);
  const small = new Message(1, encodeRlp("word"));
  small.release();
  expect(small.payload).toEqual(encodeRlp("word"));
});
