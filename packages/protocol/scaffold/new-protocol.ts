import { execFile } from "node:child_process";
import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { Changes } from "./changes.ts";
import { readNames } from "./names.ts";
import type { Names } from "./names.ts";
import { renderFiles } from "./render.ts";
import type { NewFile } from "./render.ts";
import { ScaffoldError } from "./scaffold-error.ts";
import { addReference, addScript } from "./wiring.ts";

/** What a new protocol is to be. */
export interface NewProtocolOptions {
  /** The folder of the workspace's `package.json`. */
  readonly root: string;
  readonly name: string;
  /** The name on the wire, where it is not to be the beginning of the other. */
  readonly wire?: string | undefined;
}

/** What was made. */
export interface NewProtocol {
  readonly names: Names;
  /** Made and changed files, from the root. */
  readonly created: readonly string[];
  readonly changed: readonly string[];
}

/**
 * Makes a protocol's package and an example of it, and wires both into the workspace.
 *
 * @throws ScaffoldError for a name that is none or is taken; whatever the file system says otherwise. In
 * either case the workspace is as it was.
 */
export async function createNewProtocol(options: NewProtocolOptions): Promise<NewProtocol> {
  const { root, name } = options;
  const names = readNames(name, options.wire);
  await checkFree(root, names);
  const files = await renderFiles(join(import.meta.dirname, "template"), names);
  const edits = await wire(root, names);
  const changes = new Changes(root);
  const paths = [...files, ...edits].map(({ path }) => path);
  try {
    for (const { path, content } of files) await changes.create(path, content);
    for (const { path, content } of edits) await changes.replace(path, content);
    // Where lines break depends on how long the name is.
    await promisify(execFile)(join(root, "node_modules", ".bin", "oxfmt"), paths, { cwd: root });
  } catch (error) {
    await changes.undo();
    throw error;
  }
  return { names, created: paths.slice(0, files.length), changed: paths.slice(files.length) };
}

async function checkFree(root: string, { name, wire }: Names): Promise<void> {
  for (const folder of [`packages/${name}`, `examples/${name}`]) {
    if (await exists(join(root, folder))) {
      throw new ScaffoldError(`the name ${name} is taken: there is a folder ${folder}`);
    }
  }
  const other = await findWireName(root, wire);
  if (other === undefined) return;
  const problem = `the name ${wire} on the wire is taken: ${other} speaks it`;
  throw new ScaffoldError(`${problem}; choose another with --wire`);
}

/** The file in which a protocol of that name is declared, if any package has one. */
async function findWireName(root: string, wire: string): Promise<string | undefined> {
  for (const folder of await readdir(join(root, "packages"))) {
    const path = `packages/${folder}/src`;
    if (!(await exists(join(root, path)))) continue;
    for (const file of await readdir(join(root, path), { recursive: true })) {
      if (!file.endsWith(".ts")) continue;
      const source = await readFile(join(root, path, file), "utf8");
      if (new RegExp(`\\bname: "${wire}",`).test(source)) return `${path}/${file}`;
    }
  }
  return undefined;
}

async function wire(root: string, { name }: Names): Promise<NewFile[]> {
  const edit = async (path: string, change: (text: string) => string): Promise<NewFile> => ({
    path,
    content: change(await readFile(join(root, path), "utf8")),
  });
  const inside = `../packages/${name}`;
  return [
    await edit("package.json", (text) =>
      addScript(text, `example:${name}`, `tsx examples/${name}/main.ts`),
    ),
    await edit("tsconfig.json", (text) => addReference(text, `packages/${name}`)),
    await edit("examples/tsconfig.json", (text) => addReference(text, inside)),
    await edit("test/tsconfig.json", (text) => addReference(text, inside)),
  ];
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
