import { toHex } from "@heddle/identity";

import { formatCapability } from "./capability.ts";
import type { ServerConfig } from "./config.ts";
import type { ServerCounters } from "./counters.ts";
import type { MetricFamily } from "./openmetrics.ts";
import { describeReason } from "./disconnect.ts";
import { formatAddress } from "./peer.ts";
import type { LivePeer } from "./peer.ts";
import type { PeerInfo } from "./protocol.ts";
import type { StreamAddress } from "./stream.ts";

/** Readable facts about a node, as `admin_nodeInfo` and `admin_peers` show them. */
export interface ServerInfo {
  readonly enode: string;
  /** 128 hex digits. */
  readonly id: string;
  readonly clientId: string;
  /** `host:port`, or empty when it does not listen. */
  readonly listen: string;
  readonly isRunning: boolean;
  readonly maxPeers: number;
  /** By `name/version`: what the protocol's `nodeInfo` returned, or its length alone. */
  readonly protocols: Readonly<Record<string, unknown>>;
  readonly peers: readonly PeerInfo[];
}

/** What {@link createInfo} reads of a server. */
interface Subject {
  readonly enode: string;
  readonly id: Uint8Array;
  readonly config: ServerConfig;
  readonly address: StreamAddress | undefined;
  readonly isRunning: boolean;
}

export function createInfo(server: Subject, peers: readonly LivePeer[]): ServerInfo {
  const { config } = server;
  return {
    enode: server.enode,
    id: toHex(server.id),
    clientId: config.clientId,
    listen: formatAddress(server.address),
    isRunning: server.isRunning,
    maxPeers: config.maxPeers,
    protocols: Object.fromEntries(
      config.protocols.map((protocol) => [
        `${protocol.name}/${protocol.version}`,
        protocol.nodeInfo?.() ?? { length: protocol.length },
      ]),
    ),
    peers: peers.map((peer) => peer.info()),
  };
}

/** What {@link collectMetrics} reads of a server. */
export interface MetricsSubject {
  readonly counters: ServerCounters;
  readonly config: ServerConfig;
  readonly peers: readonly { readonly inbound: boolean }[];
}

/** A server's counters as metric families, for `renderOpenMetrics`. */
export function collectMetrics({ counters, config, peers }: MetricsSubject): MetricFamily[] {
  const inbound = peers.filter((peer) => peer.inbound).length;
  return [
    {
      name: "heddle_peers",
      help: "Connected peers by direction.",
      type: "gauge",
      samples: [
        { labels: { direction: "inbound" }, value: inbound },
        { labels: { direction: "dialed" }, value: peers.length - inbound },
      ],
    },
    outcomes("heddle_dials", "Finished dials by outcome.", counters.dials),
    outcomes("heddle_serves", "Finished inbound handshakes by outcome.", {
      succeeded: counters.serves.succeeded,
      failed: { ...counters.serves.failed, refused: counters.serves.refused },
    }),
    {
      name: "heddle_disconnects",
      help: "Ended peers by side and reason.",
      type: "counter",
      samples: (["local", "remote"] as const).flatMap((side) =>
        Object.entries(counters.disconnects[side]).map(([reason, value]) => ({
          labels: { side, reason: describeReason(Number(reason)) },
          value,
        })),
      ),
    },
    messages("heddle_messages", "Subprotocol messages.", { counters, config }, "messages"),
    messages("heddle_message_bytes", "Subprotocol payload bytes.", { counters, config }, "bytes"),
    {
      name: "heddle_detached_runs",
      help: "Protocol runs that ignored their signal.",
      type: "counter",
      samples: Object.entries(counters.detached).map(([protocol, value]) => ({
        labels: { protocol },
        value,
      })),
    },
  ];
}

function outcomes(
  name: string,
  help: string,
  counts: { readonly succeeded: number; readonly failed: Readonly<Record<string, number>> },
): MetricFamily {
  return {
    name,
    help,
    type: "counter",
    samples: [
      { labels: { outcome: "succeeded", phase: "session" }, value: counts.succeeded },
      ...Object.entries(counts.failed).map(([phase, value]) => ({
        labels: { outcome: "failed", phase },
        value,
      })),
    ],
  };
}

function messages(
  name: string,
  help: string,
  { counters, config }: Pick<MetricsSubject, "counters" | "config">,
  unit: "messages" | "bytes",
): MetricFamily {
  const samples = Object.entries(counters.protocols).flatMap(([protocol, counts]) => {
    const names = config.protocols.find(
      (known) => formatCapability(known) === protocol,
    )?.messageNames;
    return (["in", "out"] as const).flatMap((direction) =>
      Object.entries(counts[direction]).map(([code, entry]) => ({
        labels: { protocol, direction, code, message: names?.[Number(code)] ?? "" },
        value: entry[unit],
      })),
    );
  });
  return { name, help, type: "counter", samples };
}
