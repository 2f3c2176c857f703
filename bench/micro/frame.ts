/**
 * Measures the frame engines alone: `npx tsx bench/micro/frame.ts`.
 *
 * Writes and reads frames in one process, so a rate counts the work of both ends; rounds of the engines
 * alternate, and medians are shown. Keccak is what one direction's MAC could reach at most.
 */
import { createPortableEngine } from "../../packages/rlpx/src/engine.portable.ts";
import { createWasmEngine } from "../../packages/rlpx/src/engine.wasm.ts";
import { FrameReader, FrameWriter } from "../../packages/rlpx/src/frame.ts";
import { type FrameEngine, WINDOW_BYTES } from "../../packages/rlpx/src/layout.ts";

const ROUNDS = 5;
const BATCH_BYTES = 64 * 1024;
const secrets = {
  aesSecret: new Uint8Array(32).fill(1),
  macSecret: new Uint8Array(32).fill(2),
  macSeed: new Uint8Array(339).fill(3),
};
const head = Uint8Array.of(0x10);

const wasm = createWasmEngine();
if (wasm === undefined) throw new Error("this runtime has no WebAssembly");
const engines: Readonly<Record<string, FrameEngine>> = { wasm, portable: createPortableEngine() };

/** Seconds for `count` frames of `size` bytes: written, or written and read. */
function timeFrames(
  engine: FrameEngine,
  size: number,
  count: number,
): { write: number; read: number } {
  const writer = new FrameWriter(secrets, engine);
  const reader = new FrameReader({ ...secrets, maxFrameSize: 0xffffff }, engine);
  const body = new Uint8Array(size);
  let [write, read, got] = [0, 0, 0];
  const flush = (): void => {
    const t0 = performance.now();
    const wire = writer.take();
    const t1 = performance.now();
    for (let at = 0; at < wire.length; at += BATCH_BYTES) {
      reader.feed(wire.subarray(at, at + BATCH_BYTES));
      while (reader.next() !== undefined) got += 1;
    }
    read += performance.now() - t1;
    write += t1 - t0;
  };
  for (let sent = 0; sent < count;) {
    const start = performance.now();
    while (sent < count && writer.pendingBytes < BATCH_BYTES) {
      writer.push(head, body);
      sent += 1;
    }
    write += performance.now() - start;
    flush();
  }
  if (got !== count) throw new Error(`${got} of ${count} frames came out`);
  return { write: write / 1000, read: read / 1000 };
}

/** Bytes per second of the bare sponge. */
function timeKeccak(engine: FrameEngine, bytes: number): number {
  engine.reset();
  const start = performance.now();
  for (let done = 0; done < bytes; done += WINDOW_BYTES) engine.absorbSeed(WINDOW_BYTES);
  return bytes / ((performance.now() - start) / 1000);
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
const mega = (perSecond: number): string => (perSecond / 1e6).toFixed(1).padStart(8);

for (const size of [16, 1024, 128 * 1024]) {
  const results: Record<string, { write: number[]; read: number[] }> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, engine] of Object.entries(engines)) {
      const bytes = name === "wasm" ? 64e6 : 4e6;
      const count = Math.ceil(bytes / (size + 200));
      const { write, read } = timeFrames(engine, size, count);
      const result = (results[name] ??= { write: [], read: [] });
      result.write.push(count / write);
      result.read.push(count / read);
    }
  }
  for (const [name, result] of Object.entries(results)) {
    const [write, read] = [median(result.write), median(result.read)];
    const both = 1 / (1 / write + 1 / read);
    console.log(
      `${name.padEnd(9)} ${String(size).padStart(7)} B: write ${mega(write * size)} MB/s, read ${mega(read * size)} MB/s, both ends ${Math.round(both)} frames/s`,
    );
  }
}
for (const [name, engine] of Object.entries(engines)) {
  const rates = Array.from({ length: ROUNDS }, () =>
    timeKeccak(engine, name === "wasm" ? 64e6 : 4e6),
  );
  console.log(`${name.padEnd(9)} keccak-256: ${mega(median(rates))} MB/s`);
}
