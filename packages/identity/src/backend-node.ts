import type { CurveBackend } from "./backend.ts";

/** The fastest backend that is installed. */
export const fastBackend: CurveBackend | undefined = undefined;
