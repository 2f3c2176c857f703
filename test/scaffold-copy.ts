import { execFile } from "node:child_process";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The workspace that is copied. */
const HOUSE = fileURLToPath(new URL("..", import.meta.url));

/** What a protocol's package needs of it, and so what the copy has. */
const PACKAGES = ["identity", "rlpx", "p2p", "protocol", "testing"];

/** How a program ended, and what it said. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A workspace of its own in a temporary folder, in which protocols can be made. */
export class WorkspaceCopy {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** Copies the workspace without what generated code has nothing to do with. */
  static async create(): Promise<WorkspaceCopy> {
    const copy = new WorkspaceCopy(await mkdtemp(join(tmpdir(), "heddle-scaffold-")));
    for (const folder of PACKAGES) await copy.#copyPackage(folder);
    const files = [".oxlintrc.json", ".oxfmtrc.json", "package.json", "vitest.config.ts"];
    for (const file of files) await cp(join(HOUSE, file), join(copy.root, file));
    for (const file of ["tsconfig.json", "examples/tsconfig.json", "test/tsconfig.json"]) {
      await mkdir(join(copy.root, file, ".."), { recursive: true });
      const config = withoutMissing(await readFile(join(HOUSE, file), "utf8"));
      await writeFile(join(copy.root, file), config);
    }
    await copy.#linkModules();
    return copy;
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true });
  }

  /** Does something while no tool is installed. */
  async withoutTools<T>(task: () => Promise<T>): Promise<T> {
    const modules = join(this.root, "node_modules");
    await rename(modules, `${modules}.away`);
    try {
      return await task();
    } finally {
      await rename(`${modules}.away`, modules);
    }
  }

  /** Links what a package depends on, as an installation does. */
  async install(folder: string): Promise<void> {
    const manifest = JSON.parse(await this.read(`${folder}/package.json`)) as Partial<
      Record<"dependencies" | "devDependencies", Record<string, string>>
    >;
    const scope = join(this.root, folder, "node_modules", "@heddle");
    await mkdir(scope, { recursive: true });
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
      const short = name.replace("@heddle/", "");
      await symlink(join(this.root, "packages", short), join(scope, short));
    }
  }

  read(path: string): Promise<string> {
    return readFile(join(this.root, path), "utf8");
  }

  /** What programs find in the environment: the tools, and nothing of this test's runner. */
  get env(): NodeJS.ProcessEnv {
    const env = Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|CI)/.test(name));
    const path = [join(this.root, "node_modules", ".bin"), process.env["PATH"]].join(delimiter);
    return { ...Object.fromEntries(env), PATH: path, NO_COLOR: "1" };
  }

  /** Runs a shell's command line in the copy. */
  async run(command: string): Promise<Ran> {
    const options = { cwd: this.root, env: this.env, maxBuffer: 1 << 24 };
    try {
      return { code: 0, ...(await promisify(execFile)("sh", ["-c", command], options)) };
    } catch (error) {
      const { code, stdout, stderr } = error as Ran;
      return { code, stdout, stderr };
    }
  }

  /** Every file that is not installed or built, with its content. */
  async snapshot(): Promise<ReadonlyMap<string, string>> {
    const files = new Map<string, string>();
    for (const entry of await readdir(this.root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (/node_modules|\/dist\b|tsbuildinfo/.test(path) || entry.isSymbolicLink()) continue;
      files.set(path, entry.isFile() ? await readFile(path, "utf8") : "folder");
    }
    return files;
  }

  /** Links what is installed, but for the house's packages and its caches: nothing here may get into those. */
  async #linkModules(): Promise<void> {
    const [from, to] = [join(HOUSE, "node_modules"), join(this.root, "node_modules")];
    await mkdir(to);
    for (const entry of await readdir(from)) {
      if (/^\.(?!bin$|pnpm$)|^@heddle$/.test(entry)) continue;
      await symlink(join(from, entry), join(to, entry));
    }
  }

  async #copyPackage(folder: string): Promise<void> {
    const from = join(HOUSE, "packages", folder);
    const present = await readdir(from);
    for (const part of ["package.json", "tsconfig.json", "src", "node_modules", "scaffold"]) {
      if (!present.includes(part)) continue;
      // Links stay as they are, so that packages find one another inside the copy.
      const options = { recursive: true, verbatimSymlinks: true };
      await cp(join(from, part), join(this.root, "packages", folder, part), options);
    }
  }
}

/** The references of a tsconfig, but for those to what the copy does not have. */
function withoutMissing(tsconfig: string): string {
  const config = JSON.parse(tsconfig) as { references: { path: string }[] };
  const kept = [...PACKAGES.map((name) => `packages/${name}`), "examples", "test"];
  const references = config.references.filter(({ path }) => kept.includes(path.replace("../", "")));
  return JSON.stringify({ ...config, references });
}
