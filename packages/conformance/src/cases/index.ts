import type { Case } from "../case.ts";
import { handshakeCases } from "./handshake.ts";

/** Every case of the suite, in the order in which they run. */
export const CASES: readonly Case[] = [...handshakeCases];
