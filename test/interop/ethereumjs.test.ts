// Heddle and @ethereumjs/devp2p: what holds whichever of them dials.
import { describe, test } from "vitest";
import { connectEthereumJs, ETHEREUMJS_DIRECTIONS } from "./pair.ts";
import { checksum, filled, rlpString } from "./payload.ts";

describe.each(ETHEREUMJS_DIRECTIONS)("%s", (direction) => {
  test("foo is answered with bar on both sides", async () => {
    await using pair = await connectEthereumJs(direction);
    const { heddle, other: ethereumJs } = pair;

    ethereumJs.send({ do: "send", words: ["foo"] });
    await heddle.expect("msg", { words: ["foo"] });
    await ethereumJs.expect("msg", { words: ["bar"] });

    await (await heddle.session("MyProtocol")).sendItems(0, "foo");
    await ethereumJs.expect("msg", { words: ["foo"] });
    await heddle.expect("msg", { words: ["bar"] });
  });

  test.each([0, 1, 1024, 1024 * 1024])("%i bytes go there and back unharmed", async (size) => {
    await using pair = await connectEthereumJs(direction);
    const { heddle, other: ethereumJs } = pair;
    const payload = rlpString(filled("random", size));
    const expected = { size: payload.length, sum: checksum(payload) };

    ethereumJs.send({ do: "echo", size, fill: "random" });
    await ethereumJs.expect("echoed", expected);
    await (await heddle.session("echo")).sendEncoded(0, payload.slice());
    await heddle.expect("echoed", expected);
  });

  test.each([0x00, 0x03, 0x04, 0x08, 0x10])("our reason %i is seen", async (reason) => {
    await using pair = await connectEthereumJs(direction);
    await pair.heddle.server.peers[0]?.disconnect(reason);
    await pair.other.expect("drop", { reason, byUs: false });
  });
});
