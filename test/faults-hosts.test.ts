import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { abilities, TwoHosts } from "./faults-hosts.ts";
import type { HostedNode } from "./faults-hosts.ts";

/**
 * Two nodes, each a process on a host of its own, with a cable between them that can be pulled. Without the
 * means for that the tests are skipped; what is deterministic is tested on the network in memory besides.
 */

const { hosts: hasHosts, netem: hasNetem, why } = abilities();

/** Each test starts processes, and the machine may have others to run. */
vi.setConfig({ testTimeout: 120_000 });

describe.skipIf(!hasHosts)(`two hosts${hasHosts ? "" : ` (skipped: ${why})`}`, () => {
  let hosts: TwoHosts;
  const remove = (): void => hosts.remove();

  beforeAll(() => {
    hosts = new TwoHosts();
    process.on("exit", remove);
  });

  afterEach(() => hosts.killAll());

  afterAll(() => {
    process.off("exit", remove);
    remove();
  });

  /** Connected, with messages on their way both ways. */
  async function connected(): Promise<{ host: HostedNode; guest: HostedNode }> {
    const host = await hosts.host();
    const guest = await hosts.guest();
    await guest.next("peer");
    await host.next("peer");
    await Promise.all([host.hears(50), guest.hears(50)]);
    return { host, guest };
  }

  /** Nothing was lost within a connection, and nothing came twice. */
  function expectInOrder(...nodes: readonly HostedNode[]): void {
    for (const node of nodes) {
      expect(node.has("wrong")).toBe(false);
      expect(node.totals.wrong).toBe(0);
    }
  }

  const shapes: { what: string; words: string[]; netem: boolean; drops: boolean }[] = [
    {
      what: "a bandwidth cap with a queue of two packets, which loses packets",
      words: ["tbf", "rate", "8mbit", "burst", "3kb", "limit", "6kb"],
      netem: false,
      drops: true,
    },
    {
      what: "a slow way with a queue that holds most of a second",
      words: ["tbf", "rate", "6mbit", "burst", "3kb", "limit", "500kb"],
      netem: false,
      drops: false,
    },
    {
      what: "a delay of 100 ms",
      words: ["netem", "delay", "100ms", "20ms"],
      netem: true,
      drops: false,
    },
    { what: "a loss of 5 %", words: ["netem", "loss", "5%"], netem: true, drops: true },
    {
      what: "every fourth packet overtaken by others",
      words: ["netem", "delay", "10ms", "reorder", "75%", "50%"],
      netem: true,
      drops: false,
    },
  ];

  for (const { what, words, netem, drops } of shapes) {
    const isSkipped = netem && !hasNetem;
    const note = isSkipped ? ` (skipped: ${why})` : "";
    test.skipIf(isSkipped)(
      `${what}: the connection lives, all comes once and in order${note}`,
      async () => {
        const { host, guest } = await connected();
        hosts.shape(words);
        try {
          await Promise.all([host.hears(150), guest.hears(150)]);
          if (drops) expect(hosts.dropped()).toBeGreaterThan(0);
        } finally {
          hosts.shape(undefined);
        }
        await Promise.all([host.hears(100), guest.hears(100)]);
        expectInOrder(host, guest);
        for (const node of [host, guest]) expect(node.has("drop")).toBe(false);
      },
    );
  }

  test("a cable pulled for a moment: the connection lives, and nothing is lost", async () => {
    const { host, guest } = await connected();
    hosts.cable(false);
    await new Promise((resolve) => setTimeout(resolve, 700));
    hosts.cable(true);
    await Promise.all([host.hears(100), guest.hears(100)]);
    expectInOrder(host, guest);
    for (const node of [host, guest]) expect(node.has("drop")).toBe(false);
  });

  test("a cable pulled for long: both sides notice, and the connection comes back", async () => {
    const { host, guest } = await connected();
    hosts.cable(false);
    // Silence, or writes that nobody takes: whichever deadline is first.
    const drops = await Promise.all([host.next("drop"), guest.next("drop")]);
    for (const { by } of drops) expect(by).toBe("local");
    hosts.cable(true);
    await Promise.all([guest.next("peer"), host.next("peer")]);
    await Promise.all([host.hears(100), guest.hears(100)]);
    expectInOrder(host, guest);
  });

  test("SIGKILL in the middle of messages, on either side: the other one notices at once and goes on", async () => {
    const { host, guest } = await connected();
    await guest.kill();
    expect(await host.next("drop")).toMatchObject({ by: "remote", reason: 0x01 });
    const next = await hosts.guest();
    await Promise.all([next.next("peer"), host.next("peer")]);
    await Promise.all([host.hears(50), next.hears(50)]);
    await host.kill();
    expect(await next.next("drop")).toMatchObject({ by: "remote", reason: 0x01 });
    const reborn = await hosts.host();
    // The same node at the same address: `maintain` finds it.
    await Promise.all([next.next("peer"), reborn.next("peer")]);
    await Promise.all([reborn.hears(50), next.hears(50)]);
    expectInOrder(host, reborn, next);
  });

  test("a half-open connection, whose other side died without a packet: it is dropped, and the same node is let in again", async () => {
    const { host, guest } = await connected();
    hosts.cable(false);
    await guest.kill();
    // Nobody is there to say a word: only the host's own deadlines end it.
    expect(await host.next("drop")).toMatchObject({ by: "local" });
    hosts.cable(true);
    const again = await hosts.guest();
    await Promise.all([again.next("peer"), host.next("peer")]);
    await Promise.all([host.hears(50), again.hears(50)]);
    expectInOrder(host, again);
  });

  test("a process that is stopped and goes on later: time has jumped for it, and the connection comes back", async () => {
    const { host, guest } = await connected();
    guest.signal("SIGSTOP");
    expect(await host.next("drop")).toMatchObject({ by: "local" });
    guest.signal("SIGCONT");
    await guest.next("drop");
    await Promise.all([guest.next("peer"), host.next("peer")]);
    await Promise.all([host.hears(50), guest.hears(50)]);
    expectInOrder(host, guest);
  });
});
