import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import { expect, test } from "vitest";

import {
  formatComparison,
  formatResult,
  runConformance,
  targetProtocols,
} from "../../packages/conformance/src/index.ts";
import { describeGeth, serveGeth } from "./geth.ts";

const README = fileURLToPath(new URL("../../packages/conformance/README.md", import.meta.url));

/** What stands between these lines of the README is written by this test when it runs with `--update`. */
const BEGIN = "<!-- prettier-ignore-start -->\n";
const END = "<!-- prettier-ignore-end -->";

/** With the slow cases, each of which takes up to a minute. */
const OPTIONS = { slow: true, concurrency: 4 };

/** A protocol of go-ethereum's that does not read stops its whole connection. */
const FAILED_BY_GETH = ["mux/one-stalled", "base/ping-while-stalled"];

describeGeth("conformance", () => {
  test("go-ethereum fails what stalls it, and its deviations are those of the README", async () => {
    await using geth = await serveGeth({
      protocols: ["MyProtocol/1", "bench/1", "echo/1", "echo/2", "echo/3", "hold/1", "wide/1"],
      maxPeers: 100,
    });
    await using heddle = new Server({
      key: generateSecretKey(),
      clientId: "Heddle/1",
      listen: "127.0.0.1:0",
      protocols: targetProtocols(),
    });
    await heddle.start();
    const [theirs, ours] = await Promise.all([
      runConformance(geth.enode, {
        ...OPTIONS,
        dial: (enode) => geth.lines.send({ do: "dial", enode }),
      }),
      runConformance(heddle.enode, { ...OPTIONS, dial: (enode) => heddle.dial(enode) }),
    ]);
    const failed = theirs.results.filter(({ verdict }) => verdict === "fail");
    expect(failed.map(({ name }) => name)).toEqual(FAILED_BY_GETH);
    expect(ours.results.filter(({ verdict }) => verdict !== "pass").map(formatResult)).toEqual([]);

    const readme = await readFile(README, "utf8");
    const [before, rest = ""] = readme.split(BEGIN);
    const [, after = ""] = rest.split(END);
    const table = formatComparison({ ...theirs, clientId: "go-ethereum" }, ours);
    await expect(`${before}${BEGIN}\n${table}\n${END}${after}`).toMatchFileSnapshot(README);
  }, 300_000);
});
