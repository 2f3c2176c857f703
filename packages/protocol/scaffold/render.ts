import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

import type { Names } from "./names.ts";

/** At the end of a template's file name, so that no tool takes it for what it will be. */
const SUFFIX = ".template";

/** A file that is to be made. */
export interface NewFile {
  /** From the workspace's root, with `/`. */
  readonly path: string;
  readonly content: string;
}

/** Fills in the templates: a package, and a program that uses it. */
export async function renderFiles(templates: string, names: Names): Promise<NewFile[]> {
  const folders = { package: `packages/${names.name}`, example: `examples/${names.name}` };
  const files: NewFile[] = [];
  for (const [folder, target] of Object.entries(folders)) {
    const from = join(templates, folder);
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith(SUFFIX)) continue;
      const file = join(entry.parentPath, entry.name);
      const path = relative(from, file).split(sep).join("/").slice(0, -SUFFIX.length);
      const content = fillIn(await readFile(file, "utf8"), names);
      files.push({ path: `${target}/${path}`, content });
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function fillIn(template: string, { name, pascal, wire }: Names): string {
  return template
    .replaceAll("template-name", name)
    .replaceAll("TemplateName", pascal)
    .replaceAll("tmplname", wire);
}
