import { nodeIdOf, rlpItemLength } from "@heddle/identity";
import { Initiator, openHandshake, Recipient, RlpxSession, sealHandshake } from "@heddle/rlpx";
import type { SeededRandom } from "@heddle/testing";

import { quickCurve } from "../quick-curve.ts";
import { must, refusals } from "../target.ts";
import type { FuzzTarget } from "../target.ts";

const OUR_KEY = new Uint8Array(32).fill(1);
const PEER_KEY = new Uint8Array(32).fill(2);
const OUR_ID = nodeIdOf(OUR_KEY);
const PEER_ID = nodeIdOf(PEER_KEY);

const options = {
  curve: quickCurve(),
  /** Entropy that is always the same, so that the same input gives the same run. */
  randomBytes: (length: number): Uint8Array => new Uint8Array(length).fill(3),
};

const AUTH = new Initiator({ ...options, secretKey: PEER_KEY, remoteId: OUR_ID }).auth;

/** The ack of a peer to the one auth that we send. */
const ACK = ((): Uint8Array => {
  const { auth } = dialing();
  const answer = new Recipient({ ...options, secretKey: PEER_KEY }).receive(auth);
  if (answer === undefined) throw new Error("the peer waits for more of our auth");
  return answer.ack;
})();

function dialing(): Initiator {
  return new Initiator({ ...options, secretKey: OUR_KEY, remoteId: PEER_ID });
}

const REFUSALS = refusals("RemoteProtocolError", [
  "ERR_RLPX_HANDSHAKE_SIZE",
  "ERR_RLPX_BAD_HANDSHAKE",
  // Of what follows the packet, where the session reads it.
  "ERR_RLPX_BAD_HEADER_MAC",
]);

/** Receives a packet in pieces, as sockets hand them out, and what follows it. */
function receive(
  side: Recipient | Initiator,
  input: Uint8Array,
  random: SeededRandom,
): RlpxSession | undefined {
  const pieces = 1 + random.integer(4);
  for (let at = 0; at < input.length;) {
    const end = at + Math.max(1, Math.ceil(input.length / pieces));
    const result = side.receive(input.subarray(at, end));
    const session = result instanceof RlpxSession ? result : result?.session;
    at = end;
    if (session === undefined) continue;
    if (at < input.length) session.feed(input.subarray(at));
    session.next();
    return session;
  }
  return undefined;
}

/** Packets as they come from the wire: nearly all fail to authenticate. */
export const handshakePacket: FuzzTarget = {
  name: "handshake-packet",
  kind: "bytes",
  corpus: [AUTH, ACK],
  refusals: REFUSALS,
  run(input, random) {
    receive(new Recipient({ ...options, secretKey: OUR_KEY }), input, random);
    receive(dialing(), input, random);
  },
};

/** The fields of a packet, without what it is padded with. */
function fieldsOf(key: Uint8Array, packet: Uint8Array): Uint8Array {
  const plaintext = openHandshake(key, packet, options.curve);
  return plaintext.subarray(0, rlpItemLength(plaintext));
}

/** What a peer may put into an auth that is sealed as it should be. */
export const handshakeAuth: FuzzTarget = {
  name: "handshake-auth",
  kind: "rlp",
  corpus: [fieldsOf(OUR_KEY, AUTH)],
  refusals: REFUSALS,
  run(input, random) {
    const packet = sealHandshake(OUR_ID, input, options);
    const side = new Recipient({ ...options, secretKey: OUR_KEY });
    const session = receive(side, packet, random);
    must(session !== undefined, "a whole auth gave neither a session nor an error");
  },
};

/** What a peer may put into an ack that is sealed as it should be. */
export const handshakeAck: FuzzTarget = {
  name: "handshake-ack",
  kind: "rlp",
  corpus: [fieldsOf(OUR_KEY, ACK)],
  refusals: REFUSALS,
  run(input, random) {
    const packet = sealHandshake(OUR_ID, input, options);
    const session = receive(dialing(), packet, random);
    must(session !== undefined, "a whole ack gave neither a session nor an error");
  },
};
