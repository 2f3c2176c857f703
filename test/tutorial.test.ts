import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, test } from "vitest";

import { WorkspaceCopy } from "./scaffold-copy.ts";

const TUTORIAL = fileURLToPath(new URL("../packages/protocol/TUTORIAL.md", import.meta.url));

const TIMEOUT_MS = 300_000;

/** A code block, and the paragraph in front of it, which says what to do with it. */
interface Step {
  readonly line: number;
  readonly language: string;
  readonly before: string;
  readonly code: string;
}

let copy: WorkspaceCopy;
let serving: ChildProcess | undefined;
let enode = "";

beforeAll(async () => {
  copy = await WorkspaceCopy.create();
});

afterAll(async () => {
  serving?.kill("SIGKILL");
  await copy.remove();
});

test(
  "the tutorial's commands and files, one after another, do what it says",
  async () => {
    const steps = readSteps(await readFile(TUTORIAL, "utf8"));
    for (const step of steps) {
      if (step.language === "console") await runCommands(step);
      else await writeSnippet(step);
    }
    expect(steps.filter(({ language }) => language === "ts")).toHaveLength(7);
    expect(steps.filter(({ language }) => language === "console")).toHaveLength(7);
    serving?.kill("SIGTERM");
    if (serving !== undefined) expect(await once(serving, "close")).toEqual([0, null]);
  },
  TIMEOUT_MS,
);

function readSteps(tutorial: string): Step[] {
  const blocks = tutorial.matchAll(/(?:^|\n\n)((?:[^\n]+\n)*)\n?```(\w+)\n([\s\S]*?)\n```/g);
  return [...blocks].map(({ index, 1: before = "", 2: language = "", 3: code = "" }) => ({
    line: tutorial.slice(0, index).split("\n").length,
    language,
    before: before.replaceAll("\n", " ").trim(),
    code,
  }));
}

/** Writes a file that is given as a whole, or puts the code in the place of what is named. */
async function writeSnippet({ before, code, line }: Step): Promise<void> {
  const { path, old } =
    /`(?<path>(?:packages|examples)\/[^`]+)`(?:, `(?<old>[^`]+)`)? (?:is|becomes):$/.exec(before)
      ?.groups ?? {};
  if (path === undefined) throw new Error(`line ${line}: "${before}" names no file`);
  const file = join(copy.root, path);
  if (old === undefined) {
    await writeFile(file, `${code}\n`);
    return;
  }
  const content = await copy.read(path);
  expect(content).toContain(old);
  await writeFile(
    file,
    content.replace(old, () => code.trim()),
  );
}

/** Runs each command, and looks for the lines that are shown below it, in their order. */
async function runCommands({ code }: Step): Promise<void> {
  for (const block of code.split(/^\$ /m).slice(1)) {
    const [command = "", ...shown] = block.trimEnd().split("\n");
    const output = await runCommand(command.replace("enode://…", () => enode));
    const pattern = shown.map((text) => text.split("…").map(escapeRegExp).join(".*"));
    expect(output, command).toMatch(new RegExp(pattern.join("[^]*")));
  }
}

async function runCommand(command: string): Promise<string> {
  if (command.includes(" serve ")) return serve(command);
  const manifest = JSON.parse(await copy.read("package.json")) as {
    scripts: Record<string, string>;
  };
  const script = /^npx -y pnpm@12 (\S+)/.exec(command)?.[1];
  const line =
    script === undefined
      ? command.replace(/^npx /, "")
      : command.replace(/^npx -y pnpm@12 \S+/, manifest.scripts[script] ?? "false");
  const { stdout } = await copy.run(`{ ${line}; } 2>&1`);
  if (script === "new:protocol") {
    // What pnpm does by itself before the next command.
    const [name = ""] = command.split(" ").slice(4);
    for (const folder of [`packages/${name}`, `examples/${name}`]) await copy.install(folder);
  }
  return stdout;
}

/** Starts the process that serves, and returns its first line. */
async function serve(command: string): Promise<string> {
  const [, , ...args] = command.split(" ");
  serving = spawn(process.execPath, ["--import", "tsx", ...args], {
    cwd: copy.root,
    env: copy.env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (serving.stdout === null) throw new Error("the process has no output");
  [enode] = (await once(createInterface({ input: serving.stdout }), "line")) as [string];
  return enode;
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
