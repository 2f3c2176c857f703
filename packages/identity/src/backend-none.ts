import type { CurveBackend } from "./backend.ts";

/** Where no faster backend is known (browsers, workers at the edge), the portable one is used. */
export const fastBackend: CurveBackend | undefined = undefined;
