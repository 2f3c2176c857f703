import { expect, test } from "vitest";

import * as rlpx from "../src/index.ts";

test("the package exports these names and no others", () => {
  expect(Object.keys(rlpx).sort()).toEqual([
    "FrameReader",
    "Initiator",
    "LocalProtocolError",
    "MAX_HANDSHAKE_SIZE",
    "MAX_HELLO_SIZE",
    "MAX_MESSAGE_SIZE",
    "MAX_MSG_ID",
    "RawFrameWriter",
    "Recipient",
    "RemoteProtocolError",
    "RlpxSession",
    "SNAPPY_VERSION",
    "compress",
    "decompress",
    "deriveSecrets",
    "freeBuffer",
    "freeWholeBuffer",
    "openHandshake",
    "sealHandshake",
    "uncompressedLength",
  ]);
});
