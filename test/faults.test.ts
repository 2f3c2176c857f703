import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createKeyFile, loadOrCreateKeyFile } from "@heddle/identity/key-file";
import type { Maintained, MessageReadWriter, Peer, Protocol, Server } from "@heddle/p2p";
import { fixedBytes, tuple, uint } from "@heddle/protocol";
import { memoryNetwork, VirtualClock } from "@heddle/testing";
import type { MemoryNetworkOptions, SimulatedNetwork } from "@heddle/testing";
import { array, assert, asyncProperty, constantFrom, integer, record } from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";

import { watchEscapes } from "./helpers.ts";

/** Faults of the network and of time, in memory and the same in every run. */

const FILLING = 400;
const numbered = tuple(uint, fixedBytes(FILLING));
const filling = new Uint8Array(FILLING).fill(0x5a);

/** What one node has seen, over all its connections. */
class Tally {
  sent = 0;
  received = 0;
  connections = 0;
  /** Messages that were not the next one of their connection. */
  readonly wrong: string[] = [];
}

/** Sends numbered messages as long as a connection lasts, and checks those that come. */
function counting(tally: Tally, clock: VirtualClock): Protocol {
  const receive = async (rw: MessageReadWriter): Promise<void> => {
    let last = 0;
    for await (const message of rw) {
      const [number] = message.decode(numbered);
      if (number !== last + 1) tally.wrong.push(`${number} after ${last}`);
      last = number;
      tally.received += 1;
    }
  };
  const send = async (rw: MessageReadWriter, peer: Peer): Promise<void> => {
    for (let number = 1; !peer.signal.aborted; number += 1) {
      await rw.sendEncoded(0, numbered.encode([number, filling]));
      tally.sent += 1;
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 50));
    }
  };
  return {
    name: "count",
    version: 1,
    length: 1,
    async run(peer, rw) {
      tally.connections += 1;
      await Promise.all([receive(rw), send(rw, peer)]);
    },
  };
}

interface Scene extends AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly clock: VirtualClock;
  readonly host: Server;
  readonly guest: Server;
  readonly tallies: readonly [host: Tally, guest: Tally];
  maintained: Maintained;
}

/** Two nodes, of which one keeps a connection to the other; connected. */
async function maintained(options: MemoryNetworkOptions = {}): Promise<Scene> {
  const network = memoryNetwork({ session: "null", ...options });
  const { clock } = network;
  const tallies = [new Tally(), new Tally()] as const;
  const limits = { redialMaxMs: 5_000, inboundThrottleMs: 1 };
  const host = network.server("host", { protocols: [counting(tallies[0], clock)], limits });
  const guest = network.server("guest", { protocols: [counting(tallies[1], clock)], limits });
  await network.start();
  const scene: Scene = {
    network,
    clock,
    host,
    guest,
    tallies,
    maintained: guest.maintain(host.enode),
    [Symbol.asyncDispose]: () => network.stop(),
  };
  await clock.runUntil(() => isConnected(scene));
  return scene;
}

const isConnected = ({ host, guest }: Scene): boolean =>
  host.peers.length === 1 && guest.peers.length === 1;

/** Nothing lost, nothing twice, and as much sent as received where every connection is still up. */
function expectInOrder({ tallies }: Scene): void {
  for (const { wrong } of tallies) expect(wrong).toEqual([]);
}

describe("a slow network", () => {
  test.each([
    ["a delay of 300 ms", { latencyMs: 300 }],
    ["10 KB a second", { bandwidth: 10_000 }],
    [
      "delay, a narrow way and half of all dials lost",
      { latencyMs: 90, bandwidth: 20_000, loss: 0.5 },
    ],
  ])("with %s: the connection lives, all comes once and in order", async (_what, options) => {
    await using scene = await maintained({ ...options, seed: 4 });
    const { clock, tallies } = scene;
    await clock.advance(60_000);
    for (const tally of tallies) {
      expect(tally.connections).toBe(1);
      expect(tally.received).toBeGreaterThan(900);
    }
    expectInOrder(scene);
    // What is not there yet is on its way: a second's worth.
    expect(tallies[0].sent - tallies[1].received).toBeLessThan(25);
    expect(tallies[1].sent - tallies[0].received).toBeLessThan(25);
  });
});

describe("a partition", () => {
  test("shorter than the idle timeout: the connection lives, and nothing is lost", async () => {
    await using scene = await maintained({ latencyMs: 20 });
    const { network, clock, host, tallies } = scene;
    network.partition([host]);
    await clock.advance(15_000);
    const held = tallies[0].received;
    network.heal();
    await clock.advance(10_000);
    expect(tallies[0].received).toBeGreaterThan(held + 400);
    expectInOrder(scene);
    expect(tallies.map(({ connections }) => connections)).toEqual([1, 1]);
  });

  test("longer than that: both sides end it by themselves, and it comes back", async () => {
    await using scene = await maintained({ latencyMs: 20 });
    const { network, clock, host, guest, tallies } = scene;
    network.partition([host]);
    await clock.advance(60_000);
    expect([host.peers.length, guest.peers.length]).toEqual([0, 0]);
    for (const { counters } of [host, guest]) {
      // Silence, or writes that nobody takes: whichever deadline is first.
      expect(counters.disconnects.remote).toEqual({});
      expect(Object.values(counters.disconnects.local)).toEqual([1]);
    }
    network.heal();
    await clock.runUntil(() => isConnected(scene), { limitMs: 30_000 });
    const before = tallies[0].received;
    await clock.advance(5_000);
    expect(tallies[0].received).toBeGreaterThan(before);
    expectInOrder(scene);
  });
});

describe("a node that dies", () => {
  test("in the middle of a message: half of it is never delivered, and the others go on", async () => {
    // More is sent than can leave: at any time a message is on its way.
    await using scene = await maintained({ bandwidth: 6_000 });
    const { network, clock, host, guest, tallies } = scene;
    await clock.advance(10_700);
    network.kill(guest);
    await clock.runUntil(() => host.peers.length === 0);
    expect(host.counters.disconnects).toEqual({ local: {}, remote: { [0x01]: 1 } });
    expectInOrder(scene);
    const before = tallies[0].received;
    await clock.advance(60_000);
    expect(tallies[0].received).toBe(before);
  });

  test("and comes back: the connection does, too, from whichever side it is kept", async () => {
    await using scene = await maintained();
    const { network, clock, host, guest } = scene;
    network.kill(host);
    await clock.runUntil(() => guest.peers.length === 0);
    await clock.advance(20_000);
    expect(scene.maintained.lastError).toBeDefined();
    await clock.settle(host.start());
    await clock.runUntil(() => isConnected(scene), { limitMs: 30_000 });
    network.kill(guest);
    await clock.advance(1_000);
    await clock.settle(guest.start());
    scene.maintained = guest.maintain(host.enode);
    await clock.runUntil(() => isConnected(scene), { limitMs: 30_000 });
    expectInOrder(scene);
  });
});

/** A clock that can be set: by who owns the machine, or by a sleep of the machine's. */
class SettableClock extends VirtualClock {
  wallOffset = 0;
  offset = 0;

  override now(): number {
    return super.now() + this.offset;
  }

  override wallNow(): number {
    return super.wallNow() + this.wallOffset;
  }
}

describe("a clock that jumps", () => {
  const DAY = 86_400_000;

  test.each([-30 * DAY, -1, 30 * DAY])("by %i ms on the wall changes nothing", async (jump) => {
    const clock = new SettableClock();
    await using scene = await maintained({ clock });
    await clock.advance(10_000);
    clock.wallOffset += jump;
    await clock.advance(120_000);
    expect(scene.tallies.map(({ connections }) => connections)).toEqual([1, 1]);
    const [peer] = scene.host.peers;
    expect(Math.abs((peer?.lastSeen ?? 0) - clock.wallNow())).toBeLessThan(1_000);
    expectInOrder(scene);
  });

  test("while a redial is due keeps nobody waiting for it", async () => {
    const clock = new SettableClock();
    await using scene = await maintained({ clock });
    const { network, host, guest } = scene;
    network.kill(host);
    await clock.runUntil(() => scene.maintained.status === "waiting" && guest.peers.length === 0);
    clock.wallOffset -= DAY;
    await clock.settle(host.start());
    await clock.runUntil(() => isConnected(scene), { limitMs: 30_000 });
  });

  test("by an hour while the machine slept: the connection lives or comes back, and nothing escapes", async () => {
    const escaped = watchEscapes();
    const clock = new SettableClock();
    await using scene = await maintained({ clock, latencyMs: 10 });
    await clock.advance(10_000);
    clock.offset += 3_600_000;
    await clock.advance(1_000);
    await clock.runUntil(() => isConnected(scene), { limitMs: 30_000 });
    const before = scene.tallies[0].received;
    await clock.advance(30_000);
    expect(scene.tallies[0].received).toBeGreaterThan(before + 400);
    expectInOrder(scene);
    expect(escaped).toEqual([]);
  });
});

test("whatever faults come in whatever order, no connection loses or repeats a message, and the last comes back", async () => {
  const fault = record({
    what: constantFrom("partition", "heal", "break", "kill host", "kill guest", "nothing"),
    ms: integer({ min: 1, max: 45_000 }),
  });
  const escaped = watchEscapes();
  await assert(
    asyncProperty(
      array(fault, { maxLength: 8 }),
      integer({ min: 1, max: 1_000 }),
      async (faults, seed) => {
        await using scene = await maintained({ seed, latencyMs: 15, bandwidth: 30_000 });
        const { network, clock, host, guest } = scene;
        for (const { what, ms } of faults) {
          if (what === "partition") network.partition([host]);
          if (what === "heal") network.heal();
          if (what === "break") network.breakConnections(1);
          if (what === "kill host") network.kill(host);
          if (what === "kill guest") network.kill(guest);
          await clock.advance(ms);
        }
        network.heal();
        await clock.settle(
          Promise.all(
            [host, guest].filter(({ isRunning }) => !isRunning).map((server) => server.start()),
          ),
        );
        scene.maintained = guest.maintain(host.enode);
        await clock.runUntil(() => isConnected(scene), { limitMs: 120_000 });
        const before = scene.tallies[0].received;
        await clock.runUntil(() => scene.tallies[0].received > before, { limitMs: 60_000 });
        expectInOrder(scene);
      },
    ),
    { numRuns: 15 },
  );
  expect(escaped).toEqual([]);
});

describe("a full disk", () => {
  /** A file system with room for nothing; undefined where none can be made. */
  async function fullDisk(): Promise<string | undefined> {
    const folder = await mkdtemp(join(tmpdir(), "heddle-full-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], { stdio: "pipe" });
    } catch {
      return undefined;
    }
    onTestFinished(() => void execFileSync("umount", [folder], { stdio: "pipe" }));
    await writeFile(join(folder, "large"), new Uint8Array(4_096));
    return folder;
  }

  test("keeps a key from being written, whole or in part, and says so", async ({ skip }) => {
    const folder = await fullDisk();
    skip(folder === undefined, "mounting a file system needs root");
    const path = join(folder ?? "", "key");
    const refusal = expect.objectContaining({ name: "KeyFileError", code: "ERR_KEY_FILE_IO" });
    await expect(createKeyFile(path)).rejects.toEqual(refusal);
    await expect(loadOrCreateKeyFile(path)).rejects.toEqual(refusal);
    expect(await readdir(folder ?? "")).toEqual(["large"]);
    await rm(join(folder ?? "", "large"));
    expect(await loadOrCreateKeyFile(path)).toHaveLength(32);
  });
});
