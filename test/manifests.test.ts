import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";

const PACKAGES = fileURLToPath(new URL("../packages", import.meta.url));

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

describe.each(await readdir(PACKAGES))("packages/%s", (name) => {
  const root = join(PACKAGES, name);

  test("is built before it is packed: without dist/ a tarball is of no use", async () => {
    expect((await readManifest(root)).scripts?.["prepack"]).toBe("tsc -b");
  });

  test("imports no package that it does not declare, though the root has some installed", async () => {
    const { dependencies = {} } = await readManifest(root);
    const entries = await readdir(join(root, "src"), { recursive: true });
    const sources = entries.filter((path) => path.endsWith(".ts"));
    expect(sources.length).toBeGreaterThan(0);
    for (const path of sources) {
      const source = await readFile(join(root, "src", path), "utf8");
      const imported = [...source.matchAll(/^(?:import|export|\}) .*"(@heddle\/[^/"]+)/gm)];
      for (const [line, other = ""] of imported) {
        expect([...Object.keys(dependencies), `@heddle/${name}`], `${path}: ${line}`).toContain(
          other,
        );
      }
    }
  });
});

async function readManifest(root: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest;
}
