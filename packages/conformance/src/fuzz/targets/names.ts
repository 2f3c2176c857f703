import { bytesEqual, Enr, formatEnode, nodeIdOf, parseEnode, toHex } from "@heddle/identity";

import { bytesText, must, refusals, textBytes } from "../target.ts";
import type { FuzzTarget } from "../target.ts";

const KEY = new Uint8Array(32).fill(1);
const ID = toHex(nodeIdOf(KEY));

/** Enode URLs: what is accepted is written and read back as the same. */
export const enode: FuzzTarget = {
  name: "enode",
  kind: "text",
  corpus: [
    `enode://${ID}@127.0.0.1:30303`,
    `enode://${ID}@[2001:db8::1]:30303?discport=30301`,
    `enode://${ID}@node.example.org:0?discport=0`,
    `enode://${ID.toUpperCase()}@[::ffff:192.0.2.1]:65535`,
  ].map(textBytes),
  dictionary: ["?discport=", "[::1]", "@", ":", "65536", "0x10", "%00", "xn--", "..", "-", "\0", ID]
    .map(textBytes)
    .concat(textBytes("9".repeat(40))),
  refusals: refusals("EnodeError", [
    "ERR_ENODE_TOO_LONG",
    "ERR_ENODE_BAD_SCHEME",
    "ERR_ENODE_BAD_ID",
    "ERR_ENODE_BAD_HOST",
    "ERR_ENODE_BAD_PORT",
    "ERR_ENODE_BAD_QUERY",
  ]),
  run(input) {
    const node = parseEnode(bytesText(input));
    const again = parseEnode(formatEnode(node));
    must(bytesEqual(again.id, node.id), "the id changed when it was written");
    must(again.host === node.host, "the host changed when it was written");
    must(again.tcpPort === node.tcpPort, "the TCP port changed when it was written");
    must(again.udpPort === node.udpPort, "the UDP port changed when it was written");
  },
};

const RECORDS: readonly Enr[] = [
  Enr.create(KEY),
  Enr.create(KEY, { seq: 7, ip: "192.0.2.1", tcp: 30_303, udp: 30_301 }),
  Enr.create(KEY, { seq: 2n ** 64n - 1n, ip6: "2001:db8::1", tcp6: 1, udp6: 2 }),
  Enr.create(KEY, { ip: "192.0.2.1", pairs: { eth: [["", 0]], snap: [], note: "x".repeat(60) } }),
];

const ENR_REFUSALS = refusals("EnrError", [
  "ERR_ENR_TOO_LARGE",
  "ERR_ENR_BAD_TEXT",
  "ERR_ENR_BAD_RLP",
  "ERR_ENR_BAD_STRUCTURE",
  "ERR_ENR_BAD_KEY_ORDER",
  "ERR_ENR_BAD_VALUE",
  "ERR_ENR_UNKNOWN_SCHEME",
  "ERR_ENR_BAD_PUBLIC_KEY",
  "ERR_ENR_BAD_SIGNATURE",
]);

function checkRecord(record: Enr): void {
  must(bytesEqual(Enr.parse(record.toString()).id, record.id), "the text is another record");
  record.toEnode();
}

/** Node records as bytes, the signature included. */
export const enr: FuzzTarget = {
  name: "enr",
  kind: "rlp",
  corpus: RECORDS.map((record) => record.encode()),
  refusals: ENR_REFUSALS,
  run: (input) => checkRecord(Enr.decode(input)),
};

/** Node records as text. */
export const enrText: FuzzTarget = {
  name: "enr-text",
  kind: "text",
  corpus: RECORDS.map((record) => textBytes(record.toString())),
  dictionary: ["enr:", "=", "-", "_", "+", "/", "A"].map(textBytes),
  refusals: ENR_REFUSALS,
  run: (input) => checkRecord(Enr.parse(bytesText(input))),
};
