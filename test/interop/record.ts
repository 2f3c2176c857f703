/** A JSON object whose fields have yet to be looked at. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Reads one line as a JSON object; gives `undefined` for anything else. */
export function parseRecord(line: string): JsonRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return isRecord(value) ? value : undefined;
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
