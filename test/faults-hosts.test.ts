import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { TwoHosts } from "./faults-hosts.ts";
import type { HostedNode } from "./faults-hosts.ts";
import { SIDES, whyNoLink } from "./faults-link.ts";
import type { Conditions, Counters } from "./faults-link.ts";

/**
 * Two nodes, each a process on a host of its own with a TCP of its own, and a link between them that delays,
 * loses, doubles and reorders packets, or carries none. Without the means for that the tests are skipped; what
 * is deterministic is tested on the network in memory besides.
 */

const why = whyNoLink();

/** Each test starts processes, and the machine may have others to run. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

/** What a link does, and how to tell that it did: else the tests could not fail. */
interface Shape {
  readonly what: string;
  readonly conditions: Conditions;
  /** By the link's own counters, in each direction. */
  readonly happened: (way: Counters) => boolean;
  /** What the kernels count then, if there is a word for it. */
  readonly kernel?: string;
}

const shapes: readonly Shape[] = [
  {
    what: "50 ms of delay, and at least one packet in four overtaken",
    conditions: { delayMs: 50, jitterMs: 40 },
    happened: ({ arrived, overtaken }) => arrived >= 300 && overtaken >= arrived / 4,
    kernel: "TCPOFOQueue",
  },
  {
    what: "one packet in fifty lost",
    conditions: { loss: 0.02 },
    happened: ({ lost }) => lost >= 10,
    kernel: "RetransSegs",
  },
  {
    what: "one packet in ten twice",
    conditions: { duplication: 0.1 },
    happened: ({ duplicated }) => duplicated >= 20,
    kernel: "TCPDSACKRecv",
  },
  {
    what: "2 Mbit/s with a queue of four packets, which loses packets",
    conditions: { bitsPerSecond: 2e6, queueBytes: 6_000 },
    happened: ({ refused, bytes }) => refused >= 10 && bytes >= 250_000,
    kernel: "RetransSegs",
  },
  {
    what: "2 Mbit/s with a queue that holds most of a second",
    conditions: { bitsPerSecond: 2e6, queueBytes: 200_000 },
    happened: ({ bytes, waitedMs }) => bytes >= 300_000 && waitedMs >= 500,
  },
];

/** All at once. */
const BAD: Conditions = {
  delayMs: 30,
  jitterMs: 20,
  loss: 0.01,
  duplication: 0.05,
  bitsPerSecond: 2e6,
  queueBytes: 30_000,
};

describe.skipIf(why !== undefined)(`two hosts${why ? ` (skipped: ${why})` : ""}`, () => {
  let hosts: TwoHosts;

  beforeAll(async () => {
    hosts = await TwoHosts.make();
  });

  afterEach(async () => {
    await hosts.killAll();
    await hosts.set();
  });

  afterAll(() => hosts.remove());

  /** Waits until both have the other one, and messages come both ways. */
  async function talk(host: HostedNode, guest: HostedNode, messages = 50): Promise<void> {
    await Promise.all([host.next("peer"), guest.next("peer")]);
    await Promise.all([host.hears(messages), guest.hears(messages)]);
  }

  /** Connected, with messages on their way both ways. */
  async function connected(): Promise<{ host: HostedNode; guest: HostedNode }> {
    // Whoever is first: the guest tries until there is a host.
    const [host, guest] = await Promise.all([hosts.host(), hosts.guest()]);
    await talk(host, guest);
    return { host, guest };
  }

  /** Nothing was lost within a connection, and nothing came twice. */
  function expectInOrder(...nodes: readonly HostedNode[]): void {
    for (const node of nodes) {
      expect(node.has("wrong")).toBe(false);
      expect(node.wrong).toBe(0);
    }
  }

  for (const { what, conditions, happened, kernel } of shapes) {
    test(`${what}: the connection lives, all comes once and in order`, async () => {
      const { host, guest } = await connected();
      const counts = (): number[] =>
        kernel === undefined ? [] : [host, guest].map((node) => node.kernelCount(kernel));
      const before = counts();
      await hosts.set(conditions);
      await Promise.all([host.hears(100), guest.hears(100)]);
      const told = await hosts.until(what, happened);
      for (const { bytes, seconds } of [told.left, told.right])
        expect(bytes * 8).toBeLessThanOrEqual((conditions.bitsPerSecond ?? Infinity) * seconds);
      await hosts.set();
      await Promise.all([host.hears(100), guest.hears(100)]);
      expectInOrder(host, guest);
      for (const node of [host, guest]) expect(node.has("drop")).toBe(false);
      for (const [at, count] of counts().entries()) expect(count).toBeGreaterThan(before[at] ?? 0);
    });
  }

  test("a cable pulled for a moment: the connection lives, and nothing is lost", async () => {
    const { host, guest } = await connected();
    await hosts.set({ cut: SIDES });
    await hosts.until("packets are lost", ({ cut }) => cut >= 3);
    await hosts.set();
    await Promise.all([host.hears(100), guest.hears(100)]);
    expectInOrder(host, guest);
    for (const node of [host, guest]) expect(node.has("drop")).toBe(false);
  });

  test("delay, reordering, loss, doubles and a cap at once, from the first packet on, and a cable pulled for long: both sides notice, and the connection comes back", async () => {
    await hosts.set(BAD);
    const { host, guest } = await connected();
    await hosts.until(
      "all of it",
      ({ lost, duplicated, arrived, overtaken }) =>
        lost >= 3 && duplicated >= 10 && overtaken >= arrived / 4,
    );
    for (const node of [host, guest]) expect(node.has("drop")).toBe(false);
    await hosts.set({ ...BAD, cut: SIDES });
    // Silence, or writes that nobody takes: whichever deadline is first.
    const drops = await Promise.all([host.next("drop"), guest.next("drop")]);
    for (const { by } of drops) expect(by).toBe("local");
    await hosts.set({ ...BAD, cut: SIDES });
    await hosts.until("the guest dials in vain", ({ cut }) => cut >= 2, ["left"]);
    await hosts.set(BAD);
    await talk(host, guest);
    expectInOrder(host, guest);
  });

  for (const dead of SIDES) {
    const speaker = dead === "left" ? "guest" : "host";
    test(`a half-open connection, in which the ${speaker} is no longer heard: both sides notice, and the connection comes back`, async () => {
      const { host, guest } = await connected();
      await hosts.set({ cut: [dead] });
      const [deaf, other] = dead === "left" ? [host, guest] : [guest, host];
      expect(await deaf.next("drop")).toMatchObject({ by: "local" });
      // It hears of that, or of nothing that it has said.
      await other.next("drop");
      const told = await hosts.until("packets die", ({ cut }) => cut > 0, [dead]);
      const alive = told[dead === "left" ? "right" : "left"];
      expect(alive.cut).toBe(0);
      expect(alive.arrived).toBeGreaterThan(0);
      await hosts.set();
      await talk(host, guest);
      expectInOrder(host, guest);
    });
  }

  test("SIGKILL in the middle of messages, on either side: the other one notices at once and goes on", async () => {
    const { host, guest } = await connected();
    await guest.kill();
    expect(await host.next("drop")).toMatchObject({ by: "remote", reason: 0x01 });
    const next = await hosts.guest();
    await talk(host, next);
    await host.kill();
    expect(await next.next("drop")).toMatchObject({ by: "remote", reason: 0x01 });
    const reborn = await hosts.host();
    // The same node at the same address: `maintain` finds it.
    await talk(reborn, next);
    expectInOrder(host, reborn, next);
  });

  test("a half-open connection, whose other side died without a packet: it is dropped, and the same node is let in again", async () => {
    const { host, guest } = await connected();
    await hosts.set({ cut: SIDES });
    await guest.kill();
    // Nobody is there to say a word: only the host's own deadlines end it.
    expect(await host.next("drop")).toMatchObject({ by: "local" });
    await hosts.set();
    const again = await hosts.guest();
    await talk(host, again);
    expectInOrder(host, again);
  });

  test("a process that is stopped and goes on later: time has jumped for it, and the connection comes back", async () => {
    const { host, guest } = await connected();
    guest.signal("SIGSTOP");
    expect(await host.next("drop")).toMatchObject({ by: "local" });
    guest.signal("SIGCONT");
    await guest.next("drop");
    await talk(host, guest);
    expectInOrder(host, guest);
  });
});
