import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import * as identity from "../src/index.ts";
import * as keyFile from "../src/key-file.ts";
import manifest from "../package.json" with { type: "json" };

test("exports what it promises, and nothing else", () => {
  expect(Object.keys(identity).toSorted()).toEqual([
    "CurveError",
    "ENODE_MAX_LENGTH",
    "ENR_MAX_SIZE",
    "EnodeError",
    "Enr",
    "EnrError",
    "RLP_MAX_DEPTH",
    "RLP_MAX_ITEMS",
    "RlpError",
    "RlpWriter",
    "bytesEqual",
    "checkRlp",
    "concatBytes",
    "curve",
    "decodeBigint",
    "decodeRlp",
    "decodeUint",
    "encodeRlp",
    "encodeWith",
    "escapeText",
    "formatEnode",
    "formatIp",
    "formatNodeId",
    "fromHex",
    "generateSecretKey",
    "isSecretKey",
    "nodeIdOf",
    "parseEnode",
    "parseIp4",
    "parseIp6",
    "portableCurve",
    "rlpItemLength",
    "toHex",
  ]);
  expect(Object.keys(keyFile).toSorted()).toEqual([
    "KeyFileError",
    "createKeyFile",
    "loadOrCreateKeyFile",
    "readKeyFile",
  ]);
});

/** Collects the modules that a module reaches by import under the given condition. */
async function reach(file: string, condition: "node" | "default"): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  const queue = [file];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (sources.has(next)) continue;
    const source = await readFile(new URL(`../src/${next}`, import.meta.url), "utf8");
    sources.set(next, source);
    for (const [, name = ""] of source.matchAll(/from "([^"]+)"/g)) {
      const target =
        name === "#fast-backend" ? manifest.imports[name][condition].replace("src/", "") : name;
      if (target.startsWith("./")) queue.push(target.slice(2));
    }
  }
  return sources;
}

test("reaches nothing of Node in a browser", async () => {
  const browser = await reach("index.ts", "default");
  expect(browser.size).toBeGreaterThan(8);
  expect([...browser].filter(([, source]) => /"node:|\bprocess\b|\bBuffer\(/.test(source))).toEqual(
    [],
  );
  expect([...(await reach("index.ts", "node")).keys()]).toContain("backend-node.ts");
});
