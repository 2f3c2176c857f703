// What does not come to a session, and what each side gets to know about it.
import { generateSecretKey, nodeIdOf, toHex } from "@heddle/identity";
import { expect, test } from "vitest";
import { describeGeth, dialGeth, serveGeth } from "./geth.ts";
import { startHeddle } from "./heddle.ts";

/** The same address under the id of a node that does not exist. */
function withWrongId(enode: string): string {
  const id = toHex(nodeIdOf(generateSecretKey()));
  return enode.replace(/^enode:\/\/[0-9a-f]+/, `enode://${id}`);
}

describeGeth("Heddle dials go-ethereum", () => {
  test("and learns that it is useless when no capability is shared", async () => {
    await using heddle = await startHeddle({ protocols: ["MyProtocol/1"] });
    await using geth = await serveGeth({ protocols: ["echo/1"] });
    await expect(heddle.server.dial(geth.enode)).rejects.toMatchObject({
      name: "DialError",
      phase: "hello",
      reason: 0x03,
    });
    await geth.lines.expect("log", { "log.err": "useless peer" });
  });

  test("under a wrong key, fails in the handshake and reaches it under the right one", async () => {
    await using heddle = await startHeddle();
    await using geth = await serveGeth();
    await expect(heddle.server.dial(withWrongId(geth.enode))).rejects.toMatchObject({
      name: "DialError",
      phase: "handshake",
    });
    await geth.lines.expect("log", { msg: "Failed RLPx handshake" });
    await heddle.server.dial(geth.enode);
    await geth.lines.expect("peer", { id: heddle.id });
  });

  test("and is told, uncompressed and instead of a Hello, that there is no room", async () => {
    await using heddle = await startHeddle();
    // go-ethereum keeps its only place for a peer that it dials.
    await using geth = await serveGeth({ maxPeers: 1 });
    await expect(heddle.server.dial(geth.enode)).rejects.toMatchObject({
      name: "DialError",
      phase: "hello",
      reason: 0x04,
      side: "remote",
    });
  });
});

describeGeth("go-ethereum dials Heddle", () => {
  test("and learns that it is useless when no capability is shared", async () => {
    await using heddle = await startHeddle({ protocols: ["MyProtocol/1"] });
    await using geth = await dialGeth(heddle.enode, { protocols: ["echo/1"] });
    await geth.lines.expect("log", { "log.err": "useless peer" });
    await heddle.expect("refused", { inbound: true, phase: "hello", reason: 0x03 });
    expect(heddle.server.peers).toEqual([]);
  });

  test("under a wrong key, fails in the handshake and reaches it under the right one", async () => {
    await using heddle = await startHeddle();
    await using geth = await dialGeth(withWrongId(heddle.enode));
    await geth.lines.expect("log", { msg: "Failed RLPx handshake" });
    await heddle.expect("refused", { inbound: true, phase: "handshake" });
    geth.lines.send({ do: "dial", enode: heddle.enode });
    await heddle.expect("peer", { id: geth.id });
  });

  test("and is told that there is no room", async () => {
    await using heddle = await startHeddle({ maxPeers: 0 });
    await using geth = await dialGeth(heddle.enode);
    await geth.lines.expect("log", { "log.err": "too many peers" });
    await heddle.expect("refused", { inbound: true, reason: 0x04, side: "local" });
  });
});
