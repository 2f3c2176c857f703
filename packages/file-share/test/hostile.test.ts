import { readdir, readFile } from "node:fs/promises";

import type { RlpInput } from "@heddle/identity";
import { beforeAll, describe, expect, test } from "vitest";

import {
  CHUNK_BYTES,
  contentHash,
  displayName,
  FileShareError,
  hashNode,
  safeFileName,
} from "../src/index.ts";
import type { FileShareLimits } from "../src/index.ts";
import { connect, Nodes, noise, temporaryFolder } from "./node.ts";
import { foundFiles, honest, rawHolder, wholeOf } from "./raw-holder.ts";
import type { RawAnswers, Whole } from "./raw-holder.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

/** A row of the README's table. */
function expectInReadme(what: string, got: string): void {
  const rows = readme.split("\n").map((line) => line.replaceAll(/\s+/g, " "));
  expect(rows).toContain(`| ${what} | ${got} |`.replaceAll(/\s+/g, " "));
}

const REFUSED = "refused, peer dropped (0x02)";
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What a found file comes to: the answer is refused and its sender dropped, not shown, or shown. */
async function outcomeOfFound(file: { name: RlpInput; size?: RlpInput; hash?: RlpInput }) {
  const nodes = new Nodes();
  const reader = await nodes.add();
  const liar = await nodes.addOther([
    rawHolder({ found: (id) => foundFiles(id, liar.record, [file, { name: "the last" }]) }),
  ]);
  const dropped = new Promise<string>((resolve) => {
    reader.server.on("peer:drop", ({ error }) => {
      resolve(`refused, peer dropped (0x0${error.reason?.toString(16)})`);
    });
  });
  await connect(reader, liar);
  const first = (async () => {
    for await (const { name } of reader.share.search("x", { deadlineMs: 30_000 })) return { name };
    throw new Error("there was no answer");
  })();
  const outcome = await Promise.race([first, dropped]);
  await reader.share.close();
  await first.catch(() => undefined);
  return typeof outcome === "object" && outcome.name === "the last" ? "not shown" : outcome;
}

describe("names from the network", () => {
  const SHOWN = (shown: string, saved: string): string =>
    `shown as \`${shown}\`, saved as \`${saved}\``;
  const long = (count: number): string => "n".repeat(count);

  test.each([
    { what: "an empty name", name: "", got: REFUSED },
    { what: "`.`", name: ".", got: REFUSED },
    { what: "`..`", name: "..", got: REFUSED },
    { what: "`../../.ssh/authorized_keys`", name: "../../.ssh/authorized_keys", got: REFUSED },
    { what: "`/etc/passwd`", name: "/etc/passwd", got: REFUSED },
    { what: "`a/b`", name: "a/b", got: REFUSED },
    { what: "a name with a NUL in it", name: "a\0.txt", got: REFUSED },
    { what: "a name of 256 bytes", name: long(256), got: REFUSED },
    { what: "a name that is not UTF-8", name: Uint8Array.of(0x61, 0xff), got: REFUSED },
    { what: "an overlong UTF-8 `/`", name: Uint8Array.of(0x2e, 0xc0, 0xaf), got: REFUSED },
    { what: "half a surrogate pair", name: Uint8Array.of(0xed, 0xa0, 0x80), got: REFUSED },
    { what: "a list for a name", name: ["a"], got: REFUSED },
    {
      what: "`..\\..\\boot.ini`",
      name: "..\\..\\boot.ini",
      shown: "..\\u{5c}..\\u{5c}boot.ini",
      saved: "_.._boot.ini",
    },
    {
      what: "`C:\\autoexec.bat`",
      name: "C:\\autoexec.bat",
      shown: "C:\\u{5c}autoexec.bat",
      saved: "C__autoexec.bat",
    },
    { what: "`a.txt:stream`", name: "a.txt:stream", shown: "a.txt:stream", saved: "a.txt_stream" },
    { what: "`.bashrc`", name: ".bashrc", shown: ".bashrc", saved: "bashrc" },
    { what: "`...`", name: "...", shown: "...", saved: "file" },
    { what: "`-rf`", name: "-rf", shown: "-rf", saved: "rf" },
    { what: "`~root`", name: "~root", shown: "~root", saved: "root" },
    { what: "`CON`", name: "CON", shown: "CON", saved: "_CON" },
    { what: "`aux.txt`", name: "aux.txt", shown: "aux.txt", saved: "_aux.txt" },
    { what: "`name.` with a dot at the end", name: "name.", shown: "name.", saved: "name" },
    { what: "`name ` with a space at the end", name: "name ", shown: "name ", saved: "name" },
    { what: "a terminal escape", name: "\u001b[2Jx", shown: "\\u{1b}[2Jx", saved: "_[2Jx" },
    { what: "a line break", name: "a\nb", shown: "a\\u{a}b", saved: "a_b" },
    {
      what: "text that runs from right to left",
      name: "a\u202Etxt.exe",
      shown: "a\\u{202e}txt.exe",
      saved: "a_txt.exe",
    },
    { what: "a zero-width space", name: "a\u200Bb", shown: "a\\u{200b}b", saved: "a_b" },
    { what: "a byte order mark", name: "\uFEFFa", shown: "\\u{feff}a", saved: "_a" },
    { what: "wildcards and quotes", name: '*?"<>.txt', shown: '*?"<>.txt', saved: "_____.txt" },
    { what: "`$(reboot)`", name: "$(reboot)", shown: "$(reboot)", saved: "$(reboot)" },
    {
      what: "letters with accents apart",
      name: "e\u0301.txt",
      shown: "e\u0301.txt",
      saved: "\u00e9.txt",
    },
    {
      what: "a name of 255 bytes",
      name: long(255),
      shown: "its 255 characters",
      saved: "the first 200",
    },
  ])("$what", async ({ what, name, ...row }) => {
    const outcome = await outcomeOfFound({ name: typeof name === "string" ? utf8(name) : name });
    if ("got" in row && row.got !== undefined) {
      expect(outcome).toBe(row.got);
      expectInReadme(what, row.got);
      return;
    }
    expect(outcome).toEqual({ name });
    const [shown, saved] = [displayName(String(name)), safeFileName(String(name))];
    if (name === long(255)) {
      expect([shown, saved]).toEqual([long(255), long(200)]);
      expectInReadme(what, "shown as it is, saved as its first 200");
      return;
    }
    expect([shown, saved]).toEqual([row.shown, row.saved]);
    expectInReadme(what, SHOWN(shown.replaceAll("|", "\\|"), saved));
  });
});

describe("sizes and hashes from the network, in answers to a search", () => {
  test.each([
    { what: "a size of 2^53", file: { size: 2n ** 53n }, got: REFUSED },
    { what: "a size of 2^64-1", file: { size: 2n ** 64n - 1n }, got: REFUSED },
    { what: "a size of 2^256", file: { size: 2n ** 256n }, got: REFUSED },
    { what: "a size with a leading zero", file: { size: Uint8Array.of(0, 1) }, got: REFUSED },
    { what: "a size that is a list", file: { size: [] }, got: REFUSED },
    { what: "a size over `maxFileBytes`", file: { size: 1024 ** 4 + 1 }, got: "not shown" },
    { what: "a hash of 31 bytes", file: { hash: noise(31) }, got: REFUSED },
    { what: "a hash of 33 bytes", file: { hash: noise(33) }, got: REFUSED },
  ])("$what", async ({ what, file, got }) => {
    const outcome = await outcomeOfFound({ name: "x", ...file });
    expect(outcome).toBe(got);
    expectInReadme(what, got);
  });

  test.each([{ size: 0 }, { size: 1024 ** 4 }])("a size of $size is shown", async ({ size }) => {
    expect(await outcomeOfFound({ name: "x", size })).toEqual({ name: "x" });
  });
});

describe("what a holder may answer to a transfer", () => {
  let whole: Whole;
  beforeAll(async () => {
    whole = await wholeOf(noise(3 * CHUNK_BYTES + 100));
  });

  interface Case {
    readonly what: string;
    readonly answers: () => RawAnswers;
    readonly hash?: () => Uint8Array;
    readonly limits?: Partial<FileShareLimits>;
    readonly got: string;
  }

  const LIE = (part: string): string => `\`ERR_FILES_BAD_${part}\`, peer dropped (0x10)`;
  /** What the typed layer refuses to read. */
  const UNREADABLE = (part: string): string => LIE(part).replace("0x10", "0x02");
  const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
    bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
  const chunkOf = (index: number): Uint8Array => honest(whole).chunk(index) as Uint8Array;
  const huge =
    (size: number): Case["answers"] & object =>
    () => ({
      describe: () => [size, hashNode(noise(64))],
    });
  const hugeHash = (size: number) => (): Uint8Array => contentHash(size, hashNode(noise(64)));

  test.each<Case>([
    {
      what: "a description with one byte more",
      answers: () => ({ describe: () => [whole.tree.shape.size + 1, whole.tree.top] }),
      got: LIE("DESCRIPTION"),
    },
    {
      what: "a description with another top hash",
      answers: () => ({ describe: () => [whole.tree.shape.size, flipped(whole.tree.top, 0)] }),
      got: LIE("DESCRIPTION"),
    },
    {
      what: "a top hash of 31 bytes",
      answers: () => ({ describe: () => [whole.tree.shape.size, whole.tree.top.subarray(1)] }),
      got: LIE("DESCRIPTION"),
    },
    {
      what: "a top hash of 33 bytes",
      answers: () => ({ describe: () => [whole.tree.shape.size, noise(33)] }),
      got: UNREADABLE("DESCRIPTION"),
    },
    {
      what: "a described size of 2^63",
      answers: () => ({ describe: () => [2n ** 63n, whole.tree.top] }),
      got: UNREADABLE("DESCRIPTION"),
    },
    {
      what: "a file over `maxFileBytes`, described as it is",
      answers: huge(2 ** 41),
      hash: hugeHash(2 ** 41),
      got: "`ERR_FILES_TOO_BIG`",
    },
    {
      what: "a file larger than the free disk",
      answers: huge(2 ** 50),
      hash: hugeHash(2 ** 50),
      limits: { maxFileBytes: 2 ** 51 },
      got: "`ERR_FILES_NO_SPACE`",
    },
    {
      what: "hashes that do not fit",
      answers: () => ({ hashes: () => flipped(whole.leaves, 40) }),
      got: LIE("HASHES"),
    },
    {
      what: "hashes in another order",
      answers: () => ({
        hashes: () => Buffer.concat([whole.leaves.subarray(32), whole.leaves.subarray(0, 32)]),
      }),
      got: LIE("HASHES"),
    },
    {
      what: "one hash too few",
      answers: () => ({ hashes: () => whole.leaves.subarray(32) }),
      got: LIE("HASHES"),
    },
    {
      what: "more hashes than any node has",
      answers: () => ({ hashes: () => noise(65_537) }),
      got: UNREADABLE("HASHES"),
    },
    {
      what: "a chunk with one bit changed",
      answers: () => ({ chunk: (i) => flipped(chunkOf(i), 77) }),
      got: LIE("CHUNK"),
    },
    {
      what: "another chunk of the file",
      answers: () => ({ chunk: (i) => chunkOf((i + 1) % 3) }),
      got: LIE("CHUNK"),
    },
    {
      what: "a chunk that is a byte short",
      answers: () => ({ chunk: (i) => chunkOf(i).subarray(1) }),
      got: LIE("CHUNK"),
    },
    {
      what: "a chunk over 256 KiB",
      answers: () => ({ chunk: () => noise(CHUNK_BYTES + 1) }),
      got: UNREADABLE("CHUNK"),
    },
    {
      what: "a chunk that is a list",
      answers: () => ({ chunk: () => [] }),
      got: UNREADABLE("CHUNK"),
    },
    {
      what: "no chunk",
      answers: () => ({ chunk: () => "" }),
      got: "`ERR_FILES_STALLED` when nobody else has it",
    },
  ])("$what", async ({ what, answers, hash, limits, got }) => {
    const nodes = new Nodes();
    const to = await temporaryFolder();
    const controller = new AbortController();
    let liar: string | undefined;
    const reader = await nodes.add({
      limits: { refreshMs: 20, patienceMs: 100, ...limits },
      events: {
        liar({ id, fault }) {
          expect(id).toBe(holder.id);
          liar = `\`${fault.code}\``;
          controller.abort(new Error("seen"));
        },
      },
    });
    const holder = await nodes.addOther([rawHolder({ ...honest(whole), ...answers() })]);
    const dropped = new Promise<string>((resolve) => {
      holder.server.on("peer:drop", ({ error }) =>
        resolve(`0x${error.reason?.toString(16).padStart(2, "0")}`),
      );
    });
    const fetching = reader.share.fetch(hash?.() ?? whole.tree.hash, {
      to,
      from: [holder.record],
      signal: controller.signal,
    });
    const error: unknown = await fetching.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    const code = error instanceof FileShareError ? `\`${error.code}\`` : "";
    if (liar === undefined) expect(got).toMatch(new RegExp(`^${code}`));
    else expect(`${liar}, peer dropped (${await dropped})`).toBe(got);
    expect((await readdir(to)).filter((name) => !name.startsWith("."))).toEqual([]);
    expectInReadme(what, got);
  });
});
