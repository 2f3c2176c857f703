// A peer of @ethereumjs/devp2p with MyProtocol/1 and echo/1, driven by JSON lines as the go-ethereum one is.
//
//   node --import tsx ethereumjs-peer.ts serve
//   node --import tsx ethereumjs-peer.ts dial ENODE
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { DISCONNECT_REASON, RLPx, type Capabilities, type Peer } from "@ethereumjs/devp2p";
import { checksum, filled, rlpString, type Fill } from "./payload.ts";
import { parseRecord, type JsonRecord } from "./record.ts";
import { decodeWords, encodeWords } from "./words.ts";

interface Snappy {
  compress(data: Uint8Array): Uint8Array;
}

const FILLS: readonly Fill[] = ["zero", "text", "random"];

type Send = (code: number, data: Uint8Array) => unknown;

// The library leaves the compression of what a protocol sends to the protocol; take the one it decompresses with.
const snappy = createRequire(import.meta.resolve("@ethereumjs/devp2p"))("snappyjs") as Snappy;

function emit(event: string, fields: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

/**
 * What both protocols share. The library's own base class is not exported; it would bring nothing but a time-out
 * for the status message of eth.
 */
abstract class TestProtocol {
  readonly #send: Send;

  constructor(_version: number, _peer: Peer, send: Send) {
    this.#send = send;
  }

  sendPayload(code: number, payload: Uint8Array): void {
    this.#send(code, snappy.compress(payload));
  }
}

class MyProtocol extends TestProtocol {
  // oxlint-disable-next-line no-underscore-dangle -- the name by which the library calls a protocol
  _handleMessage(code: number, payload: Uint8Array): void {
    const words = decodeWords(payload);
    emit("msg", { protocol: "MyProtocol", code, words });
    if (words.length === 1 && words[0] === "foo") this.sendPayload(0, encodeWords(["bar"]));
  }
}

class Echo extends TestProtocol {
  // oxlint-disable-next-line no-underscore-dangle -- the name by which the library calls a protocol
  _handleMessage(code: number, payload: Uint8Array): void {
    if (code === 0) this.sendPayload(1, payload);
    if (code === 1) emit("echoed", { size: payload.length, sum: checksum(payload) });
  }
}

function execute(command: JsonRecord | undefined, node: RLPx): void {
  const [peer] = node.getPeers();
  const protocols: unknown[] = peer?.getProtocols() ?? [];
  const name = command?.["do"];
  if (name === "send") {
    const words = Array.isArray(command?.["words"]) ? command["words"].map(String) : [];
    protocols
      .find((protocol) => protocol instanceof MyProtocol)
      ?.sendPayload(0, encodeWords(words));
  } else if (name === "echo") {
    const fill = FILLS.find((known) => known === command?.["fill"]) ?? "zero";
    protocols
      .find((protocol) => protocol instanceof Echo)
      ?.sendPayload(0, rlpString(filled(fill, Number(command?.["size"]))));
  } else if (name === "disconnect") {
    const reason = Object.values(DISCONNECT_REASON).find((known) => known === command?.["reason"]);
    peer?.disconnect(reason);
  } else {
    emit("error", { err: `no such command: ${String(name)}` });
  }
}

function report(node: RLPx): void {
  node.events.on("peer:added", (peer) => {
    const hello = peer.getHelloMessage();
    emit("peer", {
      id: Buffer.from(peer.getId() ?? []).toString("hex"),
      name: hello?.clientId,
      caps: hello?.capabilities.map(({ name, version }) => `${name}/${version}`),
    });
  });
  node.events.on("peer:removed", (_peer, reason, byUs) => emit("drop", { reason, byUs }));
  node.events.on("peer:error", (_peer, error) => emit("error", { err: String(error) }));
  node.events.on("error", (error) => emit("error", { err: String(error) }));
}

/** The library cannot tell which port it got, so one is taken from the system and given back for it. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port to be had");
  return address.port;
}

async function dial(node: RLPx, enode: string): Promise<void> {
  const { username, hostname, port } = new URL(enode);
  await node.connect({
    id: Buffer.from(username, "hex"),
    address: hostname,
    tcpPort: Number(port),
  });
}

async function main([subcommand, target]: readonly string[]): Promise<void> {
  const node = new RLPx(randomBytes(32), {
    capabilities: [capability("MyProtocol", 1, MyProtocol), capability("echo", 4, Echo)],
    clientId: new TextEncoder().encode("ethereumjs-peer"),
    // Only asked for replacements of its cryptography, and only if there is one.
    common: undefined as never,
  });
  report(node);
  const port = await freePort();
  node.events.once("listening", () => {
    const id = Buffer.from(node.id).toString("hex");
    emit("listening", { id, enode: `enode://${id}@127.0.0.1:${port}?discport=0` });
  });
  node.listen(port, "127.0.0.1");
  if (subcommand === "dial" && target !== undefined) await dial(node, target);
  for await (const line of createInterface({ input: process.stdin })) {
    execute(parseRecord(line), node);
  }
  emit("done");
  process.exit(0);
}

function capability(name: string, length: number, constructor: unknown): Capabilities {
  return { name, version: 1, length, constructor: constructor as never };
}

await main(process.argv.slice(2));
