import { describe, expect, test } from "vitest";
import { describeGeth } from "./geth.ts";
import { connectGeth, DIRECTIONS } from "./pair.ts";

// Longer than the 30 seconds of silence after which either side gives the other up.
const KEEPALIVE_MS = 40_000;

describeGeth("Heddle and go-ethereum", () => {
  describe.concurrent.each(DIRECTIONS)("%s", (direction) => {
    test("neither side drops the other in 40 seconds without protocol traffic", async () => {
      await using pair = await connectGeth(direction, ["MyProtocol/1"]);
      const { heddle, other: geth } = pair;
      await expect(heddle.expect("drop", {}, { timeoutMs: KEEPALIVE_MS })).rejects.toThrow(
        `nothing came for ${KEEPALIVE_MS} ms`,
      );
      expect(geth.seen("drop")).toEqual([]);
      expect(heddle.seen("msg")).toEqual([]);

      geth.send({ do: "send", words: ["foo"] });
      await geth.expect("msg", { words: ["bar"] });
      await heddle.server.peers[0]?.ping();
      expect(geth.seen("peer")).toHaveLength(1);
    });
  });
});
