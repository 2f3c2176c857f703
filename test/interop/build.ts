import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

/** Where the binary of our go-ethereum peer is, or why there is none. */
export type GethBuild = { binary: string } | { missing: string };

declare module "vitest" {
  interface ProvidedContext {
    geth: GethBuild;
  }
}

const SOURCE = fileURLToPath(new URL("geth", import.meta.url));
const BINARY = fileURLToPath(
  new URL("../../node_modules/.cache/heddle-interop/gethpeer", import.meta.url),
);

const BUILD_TIMEOUT_MS = 10 * 60 * 1000;

const run = promisify(execFile);

/**
 * Builds the go-ethereum peer from `geth/`; Go's own cache makes every build after the first one short.
 *
 * @returns the path of the binary, or the reason when this machine has no Go, too old a Go, or no way to the modules
 * @throws Error when everything is there and our program still does not compile
 */
export async function buildGeth(): Promise<GethBuild> {
  const options = { cwd: SOURCE, timeout: BUILD_TIMEOUT_MS };
  try {
    await run("go", ["version"], options);
  } catch {
    return { missing: "there is no `go` on the PATH" };
  }
  try {
    // Listing what is imported brings the modules in, and fails on nothing but their absence.
    await run("go", ["list", "-deps", "-f", "", "."], options);
  } catch (error) {
    return { missing: `its Go modules cannot be had: ${stderrOf(error)}` };
  }
  try {
    await run("go", ["build", "-o", BINARY, "."], options);
  } catch (error) {
    throw new Error(`the go-ethereum peer does not build:\n${stderrOf(error)}`, { cause: error });
  }
  return { binary: BINARY };
}

/** Builds once before all test files; vitest calls it. */
export async function setup(project: TestProject): Promise<void> {
  const geth = await buildGeth();
  if ("missing" in geth) {
    console.warn(`\n*** SKIPPED: every test with go-ethereum, because ${geth.missing}\n`);
  }
  project.provide("geth", geth);
}

function stderrOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "stderr" in error && typeof error.stderr === "string" && error.stderr !== ""
    ? error.stderr.trim()
    : error.message;
}
