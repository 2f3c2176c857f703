import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import { expect, test } from "vitest";

import { formatResult, runConformance, targetProtocols } from "../src/index.ts";

test("a Heddle server with every protocol the suite speaks passes every case", async () => {
  await using server = new Server({
    key: generateSecretKey(),
    clientId: "target/1",
    listen: "127.0.0.1:0",
    protocols: targetProtocols(),
  });
  await server.start();
  const report = await runConformance(server.enode, { concurrency: 3 });
  expect(report.results.filter(({ verdict }) => verdict !== "pass").map(formatResult)).toEqual([]);
}, 120_000);
