import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { memoryStreamPair, MemoryNetwork } from "../src/memory.ts";
import type { MemoryLink } from "../src/memory.ts";
import { Server } from "../src/server.ts";
import type { ByteStream, StreamHandlers } from "../src/stream.ts";
import { keyOf, turn } from "./harness.ts";

/** What one end of a stream was told, in order. */
class Owner implements StreamHandlers {
  readonly stream: ByteStream;
  readonly told: string[] = [];
  readonly received: number[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.open(this);
  }

  data(chunk: Uint8Array): void {
    this.told.push(`data ${chunk.length}`);
    this.received.push(...chunk);
  }

  drain(): void {
    this.told.push("drain");
  }

  end(): void {
    this.told.push("end");
  }

  close(error: Error | undefined): void {
    this.told.push(error === undefined ? "close" : "close with an error");
  }
}

function pair(...options: Parameters<typeof memoryStreamPair>): [Owner, Owner] {
  const [a, b] = memoryStreamPair(...options);
  return [new Owner(a), new Owner(b)];
}

function readingPair(): [Owner, Owner] {
  const owners = pair();
  for (const { stream } of owners) stream.resume();
  return owners;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const HIGH_WATER_MARK = 64 * 1024;

describe("a stream", () => {
  test("shows each end the other's address as remote", () => {
    const near = { host: "10.0.0.1", port: 50_001 };
    const far = { host: "10.0.0.2", port: 30_303 };
    const [a, b] = memoryStreamPair([near, far]);
    expect([a.localAddress, a.remoteAddress]).toEqual([near, far]);
    expect([b.localAddress, b.remoteAddress]).toEqual([far, near]);
  });

  test("delivers nothing before it is resumed, and then everything in order", async () => {
    const [a, b] = pair();
    for (let i = 0; i < 100; i += 1) a.stream.write(bytes(i));
    await turn();
    expect(b.told).toEqual([]);
    b.stream.resume();
    await turn();
    expect(b.received).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test("never delivers within the write", () => {
    const [a, b] = readingPair();
    a.stream.write(bytes(1));
    expect(b.told).toEqual([]);
  });

  test("stops amid what has arrived when its owner pauses", async () => {
    const [a, b] = readingPair();
    b.data = (chunk) => {
      b.received.push(...chunk);
      b.stream.pause();
    };
    for (let i = 0; i < 3; i += 1) a.stream.write(bytes(i));
    await turn();
    expect(b.received).toEqual([0]);
    b.stream.resume();
    await turn();
    expect(b.received).toEqual([0, 1]);
  });

  test("carries every byte both ways, however writes, pauses and resumes mix", async () => {
    const step = fc.record({ end: fc.nat(1), what: fc.constantFrom("write", "pause", "resume") });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
        const owners = pair();
        const sent: [number[], number[]] = [[], []];
        for (const [i, { end, what }] of steps.entries()) {
          const { stream } = owners[end] as Owner;
          if (what === "write") {
            const chunk = Array.from({ length: i % 7 }, () => i);
            sent[end]?.push(...chunk);
            stream.write(Uint8Array.from(chunk));
          } else stream[what]();
          if (i % 5 === 0) await turn();
        }
        for (const { stream } of owners) stream.resume();
        await turn();
        expect(owners[1].received).toEqual(sent[0]);
        expect(owners[0].received).toEqual(sent[1]);
      }),
      { numRuns: 50 },
    );
  });
});

test("a stream in memory keeps what is written to it: the other end gets the very bytes, and nobody is told", async () => {
  const [a, b] = readingPair();
  const chunks = [bytes(1, 2, 3), bytes(4)];
  let told = 0;
  for (const chunk of chunks) a.stream.write(chunk, () => (told += 1));
  await turn();
  a.stream.write(bytes(5), () => (told += 1));
  a.stream.destroy();
  await turn();
  expect([b.received.slice(0, 4), told]).toEqual([[1, 2, 3, 4], 0]);
});

describe("backpressure", () => {
  test("asks the writer to wait above the high-water mark, and says when there is room", async () => {
    const [a, b] = pair();
    expect(a.stream.write(new Uint8Array(HIGH_WATER_MARK))).toBe(true);
    expect(a.stream.write(bytes(1))).toBe(false);
    await turn();
    expect(a.told).toEqual([]);
    b.stream.resume();
    await turn();
    expect(a.told).toEqual(["drain"]);
    expect(b.received).toHaveLength(HIGH_WATER_MARK + 1);
  });

  test("says nothing to a writer that was never asked to wait", async () => {
    const [a] = readingPair();
    expect(a.stream.write(new Uint8Array(1_000))).toBe(true);
    await turn();
    expect(a.told).toEqual([]);
  });

  test("holds for each direction on its own", async () => {
    const [a, b] = pair();
    expect(a.stream.write(new Uint8Array(HIGH_WATER_MARK + 1))).toBe(false);
    expect(b.stream.write(new Uint8Array(HIGH_WATER_MARK))).toBe(true);
  });

  test("comes and goes as often as it takes", async () => {
    const [a, b] = readingPair();
    for (let round = 1; round <= 5; round += 1) {
      expect(a.stream.write(new Uint8Array(HIGH_WATER_MARK + 1))).toBe(false);
      await turn();
      expect(a.told).toHaveLength(round);
    }
    expect(b.received).toHaveLength(5 * (HIGH_WATER_MARK + 1));
  });
});

describe("half-close", () => {
  test("tells the other end after the last byte, and leaves the way back open", async () => {
    const [a, b] = readingPair();
    a.stream.write(bytes(1));
    a.stream.end();
    await turn();
    expect(b.told).toEqual(["data 1", "end"]);
    b.stream.write(bytes(2));
    await turn();
    expect(a.received).toEqual([2]);
    expect(a.told).toEqual(["data 1"]);
  });

  test("waits with its end until the reader resumes", async () => {
    const [a, b] = pair();
    a.stream.write(bytes(1));
    a.stream.end();
    await turn();
    expect(b.told).toEqual([]);
    b.stream.resume();
    await turn();
    expect(b.told).toEqual(["data 1", "end"]);
  });

  test("drops what is written after it, and a second end", async () => {
    const [a, b] = readingPair();
    a.stream.end();
    expect(a.stream.write(bytes(1))).toBe(true);
    a.stream.end();
    await turn();
    expect(b.told).toEqual(["end"]);
  });

  test("from both ends at once closes both, once, last", async () => {
    const [a, b] = readingPair();
    a.stream.end();
    b.stream.end();
    await turn();
    expect(a.told).toEqual(["end", "close"]);
    expect(b.told).toEqual(["end", "close"]);
  });

  test("from one end after the other closes both, too", async () => {
    const [a, b] = readingPair();
    a.stream.end();
    await turn();
    b.stream.write(bytes(1));
    b.stream.end();
    await turn();
    expect(a.told).toEqual(["data 1", "end", "close"]);
    expect(b.told).toEqual(["end", "close"]);
  });

  test("answered from within the end closes both", async () => {
    const [a, b] = readingPair();
    b.end = () => {
      b.told.push("end");
      b.stream.end();
    };
    a.stream.end();
    await turn();
    expect(a.told).toEqual(["end", "close"]);
    expect(b.told).toEqual(["end", "close"]);
  });
});

describe("destroy", () => {
  test("closes both ends, once, however often it is called", async () => {
    const [a, b] = readingPair();
    a.stream.destroy();
    a.stream.destroy();
    b.stream.destroy();
    await turn();
    expect([a.told, b.told]).toEqual([["close"], ["close"]]);
  });

  test("closes ends that are paused, too", async () => {
    const [a, b] = pair();
    a.stream.destroy();
    await turn();
    expect([a.told, b.told]).toEqual([["close"], ["close"]]);
  });

  test("lets the other end have what had arrived, if it reads", async () => {
    const [a, b] = readingPair();
    a.stream.write(bytes(1, 2));
    a.stream.destroy();
    await turn();
    expect(b.told).toEqual(["data 2", "close"]);
  });

  test("amid a delivery delivers no more", async () => {
    const [a, b] = readingPair();
    b.data = () => {
      b.told.push("data");
      b.stream.destroy();
    };
    a.stream.write(bytes(1));
    a.stream.write(bytes(2));
    await turn();
    expect(b.told).toEqual(["data", "close"]);
    expect(a.told).toEqual(["close"]);
  });

  test("makes writes harmless, at both ends", async () => {
    const [a, b] = readingPair();
    a.stream.destroy();
    await turn();
    for (const { stream } of [a, b]) {
      expect(stream.write(new Uint8Array(HIGH_WATER_MARK + 1))).toBe(true);
      stream.end();
      stream.resume();
    }
    await turn();
    expect([a.told, b.told]).toEqual([["close"], ["close"]]);
  });
});

describe("handing a stream on", () => {
  test("tells the next owner, and no longer the one before", async () => {
    const [a, b] = readingPair();
    const next = new Owner(b.stream);
    a.stream.write(bytes(1));
    await turn();
    expect([b.told, next.told]).toEqual([[], ["data 1"]]);
  });

  test("tells the next owner once that it is gone already", async () => {
    const [a, b] = readingPair();
    a.stream.destroy();
    await turn();
    const next = new Owner(b.stream);
    await turn();
    expect(next.told).toEqual(["close"]);
  });

  test("at the moment it goes tells the next owner once", async () => {
    const [a] = readingPair();
    a.stream.destroy();
    const next = new Owner(a.stream);
    await turn();
    expect(next.told).toEqual(["close"]);
  });

  test("tells the next owner, too, that the other side sent its last byte", async () => {
    const [a, b] = readingPair();
    a.stream.end();
    await turn();
    const skipped = new Owner(b.stream);
    const next = new Owner(b.stream);
    await turn();
    expect([b.told, skipped.told, next.told]).toEqual([["end"], [], ["end"]]);
    next.stream.end();
    await turn();
    expect(next.told).toEqual(["end", "close"]);
  });

  test("says nothing to nobody, and everything to the owner who comes then", async () => {
    const [a, b] = memoryStreamPair();
    a.destroy();
    await turn();
    expect(new Owner(b).told).toEqual([]);
    const next = new Owner(b);
    await turn();
    expect(next.told).toEqual(["close"]);
  });
});

test("a link decides when bytes arrive, and how many it is told of", async () => {
  const queue: (() => void)[] = [];
  const sizes: number[] = [];
  const slow: MemoryLink = {
    schedule(deliver, size) {
      queue.push(deliver);
      sizes.push(size);
    },
  };
  const [a, b] = pair(undefined, [slow, slow]);
  b.stream.resume();
  a.stream.write(bytes(1, 2, 3));
  a.stream.end();
  await turn();
  expect(b.told).toEqual([]);
  for (const deliver of queue.splice(0)) deliver();
  expect(b.told).toEqual(["data 3", "end"]);
  expect(sizes).toEqual([3, 0]);
});

describe("a network", () => {
  const { signal } = new AbortController();
  const accepting = (streams: ByteStream[]) => (stream: ByteStream) => void streams.push(stream);

  test("connects a dial to whoever listens there", async () => {
    const network = new MemoryNetwork();
    const accepted: ByteStream[] = [];
    const address = { host: "10.0.0.2", port: 30_303 };
    const listener = await network.transport("10.0.0.2").listen(address, accepting(accepted));
    expect(listener.address).toEqual(address);
    const dialed = new Owner(await network.transport("10.0.0.1").dial(address, { signal }));
    await turn();
    const [far] = accepted.map((stream) => new Owner(stream));
    expect(dialed.stream.remoteAddress).toEqual(address);
    expect(far?.stream.remoteAddress?.host).toBe("10.0.0.1");
    far?.stream.resume();
    dialed.stream.write(bytes(1));
    await turn();
    expect(far?.received).toEqual([1]);
  });

  test("refuses a dial where nobody listens, or nobody does any more", async () => {
    const network = new MemoryNetwork();
    const address = { host: "10.0.0.2", port: 30_303 };
    const transport = network.transport("10.0.0.2");
    await expect(transport.dial(address, { signal })).rejects.toThrow(
      "connection refused: 10.0.0.2:30303",
    );
    const listener = await transport.listen(address, () => undefined);
    await listener.close();
    await expect(transport.dial(address, { signal })).rejects.toThrow("connection refused");
    await (await transport.listen(address, () => undefined)).close();
  });

  test("refuses to listen twice in one place", async () => {
    const transport = new MemoryNetwork().transport("10.0.0.2");
    const address = { host: "10.0.0.2", port: 30_303 };
    await transport.listen(address, () => undefined);
    await expect(transport.listen(address, () => undefined)).rejects.toThrow(
      "10.0.0.2:30303 is in use",
    );
  });

  test("picks a port where none was asked for, each time another", async () => {
    const transport = new MemoryNetwork().transport("10.0.0.2");
    const asked = { host: "10.0.0.2", port: 0 };
    const first = await transport.listen(asked, () => undefined);
    const second = await transport.listen(asked, () => undefined);
    expect(first.address.port).toBeGreaterThan(0);
    expect(second.address.port).not.toBe(first.address.port);
  });

  test("picks no port that is taken, even when all have been used once", async () => {
    const network = new MemoryNetwork();
    const transport = network.transport("10.0.0.2");
    const { address } = await transport.listen({ host: "10.0.0.2", port: 0 }, () => undefined);
    // One round of ephemeral ports, so that the next in turn is the listener's own.
    for (let i = 0; i < 65_535 - 50_000 + 5; i += 1) await transport.dial(address, { signal });
    const ports = new Set<number>();
    for (let i = 0; i < 10; i += 1) {
      ports.add(
        (await transport.listen({ host: "10.0.0.2", port: 0 }, () => undefined)).address.port,
      );
    }
    expect(ports.size).toBe(10);
  });

  test("frees the address with the first close only", async () => {
    const transport = new MemoryNetwork().transport("10.0.0.2");
    const address = { host: "10.0.0.2", port: 30_303 };
    const first = await transport.listen(address, () => undefined);
    await first.close();
    await transport.listen(address, () => undefined);
    await first.close();
    await expect(transport.dial(address, { signal })).resolves.toBeDefined();
  });

  test("gives dials no port that somebody listens on", async () => {
    const transport = new MemoryNetwork().transport("10.0.0.2");
    const address = { host: "10.0.0.2", port: 50_001 };
    await transport.listen(address, () => undefined);
    const { localAddress } = await transport.dial(address, { signal });
    expect(localAddress?.port).toBe(50_002);
  });

  test("says so when a host has no free port", async () => {
    const transport = new MemoryNetwork().transport("10.0.0.2");
    for (let port = 50_000; port <= 65_535; port += 1) {
      await transport.listen({ host: "10.0.0.2", port }, () => undefined);
    }
    const asked = { host: "10.0.0.2", port: 0 };
    await expect(transport.listen(asked, () => undefined)).rejects.toThrow(
      "10.0.0.2 has no free port",
    );
    const address = { host: "10.0.0.2", port: 50_000 };
    await expect(transport.dial(address, { signal })).rejects.toThrow("no free port");
  });

  test.each(["::", "0.0.0.0"])("listens on %s as the host it is asked on", async (wildcard) => {
    const network = new MemoryNetwork();
    const hosts = ["10.0.0.1", "10.0.0.2"] as const;
    const accepted: string[] = [];
    for (const host of hosts) {
      const asked = { host: wildcard, port: 30_303 };
      const listener = await network.transport(host).listen(asked, () => accepted.push(host));
      expect(listener.address).toEqual({ host, port: 30_303 });
    }
    for (const host of [...hosts, "127.0.0.1", "::1"]) {
      await network.transport("10.0.0.1").dial({ host, port: 30_303 }, { signal });
    }
    expect(accepted).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.1"]);
    const stranger = network.transport("10.0.0.3");
    await expect(stranger.dial({ host: "::1", port: 30_303 }, { signal })).rejects.toThrow(
      "connection refused",
    );
  });

  test("finds no listener of one address on loopback", async () => {
    const transport = new MemoryNetwork().transport("10.0.0.1");
    await transport.listen({ host: "10.0.0.1", port: 30_303 }, () => undefined);
    await expect(transport.dial({ host: "127.0.0.1", port: 30_303 }, { signal })).rejects.toThrow(
      "connection refused",
    );
  });

  test("is where a server that listens on every interface can be dialed", async () => {
    const network = new MemoryNetwork();
    const server = (host: string, n: number): Server => {
      const transport = network.transport(host);
      return new Server({ key: keyOf(n), clientId: "test/1", listen: ":30303", transport });
    };
    await using far = server("10.0.0.2", 2);
    await using near = server("10.0.0.1", 1);
    await Promise.all([far.start(), near.start()]);
    expect((await near.dial(far.enode)).id).toEqual(far.id);
  });

  test("dials nothing for a signal that was aborted", async () => {
    const network = new MemoryNetwork();
    const address = { host: "10.0.0.2", port: 30_303 };
    const accepted: ByteStream[] = [];
    await network.transport("10.0.0.2").listen(address, accepting(accepted));
    const aborted = AbortSignal.abort(new Error("stopped"));
    await expect(network.transport("10.0.0.1").dial(address, { signal: aborted })).rejects.toThrow(
      "stopped",
    );
    await turn();
    expect(accepted).toEqual([]);
  });
});
