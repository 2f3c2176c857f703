// Heddle and a real go-ethereum p2p.Server: what holds whichever of them dials.
import { describe, expect, test } from "vitest";
import { describeGeth } from "./geth.ts";
import { connectGeth, DIRECTIONS } from "./pair.ts";
import { checksum, filled, rlpString, type Fill } from "./payload.ts";

const ALL = ["MyProtocol/1", "bench/1", "echo/1"];

describeGeth("Heddle and go-ethereum", () => {
  describe.each(DIRECTIONS)("%s", (direction) => {
    test("foo is answered with bar on both sides", async () => {
      await using pair = await connectGeth(direction, ["MyProtocol/1"]);
      const { heddle, other: geth } = pair;

      geth.send({ do: "send", words: ["foo"] });
      await heddle.expect("msg", { code: 0, words: ["foo"] });
      await geth.expect("msg", { code: 0, words: ["bar"] });

      await (await heddle.session("MyProtocol")).sendItems(0, "foo");
      await geth.expect("msg", { code: 0, words: ["foo"] });
      await heddle.expect("msg", { code: 0, words: ["bar"] });
    });

    test("each side knows who the other is and what it offers", async () => {
      await using pair = await connectGeth(direction, ["echo/1", "MyProtocol/1"], ALL);
      const [ours] = pair.other.seen("peer");
      const [theirs] = pair.heddle.seen("peer");
      expect(ours).toMatchObject({ name: "heddle-interop" });
      expect(ours?.["caps"]).toEqual(expect.arrayContaining(["MyProtocol/1", "echo/1"]));
      expect(theirs).toMatchObject({ name: "gethpeer", caps: ALL });
    });

    test("shared protocols stand at the same offsets on both sides", async () => {
      // Not shared: bench here and wide there. Shared: MyProtocol at 16, echo right behind it.
      await using pair = await connectGeth(
        direction,
        ["echo/1", "bench/1", "MyProtocol/1"],
        ["wide/1", "echo/1", "MyProtocol/1"],
      );
      const { heddle, other: geth } = pair;
      expect(heddle.seen("peer")[0]).toMatchObject({
        ranges: ["MyProtocol/1 16-16", "echo/1 17-20"],
      });

      const payload = rlpString(filled("text", 100));
      geth.send({ do: "echo", size: 100, fill: "text" });
      await geth.expect("echoed", { size: payload.length, sum: checksum(payload) });
      geth.send({ do: "send", words: ["foo"] });
      await geth.expect("msg", { words: ["bar"] });
      await (await heddle.session("echo")).sendEncoded(0, payload.slice());
      await heddle.expect("echoed", { size: payload.length, sum: checksum(payload) });
      await (await heddle.session("MyProtocol")).sendItems(0, "foo");
      await heddle.expect("msg", { words: ["bar"] });
    });

    test("only the highest shared version of a protocol runs", async () => {
      await using pair = await connectGeth(
        direction,
        ["echo/1", "echo/3", "echo/2"],
        ["echo/4", "echo/2", "echo/1"],
      );
      await pair.other.expect("running", { protocol: "echo", version: 2 });
      expect((await pair.heddle.session("echo")).version).toBe(2);
      expect(pair.other.seen("running")).toHaveLength(1);
    });

    test("message codes of one, two and three bytes arrive", async () => {
      await using pair = await connectGeth(direction, ["wide/1"]);
      const { heddle, other: geth } = pair;
      const rw = await heddle.session("wide");
      // The message ids are 16 more: the largest of one byte, the smallest of two, of three, and the very last pair.
      for (const code of [110, 112, 238, 240, 1022]) {
        geth.send({ do: "wide", code });
        await geth.expect("returned", { code: code + 1 });
        await rw.sendItems(code, "wide");
        await heddle.expect("returned", { code: code + 1 });
      }
    });

    test.each<[size: number, fill: Fill]>([
      [0, "zero"],
      [1, "random"],
      [1024, "random"],
      [1024 * 1024, "random"],
      [15 * 1024 * 1024, "text"],
      [15 * 1024 * 1024, "zero"],
    ])("%i bytes (%s) go there and back unharmed", async (size, fill) => {
      await using pair = await connectGeth(direction, ALL);
      const { heddle, other: geth } = pair;
      const payload = rlpString(filled(fill, size));
      const expected = { size: payload.length, sum: checksum(payload) };

      geth.send({ do: "echo", size, fill });
      await geth.expect("sent", expected);
      await geth.expect("echoed", expected);

      const rw = await heddle.session("echo");
      await rw.sendEncoded(0, payload.slice());
      await heddle.expect("echoed", expected);

      const data = { size, sum: checksum(filled(fill, size)) };
      geth.send({ do: "ask", size, fill });
      await geth.expect("given", data);
      await rw.sendItems(2, size, fill);
      await heddle.expect("given", data);
    });

    test("a message without a single byte of payload arrives", async () => {
      await using pair = await connectGeth(direction, ["echo/1"]);
      pair.other.send({ do: "echo", size: 0, fill: "zero", raw: true });
      await pair.other.expect("echoed", { size: 0 });
    });

    test("thousands of messages in a row arrive, each once and in order with what follows", async () => {
      await using pair = await connectGeth(direction, ALL);
      const { heddle, other: geth } = pair;
      const [count, size] = [5_000, 33];
      const bytes = count * rlpString(filled("random", size)).length;

      geth.send({ do: "flood", count, size, fill: "random" });
      await geth.expect("counted", { messages: count, bytes });

      const rw = await heddle.session("bench");
      for (let i = 0; i < count; i++) await rw.send(0, filled("random", size));
      await rw.sendItems(1);
      await heddle.expect("counted", { messages: count, bytes });
    });

    // The words are go-ethereum's for the numbers of devp2p rlpx.md, "Disconnect (0x01)".
    test.each([
      [0x00, "disconnect requested"],
      [0x02, "breach of protocol"],
      [0x03, "useless peer"],
      [0x04, "too many peers"],
      [0x08, "client quitting"],
      [0x0b, "read timeout"],
      [0x10, "subprotocol error"],
    ])("reason %i is seen by the side that did not give it", async (reason, words) => {
      {
        await using pair = await connectGeth(direction, ["MyProtocol/1"]);
        await pair.heddle.server.peers[0]?.disconnect(reason);
        await pair.other.expect("drop", { id: pair.heddle.id, err: words });
        await pair.other.expect("log", { msg: "Removing p2p peer", "log.req": "true" });
        await pair.heddle.expect("drop", { reason, by: "local" });
      }
      {
        await using pair = await connectGeth(direction, ["MyProtocol/1"]);
        pair.other.send({ do: "disconnect", reason });
        await pair.heddle.expect("drop", { reason, by: "remote" });
        await pair.other.expect("drop", { err: words });
      }
    });

    test("whoever stops says that it is quitting", async () => {
      {
        await using pair = await connectGeth(direction, ["MyProtocol/1"]);
        await pair.heddle.server.stop();
        await pair.other.expect("drop", { err: "client quitting" });
      }
      {
        await using pair = await connectGeth(direction, ["MyProtocol/1"]);
        pair.other.send({ do: "stop" });
        await pair.heddle.expect("drop", { reason: 0x08, by: "remote" });
      }
    });

    test("a payload that go-ethereum cannot decode comes back as a breach of protocol", async () => {
      await using pair = await connectGeth(direction, ["MyProtocol/1"]);
      await (await pair.heddle.session("MyProtocol")).send(0, "not a list");
      await pair.heddle.expect("drop", { reason: 0x02, by: "remote" });
    });
  });
});
