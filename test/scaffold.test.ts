import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { addReference, addScript } from "../packages/protocol/scaffold/wiring.ts";
import { readNames } from "../packages/protocol/scaffold/names.ts";
import { createNewProtocol } from "../packages/protocol/scaffold/new-protocol.ts";
import { ScaffoldError } from "../packages/protocol/scaffold/scaffold-error.ts";

const HOUSE = fileURLToPath(new URL("..", import.meta.url));

/** What a protocol's package needs of the house, and so what the copy has. */
const PACKAGES = ["identity", "rlpx", "p2p", "protocol", "testing"];

const TIMEOUT_MS = 180_000;

let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "heddle-scaffold-"));
  await copyHouse();
});

afterAll(() => rm(root, { recursive: true }));

/** Copies the workspace without what the generated code has nothing to do with. */
async function copyHouse(): Promise<void> {
  for (const folder of PACKAGES) {
    const [from, to] = [join(HOUSE, "packages", folder), join(root, "packages", folder)];
    for (const part of ["package.json", "tsconfig.json", "src", "node_modules", "scaffold"]) {
      // Links stay as they are, so that packages find one another inside the copy.
      await cp(join(from, part), join(to, part), {
        recursive: true,
        verbatimSymlinks: true,
        force: false,
      }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    }
  }
  for (const file of [".oxlintrc.json", ".oxfmtrc.json", "package.json", "vitest.config.ts"]) {
    await cp(join(HOUSE, file), join(root, file));
  }
  for (const file of ["tsconfig.json", "examples/tsconfig.json", "test/tsconfig.json"]) {
    await mkdir(join(root, file, ".."), { recursive: true });
    await writeFile(join(root, file), withoutMissing(await readFile(join(HOUSE, file), "utf8")));
  }
  await symlink(join(HOUSE, "node_modules"), join(root, "node_modules"));
}

/** The references of a tsconfig, but for those to what the copy does not have. */
function withoutMissing(tsconfig: string): string {
  const config = JSON.parse(tsconfig) as { references: { path: string }[] };
  const kept = [...PACKAGES.map((name) => `packages/${name}`), "examples", "test"];
  const references = config.references.filter(({ path }) => kept.includes(path.replace("../", "")));
  return JSON.stringify({ ...config, references });
}

/** Links what a package depends on, as an installation does. */
async function install(folder: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8")) as Record<
    "dependencies" | "devDependencies",
    Record<string, string> | undefined
  >;
  const scope = join(root, folder, "node_modules", "@heddle");
  await mkdir(scope, { recursive: true });
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
    const short = name.replace("@heddle/", "");
    await symlink(join(root, "packages", short), join(scope, short));
  }
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in the copy, without what this test's runner has put into the environment. */
async function run(command: string, ...args: string[]): Promise<Ran> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|TEST|CI)/.test(name)),
  );
  try {
    const options = { cwd: root, env, maxBuffer: 1 << 24 };
    return { code: 0, ...(await promisify(execFile)(command, args, options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as Ran;
    return { code, stdout, stderr };
  }
}

const runTool = (tool: string, ...args: string[]): Promise<Ran> =>
  run(join(root, "node_modules", ".bin", tool), ...args);

const newProtocol = (...args: string[]): Promise<Ran> =>
  run(process.execPath, "--import", "tsx", "packages/protocol/scaffold/main.ts", ...args);

/** Every file of the copy that is not installed or built, with its content. */
async function snapshot(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (/node_modules|\/dist\b|tsbuildinfo/.test(path) || entry.isSymbolicLink()) continue;
    files.set(path, entry.isFile() ? await readFile(path, "utf8") : "folder");
  }
  return files;
}

describe("new:protocol", () => {
  test(
    "makes a package and an example that pass every check and test as they are",
    async () => {
      const made = await newProtocol("demo-thing");
      expect(made).toMatchObject({ code: 0, stderr: "" });
      expect(made.stdout).toContain("made packages/demo-thing and examples/demo-thing: demothin/1");
      const folders = ["packages/demo-thing", "examples/demo-thing"];
      for (const folder of folders) await install(folder);
      expect(await runTool("tsc", "-b")).toMatchObject({ code: 0, stdout: "" });
      const lint = await runTool("oxlint", "--type-aware", "--deny-warnings", ...folders);
      expect(lint).toMatchObject({ code: 0 });
      const edited = ["package.json", "tsconfig.json", "examples/tsconfig.json"];
      expect(await runTool("oxfmt", "--check", ...folders, ...edited)).toMatchObject({ code: 0 });
      const tested = await runTool("vitest", "run", "--reporter=json", ...folders);
      const { numPassedTests, numTotalTests, testResults } = JSON.parse(tested.stdout) as {
        numPassedTests: number;
        numTotalTests: number;
        testResults: { name: string }[];
      };
      expect(tested, tested.stdout).toMatchObject({ code: 0 });
      expect(numPassedTests).toBe(numTotalTests);
      expect(testResults.map(({ name }) => name.slice(root.length + 1)).sort()).toEqual([
        "examples/demo-thing/test/main.test.ts",
        "packages/demo-thing/test/contract.test.ts",
        "packages/demo-thing/test/handler.test.ts",
        "packages/demo-thing/test/protocol.test.ts",
        "packages/demo-thing/test/readme.test.ts",
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    "leaves no trace of the template, and is formatted whatever the name's length",
    async () => {
      const name = "a-protocol-with-quite-a-long-name-2";
      const made = await createNewProtocol({ root, name, wire: "long" });
      expect(made.changed).toEqual([
        "package.json",
        "tsconfig.json",
        "examples/tsconfig.json",
        "test/tsconfig.json",
      ]);
      for (const path of made.created) {
        expect(path).toMatch(new RegExp(`^(packages|examples)/${name}/`));
        expect(await readFile(join(root, path), "utf8")).not.toMatch(/template|tmpl/i);
      }
      const protocol = await readFile(join(root, `packages/${name}/src/protocol.ts`), "utf8");
      expect(protocol).toContain(`name: "long",`);
      expect(protocol).toContain("export const AProtocolWithQuiteALongName21 = defineProtocol({");
      const scripts = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
        scripts: Record<string, string>;
      };
      expect(scripts.scripts[`example:${name}`]).toBe(`tsx examples/${name}/main.ts`);
      const paths = [...made.created, ...made.changed];
      expect(await runTool("oxfmt", "--check", ...paths)).toMatchObject({ code: 0 });
    },
    TIMEOUT_MS,
  );

  test.each<[what: string, name: string, wire: string | undefined, message: string]>([
    ["no name", "", undefined, '"" is no name for a package'],
    ["capital letters", "Demo", undefined, '"Demo" is no name for a package: expected lowercase'],
    ["a path", "../demo", undefined, '"../demo" is no name for a package'],
    ["a digit in front", "2fa", undefined, '"2fa" is no name for a package'],
    ["a hyphen at the end", "demo-", undefined, '"demo-" is no name for a package'],
    ["a long name", "a".repeat(41), undefined, "has 41 characters, at most 40 are allowed"],
    ["a package that is there", "rlpx", undefined, "is taken: there is a folder packages/rlpx"],
    ["a wire name that is none", "x", "Foo!", '"Foo!" is no name on the wire'],
    ["a wire name that is too long", "x", "abcdefghi", "expected 1 to 8 lowercase letters"],
  ])("refuses %s, and changes nothing", async (_what, name, wire, message) => {
    const before = await snapshot();
    const refused = createNewProtocol({ root, name, wire });
    await expect(refused).rejects.toThrow(ScaffoldError);
    await expect(refused).rejects.toThrow(message);
    expect(await snapshot()).toEqual(before);
  });

  test.each<[args: string[], message: string]>([
    [[], "new:protocol: usage: new:protocol NAME"],
    [["one", "two"], "new:protocol: usage: new:protocol NAME"],
    [["one", "--fast"], "new:protocol: Unknown option '--fast'"],
    [["Demo", "--wire", "x"], 'new:protocol: "Demo" is no name for a package'],
  ])(
    "called with %j it says what is wrong in one message, and exits with 1",
    async (args, message) => {
      const { code, stdout, stderr } = await newProtocol(...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr.startsWith(message)).toBe(true);
    },
    TIMEOUT_MS,
  );

  test("refuses a name that is taken, by an example or on the wire, and changes nothing", async () => {
    await mkdir(join(root, "examples/taken"));
    const first = await createNewProtocol({ root, name: "wired", wire: "wired" });
    expect(first.names).toEqual({ name: "wired", pascal: "Wired", wire: "wired" });
    const before = await snapshot();
    await expect(createNewProtocol({ root, name: "taken" })).rejects.toThrow(
      "the name taken is taken: there is a folder examples/taken",
    );
    await expect(createNewProtocol({ root, name: "wired" })).rejects.toThrow("packages/wired");
    await expect(createNewProtocol({ root, name: "other", wire: "wired" })).rejects.toThrow(
      "wired on the wire is taken: packages/wired/src/protocol.ts speaks it; choose another",
    );
    expect(await snapshot()).toEqual(before);
  });

  test("takes back what it made when it cannot finish, and nothing else", async () => {
    const bin = join(root, "packages", "unfinished-bin");
    await mkdir(bin);
    const before = await snapshot();
    await rm(join(root, "node_modules"));
    try {
      await expect(createNewProtocol({ root, name: "unfinished" })).rejects.toThrow("oxfmt");
    } finally {
      await symlink(join(HOUSE, "node_modules"), join(root, "node_modules"));
    }
    expect(await snapshot()).toEqual(before);
  });
});

test("names follow from one", () => {
  expect(readNames("demo-thing")).toEqual({
    name: "demo-thing",
    pascal: "DemoThing",
    wire: "demothin",
  });
  expect(readNames("a1-2b").pascal).toBe("A12b");
  expect(readNames("x", "y").wire).toBe("y");
});

test("a reference goes behind the other packages, and comments stay", () => {
  const before = `{
  // why
  "references": [{ "path": "../packages/a" }, { "path": "../packages/b" }, { "path": "." }]
}`;
  expect(addReference(before, "../packages/c")).toBe(`{
  // why
  "references": [{ "path": "../packages/a" }, { "path": "../packages/b" },
    { "path": "../packages/c" }, { "path": "." }]
}`);
  expect(() => addReference("{}", "packages/c")).toThrow("refers to no package");
});

test("a script goes behind those of its group", () => {
  const before = JSON.stringify({ name: "x", scripts: { "example:a": "1", test: "2" }, last: 1 });
  expect(JSON.parse(addScript(before, "example:b", "3"))).toEqual({
    name: "x",
    scripts: { "example:a": "1", "example:b": "3", test: "2" },
    last: 1,
  });
  expect(Object.keys(JSON.parse(addScript(before, "example:b", "3")).scripts)).toEqual([
    "example:a",
    "example:b",
    "test",
  ]);
  expect(() => addScript(before, "example:a", "3")).toThrow("a script example:a already");
});
