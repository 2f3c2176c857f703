import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { Protocol } from "@heddle/p2p";
import { expect, test } from "vitest";

// Not dependencies of the suite, which knows no subprotocol: what its target happens to speak.
import { createChat } from "../../chat/src/index.ts";
import { createFileShare } from "../../file-share/src/index.ts";
import { createGossip } from "../../gossip/src/index.ts";
import { createPeerExchange } from "../../peer-exchange/src/index.ts";
import { formatResult, runConformance, targetProtocols } from "../src/index.ts";

/** A busy machine is no reason to fail: half a minute for what takes milliseconds. */
const WAIT_MS = 30_000;

test("a Heddle server with every protocol of the workspace passes every case", async () => {
  const key = generateSecretKey();
  const exchange = createPeerExchange({ key });
  const gossip = createGossip({ key });
  const chat = createChat({ key, gossip, nick: "target" });
  const files = createFileShare({ key, record: () => exchange.record() });
  const rooms: readonly Protocol[] = [exchange, gossip, chat, files].flatMap(
    ({ protocols }) => protocols,
  );
  await using server = new Server({
    key,
    clientId: "target/1",
    listen: "127.0.0.1:0",
    protocols: [...targetProtocols(), ...rooms],
    limits: { handshakeTimeoutMs: 2 * WAIT_MS },
  });
  await server.start();
  try {
    const report = await runConformance(server.enode, {
      concurrency: 3,
      waitMs: WAIT_MS,
      dial: (enode) => server.dial(enode),
    });
    expect(report.results.filter(({ name }) => name.startsWith("dialer/"))).not.toEqual([]);
    const offered = [...rooms, ...targetProtocols()].map(
      ({ name, version }) => `${name}/${version}`,
    );
    expect(report.capabilities).toEqual(expect.arrayContaining(offered));
    expect(rooms.length).toBeGreaterThanOrEqual(4);
    expect(report.results.filter(({ verdict }) => verdict !== "pass").map(formatResult)).toEqual(
      [],
    );
  } finally {
    chat.close();
    gossip.close();
    await Promise.all([files.close(), exchange.close()]);
  }
}, 300_000);
