import { onTestFinished, describe, expect, test } from "vitest";

import { discard } from "../src/stream.ts";
import type { ByteStream, StreamHandlers } from "../src/stream.ts";
import { tcpTransport } from "../src/tcp.ts";
import { defer, rejection, settle, until, within } from "./harness.ts";

/** What an owner was told, in order; data by its length. */
class Owner implements StreamHandlers {
  readonly told: string[] = [];
  bytes = 0;

  data(chunk: Uint8Array): void {
    this.bytes += chunk.length;
  }

  drain(): void {
    this.told.push("drain");
  }

  end(): void {
    this.told.push("end");
  }

  close(error: Error | undefined): void {
    this.told.push(error === undefined ? "close" : `close: ${error.name}`);
  }
}

/** Both ends of a TCP connection on loopback, gone after the test. */
async function connected(): Promise<[ByteStream, ByteStream]> {
  const accepted = defer<ByteStream>();
  const address = { host: "127.0.0.1", port: 0 };
  const listener = await tcpTransport.listen(address, (stream) => accepted.resolve(stream));
  const near = await tcpTransport.dial(listener.address, { signal: new AbortController().signal });
  const far = await within("a connection", accepted.promise);
  onTestFinished(async () => {
    await Promise.all([discard(near), discard(far), listener.close()]);
  });
  return [near, far];
}

describe("written", () => {
  const CHUNK = 64 * 1024;
  /** More than the kernel's buffers of a connection hold. */
  const MANY = 400;

  /** Writes many chunks whose every byte is their number; `told` has those the stream is done with. */
  function writeMany(stream: ByteStream, told: number[], onTold: (bytes: Uint8Array) => void) {
    for (let n = 0; n < MANY; n += 1) {
      const bytes = new Uint8Array(CHUNK).fill(n);
      stream.write(bytes, () => {
        told.push(n);
        onTold(bytes);
      });
    }
  }

  test("is told of every write, once and in order, and what is done with it then does no harm", async () => {
    const [near, far] = await connected();
    const told: number[] = [];
    near.open(new Owner());
    // As a pool does that lends the buffer to the next connection.
    writeMany(near, told, (bytes) => bytes.fill(0xee));
    await settle();
    const beforeReading = told.length;
    let [at, wrong] = [0, 0];
    const reader = new Owner();
    reader.data = (chunk) => {
      for (const byte of chunk) if (byte !== (Math.floor(at++ / CHUNK) & 0xff)) wrong += 1;
    };
    far.open(reader);
    far.resume();
    await until("all has arrived", () => at === MANY * CHUNK);
    await until("all is told", () => told.length >= MANY);
    await settle();
    expect(beforeReading).toBeLessThan(MANY);
    expect(wrong).toBe(0);
    expect(told).toEqual(Array.from({ length: MANY }, (_, n) => n));
  });

  test.each([
    ["destroyed here", (near: ByteStream) => near.destroy()],
    ["reset by the other side", (_near: ByteStream, far: ByteStream) => far.destroy()],
  ])("is never told of what did not leave a stream that is %s", async (_how, end) => {
    const [near, far] = await connected();
    const told: number[] = [];
    const owner = new Owner();
    near.open(owner);
    writeMany(near, told, () => undefined);
    await settle();
    end(near, far);
    await until("it is gone", () => owner.told.some((what) => what.startsWith("close")));
    await settle();
    expect(told.length).toBeLessThan(MANY);
    expect(told).toEqual(told.map((_, n) => n));
    near.write(new Uint8Array(1), () => told.push(-1));
    await settle();
    expect(told).not.toContain(-1);
  });
});

describe("cork", () => {
  /** The lengths of the chunks that arrive, until so many bytes have. */
  async function chunksOf(stream: ByteStream, bytes: number): Promise<number[]> {
    const chunks: number[] = [];
    const reader = new Owner();
    reader.data = (chunk) => {
      reader.bytes += chunk.length;
      chunks.push(chunk.length);
    };
    stream.open(reader);
    stream.resume();
    await until("all has arrived", () => reader.bytes === bytes);
    return chunks;
  }

  test("gathers what is written in this turn, microtasks and all, into one piece", async () => {
    const [near, far] = await connected();
    near.open(new Owner());
    near.cork?.();
    near.write(new Uint8Array(3));
    queueMicrotask(() => process.nextTick(() => near.write(new Uint8Array(4))));
    expect(await chunksOf(far, 7)).toEqual([7]);
  });

  test("holds nothing back for longer, and nothing that stands before an end", async () => {
    const [near, far] = await connected();
    near.open(new Owner());
    near.cork?.();
    near.write(new Uint8Array(3));
    await chunksOf(far, 3);
    const reader = new Owner();
    far.open(reader);
    near.cork?.();
    near.write(new Uint8Array(4));
    near.end();
    await until("the end is told", () => reader.told.includes("end"));
    expect(reader.bytes).toBe(4);
  });

  test("does no harm to a stream that is destroyed in the same turn", async () => {
    const [near] = await connected();
    const owner = new Owner();
    near.open(owner);
    near.cork?.();
    near.write(new Uint8Array(3));
    near.destroy();
    await settle();
    expect(owner.told).toEqual(["close"]);
  });
});

describe("handing a TCP stream on", () => {
  test("while it is being destroyed tells the next owner of its end, once, and no longer the one before", async () => {
    const [near] = await connected();
    const [first, next] = [new Owner(), new Owner()];
    near.open(first);
    near.destroy();
    near.open(next);
    await until("the next owner is told", () => next.told.length > 0);
    await settle();
    expect([first.told, next.told]).toEqual([[], ["close"]]);
  });

  test("when it is gone already tells the next owner so, once", async () => {
    const [near] = await connected();
    await discard(near);
    await settle();
    const next = new Owner();
    near.open(next);
    await until("the next owner is told", () => next.told.length > 0);
    await settle();
    expect(next.told).toEqual(["close"]);
  });

  test("after the other side's last byte tells the next owner of that", async () => {
    const [near, far] = await connected();
    const [first, next] = [new Owner(), new Owner()];
    near.open(first);
    near.resume();
    far.end();
    await until("the first owner is told", () => first.told.length > 0);
    near.open(next);
    await settle();
    expect([first.told, next.told]).toEqual([["end"], ["end"]]);
  });
});

test("discarding resolves when the stream is gone, at both ends", async () => {
  const [near, far] = await connected();
  const owner = new Owner();
  far.open(owner);
  far.resume();
  await within("the end of it", discard(near));
  await until("the other side is told", () => owner.told.length > 0);
});

test("a dial that is aborted rejects with the signal's reason", async () => {
  const controller = new AbortController();
  const reason = new Error("no longer wanted");
  const { signal } = controller;
  // Discard-only: what is sent there goes nowhere, so that the connection is still being made.
  const outcome = rejection(tcpTransport.dial({ host: "127.0.0.1", port: 9 }, { signal }));
  controller.abort(reason);
  expect(await outcome).toBe(reason);
  expect(await rejection(tcpTransport.dial({ host: "127.0.0.1", port: 9 }, { signal }))).toBe(
    reason,
  );
});

test("what arrived is freed when the owner has seen it", async () => {
  const [near, far] = await connected();
  const seen: { chunk: Uint8Array; length: number }[] = [];
  let bytes = 0;
  far.open({
    data(chunk) {
      seen.push({ chunk, length: chunk.length });
      bytes += chunk.length;
    },
    drain: () => undefined,
    end: () => undefined,
    close: () => undefined,
  });
  far.resume();
  near.write(new Uint8Array(1024 * 1024));
  await until("all has arrived", () => bytes === 1024 * 1024);
  await settle();
  const large = seen.filter(({ length }) => length >= 4096);
  expect(large.length).toBeGreaterThan(0);
  expect(large.map(({ chunk }) => chunk.length)).toEqual(large.map(() => 0));
});
