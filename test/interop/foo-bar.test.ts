// The example's command line with go-ethereum at the other end.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { describeGeth, dialGeth, serveGeth } from "./geth.ts";
import { LinePeer } from "./line-peer.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function fooBar(...args: readonly string[]): LinePeer {
  const program = ["--import", "tsx", "examples/foo-bar/main.ts", ...args];
  return new LinePeer("foo-bar", process.execPath, program, ROOT);
}

describeGeth("foo-bar and go-ethereum", () => {
  test("go-ethereum dials foo-bar serve, gets bar, and hears goodbye at SIGTERM", async () => {
    await using server = fooBar("serve", "--listen", "127.0.0.1:0");
    const { text: enode } = await server.expect("line");
    await using geth = await dialGeth(String(enode));
    await geth.lines.expect("peer");
    geth.lines.send({ do: "send", words: ["foo"] });
    await geth.lines.expect("msg", { words: ["bar"] });

    server.kill("SIGTERM");
    await geth.lines.expect("drop", { err: "client quitting" });
    await server.expect("exit", { code: 0 });
  });

  test("foo-bar dial prints each bar that it gets from go-ethereum and exits with 0", async () => {
    await using geth = await serveGeth();
    await using dialer = fooBar("dial", geth.enode, "--count", "3");
    await dialer.expect("exit", { code: 0 });
    expect(dialer.seen("line").map(({ text }) => text)).toEqual([
      "recv: bar",
      "recv: bar",
      "recv: bar",
    ]);
    expect(geth.lines.seen("msg", { words: ["foo"] })).toHaveLength(3);
  });
});
