/**
 * A node as a process of its own, told what to do over IPC: for tests and measurements that need real
 * processes, to kill them or to look at their memory.
 */
import { Enr, generateSecretKey, toHex } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { MessageReadWriter, Peer, Protocol } from "@heddle/p2p";

import { createFileShare, parseHash } from "@heddle/file-share";

const RAW_MESSAGE_BYTES = 128 * 1024;

/** What a process is asked to do. */
export type Command =
  | { readonly do: "share"; readonly path: string }
  | { readonly do: "dial"; readonly record: string }
  | { readonly do: "search"; readonly query: string; readonly deadlineMs: number }
  | {
      readonly do: "fetch";
      readonly hash: string;
      readonly to: string;
      readonly from: readonly string[];
    }
  | { readonly do: "raw"; readonly bytes: number; readonly releases: boolean }
  | { readonly do: "ping" }
  | { readonly do: "facts" };

const key = generateSecretKey();
const rawStreams = new Map<Peer, MessageReadWriter>();
const echoes = new Map<Peer, MessageReadWriter>();
let rawAsked: { left: number; releases: boolean; done: () => void } | undefined;

/** A stream without anything but its bytes: what a transfer is compared with. */
const raw: Protocol = {
  name: "raw",
  version: 1,
  length: 2,
  async run(peer, rw) {
    rawStreams.set(peer, rw);
    const block = crypto.getRandomValues(new Uint8Array(65_536));
    const payload = Buffer.concat([block, block]);
    for await (const message of rw) {
      if (message.code === 0) {
        for (let left = Buffer.from(message.payload).readDoubleBE(); left > 0;) {
          const length = Math.min(left, RAW_MESSAGE_BYTES);
          await rw.sendEncoded(1, new Uint8Array(payload.subarray(0, length)));
          left -= length;
        }
      } else if (rawAsked !== undefined) {
        rawAsked.left -= message.payload.length;
        if (rawAsked.releases) message.release();
        if (rawAsked.left <= 0) rawAsked.done();
      }
    }
  },
};

/** Another protocol on the same connection, that wants its answers soon. */
const echo: Protocol = {
  name: "echo",
  version: 1,
  length: 2,
  async run(peer, rw) {
    echoes.set(peer, rw);
    for await (const { code, payload } of rw) {
      if (code === 0) await rw.sendEncoded(1, payload);
      else echoed();
    }
  },
};

let echoed = (): void => undefined;
let share: ReturnType<typeof createFileShare>;

function record(): Enr {
  return Enr.create(key, { ip: "127.0.0.1", tcp: server.address?.port ?? 0 });
}

share = createFileShare({
  key,
  record,
  dial: (holder, options) => server.dial(holder, options),
  // So slow that it can be killed before it is done.
  limits: { downloadRate: Number(process.env["FILES_DOWNLOAD_RATE"] ?? Infinity) },
  events: { liar: ({ id, fault }) => process.send?.({ liar: id, code: fault.code }) },
});
const server = new Server({
  key,
  clientId: "files-process/1",
  listen: "127.0.0.1:0",
  maxPeers: 50,
  dialRatio: 1,
  protocols: [...share.protocols, raw, echo],
});

async function obey(command: Command): Promise<unknown> {
  switch (command.do) {
    case "share":
      await share.share(command.path);
      return share.shared.map((file) => ({ ...file, hash: toHex(file.hash) }));
    case "dial":
      return toHex((await server.dial(Enr.parse(command.record))).id);
    case "search":
      return search(command.query, command.deadlineMs);
    case "fetch":
      return fetchFile(command);
    case "raw":
      return receiveRaw(command.bytes, command.releases);
    case "ping":
      return pingOnce();
    case "facts":
      return {
        rss: process.memoryUsage.rss(),
        cpu: process.cpuUsage(),
        sentBytes: share.sentBytes,
        counters: share.searchCounters,
        peers: server.peers.map((peer) => [toHex(peer.id), peer.info().protocols["files/1"]]),
      };
  }
  throw new Error("no such command");
}

async function search(query: string, deadlineMs: number): Promise<unknown[]> {
  const results: unknown[] = [];
  for await (const { holder, hash, ...rest } of share.search(query, { deadlineMs })) {
    results.push({ ...rest, hash: toHex(hash), holder: toHex(holder.id) });
  }
  return results;
}

async function fetchFile(command: Extract<Command, { do: "fetch" }>): Promise<unknown> {
  const from = command.from.map((text) => Enr.parse(text));
  const rss: number[] = [];
  let lastTold = 0;
  const startedAt = performance.now();
  const { sources, ...result } = await share.fetch(parseHash(command.hash), {
    to: command.to,
    ...(from.length > 0 && { from }),
    onProgress(progress) {
      const done = Math.floor((100 * progress.doneBytes) / progress.size);
      if (done === lastTold) return;
      lastTold = done;
      rss.push(process.memoryUsage.rss());
      process.send?.({ progress });
    },
  });
  const ms = performance.now() - startedAt;
  return {
    ...result,
    ms,
    rss,
    sources: sources.map(({ fault, ...source }) => ({ ...source, fault: fault?.code })),
  };
}

async function receiveRaw(bytes: number, releases: boolean): Promise<number> {
  const [rw] = rawStreams.values();
  const asked = Buffer.alloc(8);
  asked.writeDoubleBE(bytes);
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    rawAsked = { left: bytes, releases, done: resolve };
    rw?.sendEncoded(0, new Uint8Array(asked)).catch(reject);
  });
  return performance.now() - startedAt;
}

async function pingOnce(): Promise<number> {
  const [rw] = echoes.values();
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    echoed = resolve;
    rw?.sendEncoded(0, Uint8Array.of(0x80)).catch(reject);
  });
  return performance.now() - startedAt;
}

process.on("message", ({ id, command }: { id: number; command: Command }) => {
  obey(command).then(
    (value) => process.send?.({ id, value }),
    (error: unknown) => process.send?.({ id, error: String(error) }),
  );
});
process.once("disconnect", () => process.exit());

await server.start();
process.send?.({ ready: { record: record().toString(), id: toHex(server.id) } });
