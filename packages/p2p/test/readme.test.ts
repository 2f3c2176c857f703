import { readdir, readFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { DEFAULT_LIMITS, DisconnectReason } from "../src/index.ts";

const { programs, run, text: readme } = await readReadme(import.meta.url);

/** The source text of all modules. */
async function sources(): Promise<string> {
  const folder = new URL("../src/", import.meta.url);
  const names = await readdir(folder);
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  return texts.join("\n");
}

describe("the README's programs run as they stand", () => {
  test.each([
    [
      0,
      "6 bytes came back\ndisconnected by remote side in phase session: client quitting (0x08)\n",
    ],
    [1, 'heddle_peers{direction="inbound"} 0\n'],
  ])("number %i", async (index, expected) => {
    expect(await run(index)).toBe(expected);
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

test("the README has every disconnect reason with its number", () => {
  const shown = [...readme.matchAll(/`(\w+)` +\| (0x[0-9a-f]{2}) +\|/g)].map(([, name, number]) => [
    name,
    Number(number),
  ]);
  expect(Object.fromEntries(shown)).toEqual(DisconnectReason);
});
