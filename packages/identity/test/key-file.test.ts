import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createKeyFile, loadOrCreateKeyFile, readKeyFile } from "../src/key-file.ts";
import { fromHex, isSecretKey, toHex } from "../src/index.ts";

const HEX = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291";
const code = (suffix: string) =>
  expect.objectContaining({ name: "KeyFileError", code: `ERR_KEY_FILE_${suffix}` });
const posix = process.platform !== "win32";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-"));
  path = join(folder, "key");
});
afterEach(() => rm(folder, { recursive: true }));

test("creates a file that only its owner may use, and leaves nothing else", async () => {
  const key = await createKeyFile(path);
  expect(isSecretKey(key)).toBe(true);
  expect(await readFile(path, "latin1")).toBe(`${toHex(key)}\n`);
  if (posix) expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["key"]);
  expect(await readKeyFile(path)).toEqual(key);
});

test("never overwrites a file", async () => {
  await writeFile(path, "precious");
  await expect(createKeyFile(path)).rejects.toThrow(code("EXISTS"));
  expect(await readFile(path, "latin1")).toBe("precious");
  expect(await readdir(folder)).toEqual(["key"]);
});

test.each([HEX, `${HEX}\n`, `${HEX}\r\n`, HEX.toUpperCase()])("reads %j", async (content) => {
  await writeFile(path, content, { mode: 0o600 });
  expect(await readKeyFile(path)).toEqual(fromHex(HEX));
});

test.each([
  ["nothing", ""],
  ["63 digits", HEX.slice(1)],
  ["65 digits", `${HEX}0`],
  ["a prefix", `0x${HEX}`],
  ["two line ends", `${HEX}\n\n`],
  ["a space", ` ${HEX}`],
  ["other letters", `${HEX.slice(1)}g`],
  ["zero", "0".repeat(64)],
  ["a number beyond the curve order", "f".repeat(64)],
  ["a large file", HEX.repeat(1000)],
])("refuses a file with %s and does not show its content", async (_what, content) => {
  await writeFile(path, content, { mode: 0o600 });
  await expect(readKeyFile(path)).rejects.toThrow(code("BAD_CONTENT"));
  await expect(readKeyFile(path)).rejects.not.toThrow(HEX.slice(1, 20));
  await expect(loadOrCreateKeyFile(path)).rejects.toThrow(code("BAD_CONTENT"));
});

test.runIf(posix).each([0o640, 0o604, 0o620, 0o666])("refuses a file of mode %o", async (mode) => {
  await writeFile(path, HEX);
  await chmod(path, mode);
  await expect(readKeyFile(path)).rejects.toThrow(code("TOO_OPEN"));
  await expect(readKeyFile(path)).rejects.toThrow(`has mode 0${mode.toString(8)}, expected 0600`);
});

test("says when there is no file, and when it is something else", async () => {
  await expect(readKeyFile(path)).rejects.toThrow(code("MISSING"));
  await mkdir(path);
  await expect(readKeyFile(path)).rejects.toThrow(
    expect.objectContaining({
      name: "KeyFileError",
      code: posix ? "ERR_KEY_FILE_BAD_CONTENT" : "ERR_KEY_FILE_IO",
    }),
  );
});

test("says when the folder is missing", async () => {
  await expect(createKeyFile(join(folder, "no", "key"))).rejects.toThrow(code("IO"));
});

test("makes a path in a message safe to print", async () => {
  await expect(readKeyFile(join(folder, "\u001b[2J"))).rejects.toThrow("\\u{1b}[2J");
});

test("loads the key that is there and creates one that is not", async () => {
  const created = await loadOrCreateKeyFile(path);
  expect(await loadOrCreateKeyFile(path)).toEqual(created);
});

test("gives all that race for a file the same key", async () => {
  for (let round = 0; round < 20; round++) {
    const target = join(folder, `key-${round}`);
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKeyFile(target)));
    expect(new Set(keys.map(toHex)).size).toBe(1);
    expect(await readFile(target, "latin1")).toBe(`${toHex(keys[0]!)}\n`);
  }
  expect(await readdir(folder)).toHaveLength(20);
});
