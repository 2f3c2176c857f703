import { expect, test } from "vitest";

import * as chat from "../src/index.ts";

test("the package exports these names", () => {
  expect(Object.keys(chat).sort()).toMatchInlineSnapshot(`
    [
      "Chat1",
      "ChatError",
      "ChatType",
      "DEFAULT_LIMITS",
      "MAX_BODY_BYTES",
      "MAX_NICK_BYTES",
      "MAX_NICK_LENGTH",
      "MAX_ROOM_BYTES",
      "MAX_TEXT_BYTES",
      "MAX_TYPE_BYTES",
      "checkNick",
      "checkRoom",
      "createChat",
      "escapeMessage",
    ]
  `);
});
