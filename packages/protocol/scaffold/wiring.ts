import { ScaffoldError } from "./scaffold-error.ts";

/** An entry for a package in a `references` list of a tsconfig. */
const REFERENCE = /\{\s*"path":\s*"(?:\.\.\/)?packages\/[^"]+"\s*\}/g;

/**
 * Adds a package behind the others that a tsconfig refers to; comments and everything else stay.
 *
 * @throws ScaffoldError when it refers to none
 */
export function addReference(tsconfig: string, path: string): string {
  const last = [...tsconfig.matchAll(REFERENCE)].at(-1);
  if (last === undefined) {
    throw new ScaffoldError(`a tsconfig refers to no package, so ${path} has no place in it`);
  }
  const end = last.index + last[0].length;
  return `${tsconfig.slice(0, end)},\n    { "path": "${path}" }${tsconfig.slice(end)}`;
}

/** Adds a script behind the last whose name begins like it, up to the colon, or at the end. */
export function addScript(packageJson: string, name: string, command: string): string {
  const manifest = JSON.parse(packageJson) as { scripts?: Record<string, string> };
  const scripts = Object.entries(manifest.scripts ?? {});
  if (scripts.some(([other]) => other === name)) {
    throw new ScaffoldError(`package.json has a script ${name} already`);
  }
  const group = name.slice(0, name.indexOf(":") + 1);
  const index = scripts.findLastIndex(([other]) => other.startsWith(group));
  scripts.splice(index < 0 ? scripts.length : index + 1, 0, [name, command]);
  return `${JSON.stringify({ ...manifest, scripts: Object.fromEntries(scripts) }, undefined, 2)}\n`;
}
