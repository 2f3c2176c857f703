import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** A package's README and the TypeScript programs in it. */
export interface Readme {
  readonly text: string;
  readonly programs: readonly string[];
  /** Runs a program as it stands, the first if not told which, and returns what it prints. */
  readonly run: (index?: number) => Promise<string>;
}

/**
 * Reads the README of a package.
 *
 * @param testUrl - `import.meta.url` of a file in the package's folder `test`
 */
export async function readReadme(testUrl: string): Promise<Readme> {
  const text = await readFile(new URL("../README.md", testUrl), "utf8");
  const programs = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  // Inside the package, so that programs may import the package by its name.
  const dist = fileURLToPath(new URL("../dist", testUrl));
  return {
    text,
    programs,
    async run(index = 0) {
      const program = programs[index];
      if (program === undefined) throw new RangeError(`the README has no program ${index}`);
      await mkdir(dist, { recursive: true });
      const folder = await mkdtemp(join(dist, "readme-"));
      try {
        const file = join(folder, "program.mts");
        await writeFile(file, program);
        const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
        return stdout;
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  };
}
