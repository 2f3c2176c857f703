import type { Case } from "../case.ts";
import { baseCases } from "./base.ts";
import { dialerCases } from "./dialer.ts";
import { frameCases } from "./frames.ts";
import { handshakePaceCases } from "./handshake-pace.ts";
import { handshakeCases } from "./handshake.ts";
import { helloCases } from "./hello.ts";
import { muxCases } from "./mux.ts";
import { negotiationCases } from "./negotiation.ts";
import { snappyCases } from "./snappy.ts";
import { teardownCases } from "./teardown.ts";

/** Every case of the suite, in the order in which they run. */
export const CASES: readonly Case[] = [
  ...handshakeCases,
  ...handshakePaceCases,
  ...helloCases,
  ...frameCases,
  ...snappyCases,
  ...negotiationCases,
  ...muxCases,
  ...baseCases,
  ...teardownCases,
  ...dialerCases,
];
