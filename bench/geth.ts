import { gethStack } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";

type BuildGeth = () => Promise<{ binary: string } | { missing: string }>;

/** The go-ethereum peer, built from the module of the interoperability tests, or why there is none. */
export async function findGeth(channels?: number): Promise<Stack | { missing: string }> {
  // By URL, since that module belongs to the tests' program, with its types of vitest.
  const { href } = new URL("../test/interop/build.ts", import.meta.url);
  const { buildGeth } = (await import(href)) as { buildGeth: BuildGeth };
  const built = await buildGeth();
  return "missing" in built ? built : gethStack(built.binary, channels);
}
