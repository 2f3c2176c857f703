/** Checks an option that is a whole number from `least` to `most`; throws RangeError. */
export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(
      `${name}: expected an integer from ${least} to ${most}, got ${show(value)}`,
    );
  }
  return value;
}

/** Checks an option that is true or false; throws TypeError. */
export function boolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new TypeError(`${name}: expected true or false, got ${show(value)}`);
}

/** Checks an option that is a function; throws TypeError. */
export function callable<T>(name: string, value: T): T {
  if (typeof value === "function") return value;
  throw new TypeError(`${name}: expected a function, got ${show(value)}`);
}

/** Checks an option that is used through its methods; throws TypeError. */
export function withMethods<T>(name: string, value: T, methods: readonly (keyof T & string)[]): T {
  const isObject = typeof value === "object" && value !== null;
  if (isObject && methods.every((method) => typeof value[method] === "function")) return value;
  throw new TypeError(`${name}: expected an object with ${methods.join(", ")}, got ${show(value)}`);
}

/** Checks an option that is a list, and each of its entries with `check`; returns a frozen copy, throws TypeError. */
export function listOf<T, Checked>(
  name: string,
  value: readonly T[] | undefined,
  check: (entry: T, entryName: string) => Checked,
): readonly Checked[] {
  if (value === undefined) return Object.freeze([]);
  if (!Array.isArray(value)) throw new TypeError(`${name}: expected a list, got ${show(value)}`);
  return Object.freeze(value.map((entry: T, i) => check(entry, `${name}[${i}]`)));
}

/** A value as an error message shows it: text quoted, and of objects no more than that they are one. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return Array.isArray(value) ? `a list of ${value.length}` : "an object";
}
