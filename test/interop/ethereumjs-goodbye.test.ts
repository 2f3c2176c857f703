// Interop: EthereumJS sends its reason as a bare byte and, though Hello was exchanged, without Snappy.
import { describe, test } from "vitest";
import { connectEthereumJs, ETHEREUMJS_DIRECTIONS } from "./pair.ts";

describe.each(ETHEREUMJS_DIRECTIONS)("%s", (direction) => {
  test.each([0x00, 0x03, 0x04, 0x08, 0x10])("its reason %i is seen by us", async (reason) => {
    await using pair = await connectEthereumJs(direction);
    pair.other.send({ do: "disconnect", reason });
    await pair.heddle.expect("drop", { reason, by: "remote" });
  });
});
