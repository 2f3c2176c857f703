import { codeTable } from "@heddle/protocol";
import { expect, test } from "vitest";

import * as pex from "../src/index.ts";

test("exports what it documents", () => {
  expect(Object.keys(pex).toSorted()).toEqual([
    "DEFAULT_PEX_LIMITS",
    "JoinError",
    "MAX_ANNOUNCED",
    "MAX_NETWORK_BYTES",
    "MAX_PEERS_PER_REPLY",
    "MemoryStore",
    "PeerExchange",
    "Pex1",
    "REFUSALS",
    "RecordCache",
    "StoreError",
    "createPeerExchange",
    "hasCapability",
    "openStore",
  ]);
});

test("stands on the wire as documented", () => {
  expect(codeTable(pex.Pex1)).toMatchInlineSnapshot(`
    [
      {
        "code": 0,
        "kind": "notify",
        "name": "introduce",
        "payload": "[network: text<=64, record: bytes1..300, seen: bytes<=16]",
      },
      {
        "code": 1,
        "kind": "request",
        "name": "getPeers",
        "payload": "[id, [count: uint<=64, capability?: text<=64]]",
      },
      {
        "code": 2,
        "kind": "reply",
        "name": "getPeers.reply",
        "payload": "[id, list(bytes1..300)]",
      },
      {
        "code": 3,
        "kind": "notify",
        "name": "announce",
        "payload": "list(bytes1..300)",
      },
    ]
  `);
});
