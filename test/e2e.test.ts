import { encodeRlp } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { Message, Protocol } from "@heddle/p2p";
import { expect, test } from "vitest";

import {
  defer,
  idle,
  keyOf,
  nextEvent,
  Scripted,
  startServer,
  until,
  watchEscapes,
  within,
} from "./helpers.ts";

const listen = "127.0.0.1:0";

function text(message: Message): string {
  const value = message.decode();
  if (value instanceof Uint8Array) throw new Error("expected a list");
  return value.map((item) => new TextDecoder().decode(item as Uint8Array)).join(" ");
}

test("the wiki's program: foo is answered by bar, between two servers on TCP", async () => {
  const heard = defer<string>();
  const answering: Protocol = {
    name: "MyProtocol",
    version: 1,
    length: 1,
    async run(_peer, rw) {
      for await (const message of rw) {
        if (text(message) === "foo") await rw.sendItems(0, "bar");
      }
    },
  };
  const asking: Protocol = {
    ...answering,
    async run(_peer, rw) {
      await rw.sendItems(0, "foo");
      heard.resolve(text(await rw.read()));
    },
  };
  await using server = new Server({
    key: keyOf(1),
    clientId: "server/1",
    listen,
    protocols: [answering],
  });
  await server.start();
  await using dialer = new Server({ key: keyOf(2), clientId: "dialer/1", protocols: [asking] });
  await dialer.start();
  const dropped = nextEvent(server, "peer:drop");
  const peer = await dialer.dial(server.enode);
  expect(peer).toMatchObject({ clientId: "server/1", inbound: false });
  expect(await within("the answer", heard.promise)).toBe("bar");
  expect((await within("the goodbye", dropped)).error).toMatchObject({ reason: 8, by: "remote" });
});

test("protocols of different versions and lengths do not get into each other's messages", async () => {
  const near = [
    new Scripted("zeta", { length: 3 }),
    new Scripted("alpha", { length: 200 }),
    new Scripted("beta", { version: 2, length: 5 }),
  ];
  const far = [
    new Scripted("beta", { version: 1, length: 9 }),
    new Scripted("beta", { version: 2, length: 5 }),
    new Scripted("alpha", { length: 200 }),
    new Scripted("Other", { length: 50 }),
    new Scripted("zeta", { length: 3 }),
  ];
  const server = await startServer({ listen, protocols: far });
  const dialer = await startServer({ protocols: near });
  const added = nextEvent(dialer, "peer:add");
  await within("a dial", dialer.dial(server.enode));
  expect(
    (await added).protocols.map(({ name, version, offset }) => [name, version, offset]),
  ).toEqual([
    ["alpha", 1, 0x10],
    ["beta", 2, 0x10 + 200],
    // flow/1 stands between them, with one message.
    ["zeta", 1, 0x10 + 206],
  ]);
  for (const protocol of near) {
    const at = far.find(({ name, version }) => {
      return name === protocol.name && version === protocol.version;
    });
    const [mine, theirs] = [await protocol.next(), await at?.next()];
    for (const code of [0, 1, protocol.length - 1]) {
      await mine.rw.sendItems(code, protocol.name);
      const message = await within("a message", theirs?.rw.read() ?? Promise.reject(new Error()));
      expect([message.code, text(message)]).toEqual([code, protocol.name]);
    }
  }
});

test("twelve servers that all dial each other end up in a full mesh", async () => {
  const escaped = watchEscapes();
  const servers = await Promise.all(
    Array.from({ length: 12 }, () => startServer({ listen, protocols: [idle()] })),
  );
  const dials = servers.flatMap((from) =>
    servers.filter((to) => to !== from).map((to) => from.dial(to.enode)),
  );
  const peers = await within("every dial", Promise.all(dials), 25_000);
  await until("every server has 11 peers", () => servers.every((s) => s.peers.length === 11));
  expect(peers.every(({ signal }) => !signal.aborted)).toBe(true);
  const connections = servers.flatMap((server) => server.peers);
  expect(connections.filter(({ inbound }) => inbound)).toHaveLength(66);
  expect(escaped).toEqual([]);
});

test("15 MiB messages cross both ways at once, whole", async () => {
  const near = new Scripted();
  const far = new Scripted();
  const server = await startServer({ listen, protocols: [far] });
  const dialer = await startServer({ protocols: [near] });
  await dialer.dial(server.enode);
  const ends = [await near.next(), await far.next()];
  const content = new Uint8Array(15 * 1024 * 1024);
  for (let at = 0; at < content.length; at += 64 * 1024) {
    crypto.getRandomValues(content.subarray(at, at + 32 * 1024));
  }
  const payload = encodeRlp(content);
  const results = await within(
    "both messages",
    Promise.all(
      ends.map(async ({ rw }) => {
        const sent = rw.sendEncoded(1, payload.slice());
        const message = await rw.read();
        await sent;
        return Buffer.compare(message.payload, payload);
      }),
    ),
    25_000,
  );
  expect(results).toEqual([0, 0]);
});

test("a maintained connection comes back when the other server has restarted", async () => {
  const server = await startServer({ listen, protocols: [idle()] });
  const port = server.address?.port;
  const dialer = await startServer({
    protocols: [idle()],
    limits: { redialMinMs: 1, redialMaxMs: 10 },
  });
  const added = nextEvent(dialer, "peer:add");
  const kept = dialer.maintain(server.enode);
  await within("the first connection", added);
  await server.stop();
  await until("it is gone", () => dialer.peers.length === 0);
  const again = nextEvent(dialer, "peer:add");
  const successor = await startServer({
    key: server.config.key,
    listen: `127.0.0.1:${port}`,
    protocols: [idle()],
  });
  await within("the next connection", again);
  await until("its status says so", () => kept.status === "connected");
  expect(successor.id).toEqual(server.id);
  kept.stop();
});
