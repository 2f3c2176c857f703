import type { Command } from "./drive.ts";
import type { Fill } from "./payload.ts";

/** One row's work: how the driver is asked for it, and how its figure reads. */
export interface Work {
  readonly name: string;
  /** The names of all rows that come of it. */
  readonly names: readonly string[];
  readonly unit: string;
  /** The rate of `done.count` per second counts; the others are worked out by the runner. */
  readonly kind: "rate" | "handshake" | "idle";
  /** Bytes per message, where bytes are what matters. */
  readonly size?: number;
  /** Protocols on the connection the work needs; 1 if not given. */
  readonly channels?: number;
  /** Both processes are held to one core. */
  readonly isOneCore?: boolean;
  readonly command: (ms: number) => Command;
}

/** Worked out from `handshake-seq`: CPU of both ends for one handshake. */
export const HANDSHAKE_CPU = { name: "handshake-cpu-ms", unit: "ms" } as const;

/** The work of sending messages of one size on one or more protocols at once. */
export function oneWay(
  name: string,
  size: number,
  { fill = "random", channels = 1 }: { fill?: Fill; channels?: number } = {},
): Work {
  return {
    name,
    names: [name],
    unit: "msg/s",
    kind: "rate",
    size,
    channels,
    command: (ms) => ({ do: "oneway", size, fill, channels, ms }),
  };
}

function handshake(name: string, inFlight: number, names: readonly string[] = [name]): Work {
  return {
    name,
    names,
    unit: "handshake/s",
    kind: "handshake",
    command: (ms) => ({ do: "handshake", inFlight, ms }),
  };
}

/** Everything that is measured, in the order of the table. */
export const works: readonly Work[] = [
  handshake("handshake-seq", 1, ["handshake-seq", HANDSHAKE_CPU.name]),
  handshake("handshake-8", 8),
  {
    name: "foobar-rtt",
    names: ["foobar-rtt"],
    unit: "rtt/s",
    kind: "rate",
    command: (ms) => ({ do: "rtt", ms }),
  },
  {
    name: "foobar-rtt-one-core",
    names: ["foobar-rtt-one-core"],
    unit: "rtt/s",
    kind: "rate",
    isOneCore: true,
    command: (ms) => ({ do: "rtt", ms }),
  },
  oneWay("oneway-16B", 16),
  oneWay("oneway-1KiB", 1024),
  oneWay("oneway-16KiB", 16 * 1024),
  oneWay("oneway-128KiB", 128 * 1024),
  oneWay("oneway-1MiB", 1024 * 1024),
  oneWay("oneway-16KiB-json", 16 * 1024, { fill: "json" }),
  oneWay("eight-protocols", 1024, { channels: 8 }),
  {
    name: "idle-peer-KiB",
    names: ["idle-peer-KiB"],
    unit: "KiB",
    kind: "idle",
    command: () => ({ do: "hold", inFlight: 8 }),
  },
];
