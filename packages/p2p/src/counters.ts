/** How many messages and payload bytes (uncompressed) went one way. */
export interface Count {
  messages: number;
  bytes: number;
}

/** Counts of one protocol, by message code, both ways; plain objects, read them at any time. */
export interface ProtocolCounters {
  readonly in: Record<number, Count>;
  readonly out: Record<number, Count>;
  /** Messages dropped because the protocol could not run with this peer. */
  discarded: number;
}

/** Everything a server counts; plain objects, read them at any time. */
export interface ServerCounters {
  readonly dials: {
    succeeded: number;
    /** By phase. */
    readonly failed: Record<string, number>;
  };
  readonly serves: {
    succeeded: number;
    /** By phase; those turned away before a handshake stand under `refused`. */
    readonly failed: Record<string, number>;
    refused: number;
  };
  /** Ended peers by side and reason number. */
  readonly disconnects: {
    readonly local: Record<number, number>;
    readonly remote: Record<number, number>;
  };
  /** By `name/version`. */
  readonly protocols: Record<string, ProtocolCounters>;
  /** `run`s that ignored their signal, by `name/version`. */
  readonly detached: Record<string, number>;
}

export function createCounters(): ServerCounters {
  return {
    dials: { succeeded: 0, failed: {} },
    serves: { succeeded: 0, failed: {}, refused: 0 },
    disconnects: { local: {}, remote: {} },
    protocols: {},
    detached: {},
  };
}

export function createProtocolCounters(): ProtocolCounters {
  return { in: {}, out: {}, discarded: 0 };
}

/** Counts one message. */
export function count(counts: Record<number, Count>, code: number, bytes: number): void {
  const entry = (counts[code] ??= { messages: 0, bytes: 0 });
  entry.messages += 1;
  entry.bytes += bytes;
}

/** Adds one to the named counter. */
export function increment(counts: Record<string | number, number>, key: string | number): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
