import { expect, test } from "vitest";

import * as protocol from "../src/index.ts";

test("the package exports these names", () => {
  expect(Object.keys(protocol).sort()).toMatchInlineSnapshot(`
    [
      "BadReply",
      "DEFAULT_TIMEOUT_MS",
      "Disconnect",
      "DisconnectReason",
      "HandlerError",
      "MAX_ITEMS",
      "PeerGone",
      "RequestError",
      "RequestTimeout",
      "RlpReader",
      "RlpWriter",
      "SchemaError",
      "SchemaValueError",
      "UselessPeer",
      "anyVersion",
      "bigint",
      "bool",
      "bytes",
      "bytes32",
      "codeTable",
      "createSchema",
      "defineProtocol",
      "definitionOf",
      "describeShape",
      "extendProtocol",
      "fixedBytes",
      "implement",
      "item",
      "list",
      "mapped",
      "notify",
      "optional",
      "releaseMessage",
      "request",
      "struct",
      "text",
      "tuple",
      "uint",
      "union",
    ]
  `);
});
