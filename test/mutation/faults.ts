/** One deliberate fault, and the tests that have to find it. */
export interface Fault {
  /** What is wrong, in words. */
  readonly name: string;
  readonly file: string;
  /** Text that stands in the file exactly once. */
  readonly find: string;
  readonly put: string;
  /** Test files, of which one at least must fail. */
  readonly tests: readonly string[];
}

const identity = "packages/identity/src";
const rlpx = "packages/rlpx/src";
const p2p = "packages/p2p/src";
const protocol = "packages/protocol/src";

/** Faults of the kinds that have been made: checks left out, bounds off by one, things mixed up or forgotten. */
export const FAULTS: readonly Fault[] = [
  {
    name: "the MAC of a frame is not compared",
    file: `${rlpx}/frame.ts`,
    find: "if (!engine.openTag(at + padded)) this.#failFrame();",
    put: "engine.openTag(at + padded);",
    tests: ["packages/rlpx/test/frame.test.ts"],
  },
  {
    name: "the tag of a handshake packet is not compared",
    file: `${rlpx}/ecies.ts`,
    find: 'if (!isAuthentic) throw badHandshake(new Error("mac does not match"));',
    put: "void isAuthentic;",
    tests: ["packages/rlpx/test/ecies.test.ts"],
  },
  {
    name: "the point in a handshake packet is not checked before ECDH",
    file: `${rlpx}/ecies.ts`,
    find: "sealed[0] === 0x04 && curve.isPoint(point)",
    put: "sealed[0] === 0x04",
    tests: ["packages/rlpx/test/ecies.test.ts"],
  },
  {
    name: "a handshake packet may be one byte too long",
    file: `${rlpx}/handshake.ts`,
    find: "size > MAX_HANDSHAKE_SIZE)",
    put: "size > MAX_HANDSHAKE_SIZE + 1)",
    tests: ["packages/rlpx/test/handshake.test.ts"],
  },
  {
    name: "the nonces in a MAC's seed are swapped, on both sides alike",
    file: `${rlpx}/secrets.ts`,
    find: "macSeed: concatBytes(xor(macSecret, recipientNonce), auth)",
    put: "macSeed: concatBytes(xor(macSecret, initiatorNonce), auth)",
    tests: ["packages/rlpx/test/secrets.test.ts"],
  },
  {
    name: "a frame before Hello may be one byte too long",
    file: `${rlpx}/session.ts`,
    find: "#maxFrameSize = 1 + MAX_HELLO_SIZE;",
    put: "#maxFrameSize = 2 + MAX_HELLO_SIZE;",
    tests: ["packages/rlpx/test/session.test.ts"],
  },
  {
    name: "message ids that are not canonical are let pass",
    file: `${rlpx}/session.ts`,
    find: "const isCanonical = frameData[1] !== 0 && msgId >= 0x80;",
    put: "const isCanonical = msgId >= 0;",
    tests: ["packages/rlpx/test/session.test.ts"],
  },
  {
    name: "a Snappy copy may start one byte before the beginning",
    file: `${rlpx}/snappy.ts`,
    find: "offset === 0 || offset > dst)",
    put: "offset === 0 || offset > dst + 1)",
    tests: ["packages/rlpx/test/snappy.test.ts"],
  },
  {
    name: "a node id of zeros is let pass",
    file: `${p2p}/hello.ts`,
    find: " || nodeId.every((byte) => byte === 0)",
    put: "",
    tests: ["packages/p2p/test/hello.test.ts"],
  },
  {
    name: "the id in Hello is not compared with the one proven",
    file: `${p2p}/establish.ts`,
    find: "if (!bytesEqual(hello.nodeId, remoteId)) {",
    put: "if (!bytesEqual(hello.nodeId, hello.nodeId)) {",
    tests: ["packages/p2p/test/establish.test.ts"],
  },
  {
    name: "the lowest shared version is taken",
    file: `${p2p}/capability.ts`,
    find: "other.version < protocol.version",
    put: "other.version > protocol.version",
    tests: ["packages/p2p/test/capability.test.ts"],
  },
  {
    name: "the code behind a protocol's last is taken for its own",
    file: `${p2p}/mux.ts`,
    find: "msgId < offset + length",
    put: "msgId <= offset + length",
    tests: ["packages/p2p/test/mux.test.ts"],
  },
  {
    name: "a peer that pings and reads nothing is read on",
    file: `${p2p}/peer.ts`,
    find: "        this.#holdPings();\n",
    put: "",
    tests: ["test/threats.test.ts"],
  },
  {
    name: "the keepalive's timer is forgotten at the end",
    file: `${p2p}/keepalive.ts`,
    find: "    this.#clock.clearTimeout(this.#timer);\n",
    put: "",
    tests: ["packages/p2p/test/keepalive.test.ts"],
  },
  {
    name: "the handshake's deadline is not cleared when it is done",
    file: `${p2p}/deadline.ts`,
    find: "    this.#clock.clearTimeout(this.#timer);\n    this.#group.delete(this);\n",
    put: "    this.#group.delete(this);\n",
    tests: ["packages/p2p/test/deadline.test.ts"],
  },
  {
    name: "what is taken from an inbox still counts as held",
    file: `${p2p}/inbox.ts`,
    find: "    this.cost -= cost;\n",
    put: "",
    tests: ["packages/p2p/test/inbox.test.ts"],
  },
  {
    name: "one inbound peer too many is admitted",
    file: `${p2p}/peer-set.ts`,
    find: "this.#inbound >= maxInbound",
    put: "this.#inbound > maxInbound",
    tests: ["packages/p2p/test/server.test.ts"],
  },
  {
    name: "one pending handshake too many is kept",
    file: `${p2p}/pending.ts`,
    find: "this.#slots.size >= this.#max",
    put: "this.#slots.size > this.#max",
    tests: ["packages/p2p/test/pending.test.ts"],
  },
  {
    name: "sending takes nothing off a protocol's window",
    file: `${p2p}/outbox.ts`,
    find: "      queue.window -= cost;\n",
    put: "",
    tests: ["packages/p2p/test/outbox.test.ts"],
  },
  {
    name: "a maintained connection is not dialed again",
    file: `${p2p}/maintain.ts`,
    find: "this.#timer = this.#clock.setTimeout(() => void this.#attempt(), ms);",
    put: "",
    tests: ["test/faults.test.ts"],
  },
  {
    name: "a reply to an id that was never asked is let pass",
    file: `${protocol}/requests.ts`,
    find: "id < 1 || id > this.#lastId",
    put: "id < 1",
    tests: ["packages/protocol/test/requests.test.ts"],
  },
  {
    name: "the deadlines of requests outlive the connection",
    file: `${protocol}/requests.ts`,
    find: "    this.#deadlines.stop();\n",
    put: "",
    tests: ["packages/protocol/test/requests.test.ts"],
  },
  {
    name: "RLP may be nested one list deeper than its bound",
    file: `${identity}/rlp.ts`,
    find: "outerEnds.length >= maxDepth",
    put: "outerEnds.length > maxDepth",
    tests: ["packages/identity/test/rlp.test.ts"],
  },
  {
    name: "the signature of a node record is not verified",
    file: `${identity}/enr.ts`,
    find: "signature instanceof Uint8Array && curve.verify(keccak_256(encodeRlp(items)), signature, id);",
    put: "signature instanceof Uint8Array && keccak_256(encodeRlp(items)).length + id.length > 0;",
    tests: ["packages/identity/test/enr.test.ts"],
  },
];
