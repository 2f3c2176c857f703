import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** What is done to a workspace, in an order that can be gone back. */
export class Changes {
  readonly #root: string;
  readonly #undo: (() => Promise<void>)[] = [];

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes a file and the folders it needs. @throws an `EEXIST` error when there is one */
  async create(path: string, content: string): Promise<void> {
    const file = join(this.#root, path);
    await this.#makeFolder(dirname(file));
    await writeFile(file, content, { flag: "wx" });
    this.#undo.push(() => rm(file));
  }

  /** Writes another content into a file. */
  async replace(path: string, content: string): Promise<void> {
    const file = join(this.#root, path);
    const before = await readFile(file);
    await writeFile(file, content);
    this.#undo.push(() => writeFile(file, before));
  }

  /** Takes back what was done, last things first: no file or folder that was there before goes. */
  async undo(): Promise<void> {
    for (const undo of this.#undo.splice(0).toReversed()) await undo();
  }

  async #makeFolder(folder: string): Promise<void> {
    const first = await mkdir(folder, { recursive: true });
    if (first === undefined) return;
    this.#undo.push(async () => {
      for (let made = folder; made.length >= first.length; made = dirname(made)) {
        await removeEmpty(made);
      }
    });
  }
}

/** Removes a folder, unless somebody else has put something into it. */
async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
  }
}
