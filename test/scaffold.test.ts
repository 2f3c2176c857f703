import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { readNames } from "../packages/protocol/scaffold/names.ts";
import { createNewProtocol } from "../packages/protocol/scaffold/new-protocol.ts";
import { ScaffoldError } from "../packages/protocol/scaffold/scaffold-error.ts";
import { addReference, addScript } from "../packages/protocol/scaffold/wiring.ts";
import { WorkspaceCopy } from "./scaffold-copy.ts";
import type { Ran } from "./scaffold-copy.ts";

const TIMEOUT_MS = 180_000;

let copy: WorkspaceCopy;
let root = "";

beforeAll(async () => {
  copy = await WorkspaceCopy.create();
  ({ root } = copy);
});

afterAll(() => copy.remove());

const newProtocol = (...args: string[]): Promise<Ran> =>
  copy.run(`tsx packages/protocol/scaffold/main.ts ${args.join(" ")}`);

describe("new:protocol", () => {
  test(
    "makes a package and an example that pass every check and test as they are",
    async () => {
      const made = await newProtocol("demo-thing");
      expect(made).toMatchObject({ code: 0, stderr: "" });
      expect(made.stdout).toContain("made packages/demo-thing and examples/demo-thing: demothin/1");
      const folders = ["packages/demo-thing", "examples/demo-thing"];
      for (const folder of folders) await copy.install(folder);
      expect(await copy.run("tsc -b")).toMatchObject({ code: 0, stdout: "" });
      const lint = await copy.run(`oxlint --type-aware --deny-warnings ${folders.join(" ")}`);
      expect(lint).toMatchObject({ code: 0 });
      const edited = "package.json tsconfig.json examples/tsconfig.json test/tsconfig.json";
      const format = await copy.run(`oxfmt --check ${folders.join(" ")} ${edited}`);
      expect(format).toMatchObject({ code: 0 });
      const tested = await copy.run(`vitest run --reporter=json ${folders.join(" ")}`);
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
        expect(await copy.read(path)).not.toMatch(/template|tmpl/i);
      }
      const protocol = await copy.read(`packages/${name}/src/protocol.ts`);
      expect(protocol).toContain(`name: "long",`);
      expect(protocol).toContain("export const AProtocolWithQuiteALongName21 = defineProtocol({");
      const scripts = JSON.parse(await copy.read("package.json")) as {
        scripts: Record<string, string>;
      };
      expect(scripts.scripts[`example:${name}`]).toBe(`tsx examples/${name}/main.ts`);
      const paths = [...made.created, ...made.changed].join(" ");
      expect(await copy.run(`oxfmt --check ${paths}`)).toMatchObject({ code: 0 });
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
    const before = await copy.snapshot();
    const refused = createNewProtocol({ root, name, wire });
    await expect(refused).rejects.toThrow(ScaffoldError);
    await expect(refused).rejects.toThrow(message);
    expect(await copy.snapshot()).toEqual(before);
  });

  test.each<[args: string[], exitCode: number, message: string]>([
    [[], 2, "new:protocol: expected one NAME\nusage: new:protocol NAME"],
    [["one", "two"], 2, "new:protocol: expected one NAME\nusage: new:protocol NAME"],
    [["one", "--fast"], 2, "new:protocol: Unknown option '--fast'\nusage: new:protocol NAME"],
    [["Demo", "--wire", "x"], 1, 'new:protocol: "Demo" is no name for a package'],
  ])(
    "called with %j it exits with %i and says what is wrong in one message",
    async (args, exitCode, message) => {
      const { code, stdout, stderr } = await newProtocol(...args);
      expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
      expect(stderr.startsWith(message)).toBe(true);
    },
    TIMEOUT_MS,
  );

  test("asked for help it says how it is called, and exits with 0", async () => {
    const { code, stdout, stderr } = await newProtocol("--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^usage: new:protocol NAME/);
  });

  test("refuses a name that is taken, by an example or on the wire, and changes nothing", async () => {
    await mkdir(join(root, "examples/taken"));
    const first = await createNewProtocol({ root, name: "wired", wire: "wired" });
    expect(first.names).toEqual({ name: "wired", pascal: "Wired", wire: "wired" });
    const before = await copy.snapshot();
    await expect(createNewProtocol({ root, name: "taken" })).rejects.toThrow(
      "the name taken is taken: there is a folder examples/taken",
    );
    await expect(createNewProtocol({ root, name: "wired" })).rejects.toThrow("packages/wired");
    await expect(createNewProtocol({ root, name: "other", wire: "wired" })).rejects.toThrow(
      "wired on the wire is taken: packages/wired/src/protocol.ts speaks it; choose another",
    );
    expect(await copy.snapshot()).toEqual(before);
  });

  test("takes back what it made when it cannot finish, and nothing else", async () => {
    await mkdir(join(root, "packages", "unfinished-other"));
    const before = await copy.snapshot();
    await copy.withoutTools(async () => {
      await expect(createNewProtocol({ root, name: "unfinished" })).rejects.toThrow("oxfmt");
    });
    expect(await copy.snapshot()).toEqual(before);
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
