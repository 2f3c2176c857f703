import type { FileHandle } from "node:fs/promises";

import { isSameState, openFile } from "./content.ts";
import type { SharedContent } from "./content.ts";
import { FileShareError } from "./errors.ts";

/** Files kept open between two reads. */
const MAX_OPEN = 32;

interface Slot {
  readonly opening: Promise<FileHandle>;
  users: number;
}

/** Opens shared files for reading, and keeps the last few of them open. */
export class OpenFiles {
  readonly #slots = new Map<SharedContent, Slot>();

  /**
   * Runs a task with a file's handle, which is its only until it ends.
   *
   * @throws FileShareError `ERR_FILES_CHANGED` when the file is not the one that was hashed; the file
   * system's errors
   */
  async use<T>(content: SharedContent, task: (handle: FileHandle) => Promise<T>): Promise<T> {
    const slot = this.#slots.get(content) ?? { opening: openUnchanged(content), users: 0 };
    // To the end: the first is the one that was not used for longest.
    this.#slots.delete(content);
    this.#slots.set(content, slot);
    slot.users += 1;
    try {
      return await task(await slot.opening);
    } catch (error) {
      this.#slots.delete(content);
      throw error;
    } finally {
      slot.users -= 1;
      await this.#release(content, slot);
    }
  }

  /** Closes a file as soon as nobody reads it. */
  async forget(content: SharedContent): Promise<void> {
    const slot = this.#slots.get(content);
    this.#slots.delete(content);
    if (slot !== undefined) await this.#release(content, slot);
  }

  /** Closes all files that nobody reads, the others when their readers are done. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#slots.keys(), (content) => this.forget(content)));
  }

  async #release(content: SharedContent, slot: Slot): Promise<void> {
    if (slot.users > 0) return;
    if (this.#slots.get(content) !== slot) {
      await closeQuietly(slot);
      return;
    }
    for (const [oldest, idle] of this.#slots) {
      if (this.#slots.size <= MAX_OPEN) return;
      if (idle.users > 0) continue;
      this.#slots.delete(oldest);
      await closeQuietly(idle);
    }
  }
}

async function openUnchanged(content: SharedContent): Promise<FileHandle> {
  const { handle, identity } = await openFile(content.path);
  if (isSameState(identity, content.identity)) return handle;
  await handle.close();
  throw new FileShareError("ERR_FILES_CHANGED", "the file is not the one that was hashed");
}

async function closeQuietly({ opening }: Slot): Promise<void> {
  // Whoever used it was told already why it could not be opened.
  await opening.then((handle) => handle.close()).catch(() => undefined);
}
