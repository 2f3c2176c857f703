import { encodeRlp, nodeIdOf } from "@heddle/identity";
import {
  decodeDisconnect,
  decodeHello,
  describeReason,
  encodeHello,
  matchCapabilities,
} from "@heddle/p2p";

import { must, refusals, textBytes } from "../target.ts";
import type { FuzzTarget } from "../target.ts";

const ID = nodeIdOf(new Uint8Array(32).fill(1));

const hello = (clientId: string, names: readonly string[], protocolVersion = 5): Uint8Array =>
  encodeHello({
    protocolVersion,
    clientId,
    capabilities: names.map((name, i) => ({ name, version: i + 1 })),
    listenPort: 0,
    nodeId: ID,
  });

const OURS = ["eth", "foo", "snap"].map((name) => ({ name, version: 1, length: 17 }));

/** Hello, and what is negotiated from it. */
export const helloTarget: FuzzTarget = {
  name: "hello",
  kind: "rlp",
  corpus: [
    hello("demo/1.0", ["foo"]),
    hello("Geth/v1.17.0/linux-amd64/go1.26", ["eth", "eth", "snap"]),
    hello("", [], 4),
    hello(
      "x".repeat(600),
      Array.from({ length: 100 }, (_, i) => `cap${i}`),
    ),
    encodeRlp([6, "future", [["foo", 1, "more"]], 30_303, ID, "more", [1, [2]]]),
  ],
  refusals: refusals("RemoteProtocolError", ["ERR_P2P_BAD_HELLO", "ERR_P2P_NULL_IDENTITY"]),
  run(input) {
    const decoded = decodeHello(input);
    must(decoded.nodeId.length === 64, "a node id is not 64 bytes");
    for (const { name, version } of decoded.capabilities) {
      must(/^[\x21-\x7e]+$/.test(name), "a capability's name is not printable");
      must(Number.isSafeInteger(version), "a capability's version is no safe integer");
    }
    let offset = 0x10;
    for (const shared of matchCapabilities(OURS, decoded.capabilities)) {
      must(shared.offset === offset, "message ids have a gap");
      offset += shared.length;
    }
  },
};

/** The reason in a Disconnect: every payload has one. */
export const disconnectTarget: FuzzTarget = {
  name: "disconnect",
  kind: "rlp",
  corpus: [[], [0], [0x10], [255], ["text"], [[4]], [1, 2, 3]].map((value) => encodeRlp(value)),
  dictionary: [textBytes("\x81\xff"), textBytes("\xc1\x04"), textBytes("\x82\xc1\x04")],
  refusals: new Set(),
  run(input) {
    const reason = decodeDisconnect(input);
    must(Number.isInteger(reason) && reason >= 0 && reason <= 255, `the reason is ${reason}`);
    must(describeReason(reason).length > 0, "the reason has no description");
  },
};
