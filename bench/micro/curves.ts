/**
 * Holds every implementation of the curve to noble on 10,000 random inputs, and measures what each operation
 * costs: `npx tsx bench/micro/curves.ts [COUNT]`. Ends with an error at the first difference.
 */
import { nativeBackend, nodeBackend } from "../../packages/identity/src/backend-node.ts";
import { type Curve, makeCurve, portableCurve } from "../../packages/identity/src/curve.ts";
import { generateSecretKey, toHex } from "../../packages/identity/src/index.ts";

const count = Number(process.argv[2] ?? 10_000);
const curves: readonly Curve[] = [
  portableCurve,
  ...[nodeBackend, nativeBackend].flatMap((backend) =>
    backend === undefined ? [] : [makeCurve(backend)],
  ),
];

const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

/** Microseconds by operation and implementation, summed up. */
const spent = new Map<string, Map<string, number>>();

/** Does one operation with every implementation and returns what all of them agree on. */
function agree(
  operation: string,
  perform: (curve: Curve) => Uint8Array | boolean,
): Uint8Array | undefined {
  const times = spent.get(operation) ?? new Map<string, number>();
  spent.set(operation, times);
  let first: { result: Uint8Array | undefined; shown: string } | undefined;
  for (const curve of curves) {
    const start = performance.now();
    const { result, shown } = attempt(() => perform(curve));
    times.set(curve.name, (times.get(curve.name) ?? 0) + (performance.now() - start) * 1000);
    first ??= { result, shown };
    if (shown !== first.shown) {
      throw new Error(`${operation}: ${curve.name} says ${shown}, noble ${first.shown}`);
    }
  }
  return first?.result;
}

function attempt(perform: () => Uint8Array | boolean): {
  result: Uint8Array | undefined;
  shown: string;
} {
  try {
    const result = perform();
    if (typeof result === "boolean") return { result: undefined, shown: String(result) };
    return { result, shown: toHex(result) };
  } catch (error) {
    return { result: undefined, shown: error instanceof Error ? error.message : String(error) };
  }
}

/** A point in which one bit is wrong: off the curve, but for one in some 2^128. */
function withWrongBit(point: Uint8Array): Uint8Array {
  const wrong = point.slice();
  const [at = 0] = randomBytes(1);
  wrong[at >> 2] = (wrong[at >> 2] ?? 0) ^ (1 << (at & 7));
  return wrong;
}

for (let done = 0; done < count; done++) {
  const [key, other, digest] = [generateSecretKey(), generateSecretKey(), randomBytes(32)];
  const point = agree("publicKey", (curve) => curve.publicKey(other)) ?? new Uint8Array(64);
  agree("sharedSecret", (curve) => curve.sharedSecret(key, point));
  const signature = agree("sign", (curve) => curve.sign(digest, key)) ?? new Uint8Array(65);
  agree("recover", (curve) => curve.recover(digest, signature));
  agree("isPoint", (curve) => curve.isPoint(point));
  const wrong = withWrongBit(point);
  agree("isPoint, wrong", (curve) => curve.isPoint(wrong));
  agree("sharedSecret, wrong", (curve) => curve.sharedSecret(key, wrong));
  agree("recover, random", (curve) => curve.recover(digest, randomSignature(signature)));
}

function randomSignature(signature: Uint8Array): Uint8Array {
  return Uint8Array.of(...signature.subarray(0, 32).toReversed(), ...signature.subarray(32));
}

console.log(`${count} random inputs: ${curves.map(({ name }) => name).join(", ")} agree\n`);
console.log(`${"µs".padEnd(22)}${curves.map(({ name }) => name.padStart(10)).join("")}`);
for (const [operation, times] of spent) {
  const cells = curves.map(({ name }) => ((times.get(name) ?? 0) / count).toFixed(1).padStart(10));
  console.log(operation.padEnd(22) + cells.join(""));
}
