import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { DEFAULT_LIMITS } from "../src/index.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");

/** The source text of all modules. */
async function sources(): Promise<string> {
  const folder = new URL("../src/", import.meta.url);
  const names = await readdir(folder);
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  return texts.join("\n");
}

/** A program, run inside the package, so that it may import the package by its name. */
async function output(program: string): Promise<string> {
  const folder = fileURLToPath(new URL("../dist", import.meta.url));
  await mkdir(folder, { recursive: true });
  const place = await mkdtemp(join(folder, "readme-"));
  try {
    const file = join(place, "program.mts");
    await writeFile(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    return stdout;
  } finally {
    await rm(place, { recursive: true });
  }
}

describe("the README's programs run as they stand", () => {
  test.each([
    [
      0,
      "6 bytes came back\ndisconnected by remote side in phase session: client quitting (0x08)\n",
    ],
    [1, 'heddle_peers{direction="inbound"} 0\n'],
  ])("number %i", async (index, expected) => {
    expect(await output(programs[index] ?? "")).toBe(expected);
  });

  test("and there are no others", () => {
    expect(programs).toHaveLength(2);
  });
});

/** As the README writes it: bytes in KiB or MiB where they are whole ones. */
function written(name: string, value: number): string {
  if (!/Bytes|WaterMark|maxQueued/.test(name)) return value.toLocaleString("en-US");
  const isMib = value % (1024 * 1024) === 0;
  return isMib ? `${value / 1024 / 1024} MiB` : `${value / 1024} KiB`;
}

test("the README has every limit with its default", () => {
  const rows = [...readme.matchAll(/^\| ((?:`\w+`(?:, )?)+) +\| ([\d,]+[^|]*?) +\|/gm)];
  const shown = rows.flatMap(([, names = "", values = ""]) => {
    const defaults = values.split(/, (?=\d)/);
    return names.split(", ").map((name, i) => [name.replaceAll("`", ""), defaults[i]] as const);
  });
  expect(Object.fromEntries(shown.filter(([name]) => name in DEFAULT_LIMITS))).toEqual(
    Object.fromEntries(
      Object.entries(DEFAULT_LIMITS).map(([name, value]) => [name, written(name, value)]),
    ),
  );
});

test("the README has every error code, every option and every event", async () => {
  const text = await sources();
  const codes = new Set(text.match(/ERR_P2P_[A-Z_]+[A-Z]/g));
  const options = /export interface ServerOptions \{([\s\S]*?)\n\}/.exec(text)?.[1] ?? "";
  const events = /export interface ServerEvents \{([\s\S]*?)\n\}/.exec(text)?.[1] ?? "";
  const names = [
    ...codes,
    ...[...options.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1] ?? ""),
    ...[...events.matchAll(/^ {2}"?([\w:]+)"?: \{/gm)].map((match) => match[1] ?? ""),
  ];
  expect(names.length).toBeGreaterThan(40);
  expect(names.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});
