// The other implementations with each other: what fails here is the harness or the machine, not Heddle.
import { expect, test } from "vitest";
import { startEthereumJs } from "./ethereumjs.ts";
import { describeGeth, dialGeth, serveGeth } from "./geth.ts";
import { checksum, filled, rlpString } from "./payload.ts";

const PROTOCOLS = ["MyProtocol/1", "echo/1", "req/1", "bench/1"];

describeGeth("go-ethereum with go-ethereum", () => {
  test("foo is answered with bar, and each protocol works at its own offset", async () => {
    await using server = await serveGeth({ protocols: PROTOCOLS });
    await using dialer = await dialGeth(server.enode, { protocols: PROTOCOLS });
    const peer = await server.lines.expect("peer", { id: dialer.id, inbound: true });
    expect(peer["caps"]).toEqual(["MyProtocol/1", "bench/1", "echo/1", "req/1"]);

    dialer.lines.send({ do: "send", words: ["foo"] });
    await server.lines.expect("msg", { words: ["foo"] });
    await dialer.lines.expect("msg", { words: ["bar"] });

    for (const fill of ["zero", "text", "random"] as const) {
      const payload = rlpString(filled(fill, 1_000));
      dialer.lines.send({ do: "echo", size: 1_000, fill });
      await dialer.lines.expect("echoed", { size: payload.length, sum: checksum(payload) });
      dialer.lines.send({ do: "ask", size: 1_000, fill });
      await dialer.lines.expect("given", { size: 1_000, sum: checksum(filled(fill, 1_000)) });
    }

    dialer.lines.send({ do: "flood", size: 16, fill: "zero", count: 1_000 });
    await dialer.lines.expect("counted", { messages: 1_000, bytes: 17_000 });
  });

  test("requests are matched with their replies by id", async () => {
    await using server = await serveGeth({ protocols: PROTOCOLS });
    await using dialer = await dialGeth(server.enode, { protocols: PROTOCOLS });
    dialer.lines.send({
      do: "requests",
      count: 1_000,
      inFlight: 50,
      timeoutMs: 500,
      neverEvery: 100,
      first: String(2n ** 64n - 500n),
    });
    await dialer.lines.expect("requested", { answered: 990, timedOut: 10, mismatched: 0, late: 0 });
  });

  test("each side tells why the connection ended", async () => {
    await using server = await serveGeth();
    await using dialer = await dialGeth(server.enode);
    await server.lines.expect("peer");
    server.lines.send({ do: "disconnect", reason: 4 });
    await dialer.lines.expect("drop", { id: server.id, err: "too many peers" });
    await dialer.lines.expect("log", { msg: "Removing p2p peer", "log.req": "true" });
  });

  test("a peer without a shared capability is told that it is useless", async () => {
    await using server = await serveGeth({ protocols: ["echo/1"] });
    await using dialer = await dialGeth(server.enode, { protocols: ["MyProtocol/1"] });
    await dialer.lines.expect("log", { "log.err": "useless peer" });
  });
});

describeGeth("go-ethereum with EthereumJS", () => {
  test("foo is answered with bar when EthereumJS dials", async () => {
    await using server = await serveGeth({ protocols: PROTOCOLS });
    await using dialer = await startEthereumJs("dial", server.enode);
    await dialer.lines.expect("peer", { id: server.id });
    dialer.lines.send({ do: "send", words: ["foo"] });
    await dialer.lines.expect("msg", { words: ["bar"] });
    await server.lines.expect("msg", { words: ["foo"] });
  });

  test("foo is answered with bar when go-ethereum dials", async () => {
    await using server = await startEthereumJs("serve");
    await using dialer = await dialGeth(server.enode, { protocols: PROTOCOLS });
    await dialer.lines.expect("peer", { id: server.id });
    await server.lines.expect("peer");
    dialer.lines.send({ do: "send", words: ["foo"] });
    await dialer.lines.expect("msg", { words: ["bar"] });
    dialer.lines.send({ do: "echo", size: 1_000, fill: "random" });
    await dialer.lines.expect("echoed", { sum: checksum(rlpString(filled("random", 1_000))) });
  });
});
