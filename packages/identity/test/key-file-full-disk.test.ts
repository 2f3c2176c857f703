import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, onTestFinished, test, vi } from "vitest";

import { createKeyFile } from "../src/key-file.ts";

test.each(["writeFile", "sync"] as const)(
  "a disk that turns out to be full in %s keeps nothing of a key, and the next attempt is free",
  async (method) => {
    const folder = await mkdtemp(join(tmpdir(), "heddle-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = await open(folder);
    const handles = Object.getPrototypeOf(file) as typeof file;
    await file.close();
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    const spy = vi.spyOn(handles, method).mockRejectedValueOnce(full);
    onTestFinished(() => spy.mockRestore());
    const path = join(folder, "key");
    await expect(createKeyFile(path)).rejects.toMatchObject({
      name: "KeyFileError",
      code: "ERR_KEY_FILE_IO",
      cause: full,
    });
    expect(await readdir(folder)).toEqual([]);
    expect(await createKeyFile(path)).toHaveLength(32);
    expect(await readdir(folder)).toEqual(["key"]);
  },
);
