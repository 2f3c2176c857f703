/**
 * Measures what a recipient of handshakes spends on a packet that it refuses, by how far the packet gets,
 * beside one that it accepts: `npx tsx bench/micro/refusals.ts`.
 */
import { nativeBackend, nodeBackend } from "../../packages/identity/src/backend-node.ts";
import { type Curve, makeCurve, portableCurve } from "../../packages/identity/src/curve.ts";
import { generateSecretKey, nodeIdOf } from "../../packages/identity/src/index.ts";
import { Initiator, Recipient } from "../../packages/rlpx/src/handshake.ts";

const PACKETS = 300;
const ROUNDS = 5;
const secretKey = generateSecretKey();
const remoteId = nodeIdOf(secretKey);

const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
const makeAuth = (): Uint8Array => new Initiator({ secretKey: generateSecretKey(), remoteId }).auth;

/** A good packet with some of its bytes replaced; `at` below 0 counts from the end. */
function spoiled(at: number, bytes: Uint8Array): Uint8Array {
  const packet = makeAuth();
  packet.set(bytes, at < 0 ? packet.length + at : at);
  return packet;
}

/** By what is wrong with them: size (2 bytes), prefix of the point, point (64), IV, ciphertext, MAC (32). */
const packets: Readonly<Record<string, () => Uint8Array>> = {
  "the size": () => spoiled(0, Uint8Array.of(0xff, 0xff)),
  "all but the size": () => spoiled(2, randomBytes(300)),
  "the point": () => spoiled(3, randomBytes(64)),
  "the MAC": () => spoiled(-32, randomBytes(32)),
  "nothing: accepted": makeAuth,
};

function microseconds(curve: Curve, made: readonly Uint8Array[]): number {
  const start = performance.now();
  for (const packet of made) {
    try {
      new Recipient({ secretKey, curve }).receive(packet);
    } catch {
      // Being refused is what most of them are for.
    }
  }
  return ((performance.now() - start) * 1000) / made.length;
}

const curves = [
  portableCurve,
  ...[nodeBackend, nativeBackend].flatMap((backend) =>
    backend === undefined ? [] : [makeCurve(backend)],
  ),
];
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

console.log(
  `${"µs, if this is wrong".padEnd(24)}${curves.map(({ name }) => name.padStart(10)).join("")}`,
);
for (const [what, make] of Object.entries(packets)) {
  const made = Array.from({ length: PACKETS }, make);
  const times = curves.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, curve] of curves.entries()) times[at]?.push(microseconds(curve, made));
  }
  console.log(what.padEnd(24) + times.map((each) => median(each).toFixed(1).padStart(10)).join(""));
}
