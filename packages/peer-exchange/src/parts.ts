import { nodeIdOf, toHex } from "@heddle/identity";
import type { Peer, Server } from "@heddle/p2p";

import { subnetOf } from "./address.ts";
import { AddressBook } from "./book.ts";
import { Salt } from "./buckets.ts";
import { Candidates } from "./candidates.ts";
import type { Connection } from "./candidates.ts";
import type { PexConfig } from "./config.ts";
import { createPexCounters } from "./counters.ts";
import type { PexCounters } from "./counters.ts";
import { decodeEntry, encodeEntry } from "./entry.ts";
import type { Entry } from "./entry.ts";
import { Listeners } from "./events.ts";
import { InboundPlaces } from "./inbound-places.ts";
import { Intake } from "./intake.ts";
import { Joiner } from "./join.ts";
import { ListenAddress } from "./listen-address.ts";
import { Roster } from "./member.ts";
import type { Member } from "./member.ts";
import { OwnRecord } from "./own-record.ts";
import { Questions } from "./questions.ts";
import { Saver } from "./saver.ts";
import { Spread } from "./spread.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** The server that a peer exchange is attached to, as far as it is used. */
export type PexServer = Pick<
  Server,
  "address" | "config" | "dial" | "id" | "isRunning" | "on" | "peers"
>;

/** Everything that makes up one peer exchange. */
export interface Parts {
  readonly config: PexConfig;
  /** 64 bytes. */
  readonly id: Uint8Array;
  readonly listeners: Listeners;
  readonly counters: PexCounters;
  readonly own: OwnRecord;
  readonly address: ListenAddress;
  readonly book: AddressBook;
  readonly roster: Roster;
  readonly intake: Intake;
  readonly spread: Spread;
  readonly questions: Questions;
  readonly places: InboundPlaces;
  readonly candidates: Candidates;
  readonly joiner: Joiner;
  readonly saver: Saver;
  server: PexServer | undefined;
}

/** Names in the store: the book's secret, our record's last number, and one for each entry. */
const SALT = "salt";
const SEQ = "seq";
const ENTRY = "node/";

const SALT_BYTES = 32;

/** Makes the parts and fills the book from the store. */
export function createParts(config: PexConfig): Parts {
  const { clock, limits, logger, random } = config;
  const id = nodeIdOf(config.key);
  const listeners = new Listeners((error) => logger.error("an event listener threw", { error }));
  const counters = createPexCounters();
  const saver = new Saver({ store: config.store, clock, logger, saveMs: limits.saveMs });
  const book = createBook(config, listeners, saver);
  const roster = new Roster();
  const shared = { clock, random, limits, roster, book };
  const intake = new Intake({
    ...config,
    id,
    book,
    listeners,
    refusals: counters.refused,
  });
  const candidates = new Candidates({
    ...shared,
    targetPeers: config.targetPeers,
    connections: () => (parts.server?.peers ?? []).map(describeConnection),
  });
  const parts: Parts = {
    config,
    id,
    listeners,
    counters,
    own: new OwnRecord({ key: config.key, clock, pairs: config.pairs }),
    address: new ListenAddress(config.address, limits.confirmations),
    book,
    roster,
    intake,
    spread: new Spread({
      ...shared,
      send: (member, records) => announce(counters, member, records),
    }),
    questions: new Questions({ ...shared, intake, logger, counters }),
    places: new InboundPlaces(shared),
    candidates,
    joiner: new Joiner({
      ...shared,
      candidates,
      listeners,
      logger,
      bootstrap: config.bootstrap,
      server: () => attached(parts),
    }),
    saver,
    server: undefined,
  };
  listeners.on("learned", () => candidates.wake());
  restoreOwn(parts);
  return parts;
}

/** @throws TypeError when no server is attached */
export function attached({ server }: Parts): PexServer {
  if (server === undefined) throw new TypeError("no server is attached: call attach(server) first");
  return server;
}

/** Tells a peer of records; one that is going is no loss. */
export function announce(
  counters: PexCounters,
  { context }: Member,
  records: readonly VerifiedRecord[],
): void {
  if (context === undefined) return;
  counters.announced += records.length;
  context.send.announce(records.map(({ record }) => record.encode())).catch(() => undefined);
}

/** Signs our record anew if what it says has changed, and tells everybody. */
export function updateOwn({ own, address, listeners }: Parts): boolean {
  if (!own.setAddress(address.current)) return false;
  listeners.emit("record", { record: own.current });
  return true;
}

/** Notes the number of our own record, so that the next start goes on above it. */
export function saveOwn({ own, saver }: Parts): void {
  const { seq } = own.current;
  saver.set(SEQ, () => new TextEncoder().encode(seq.toString()));
}

function createBook(config: PexConfig, listeners: Listeners, saver: Saver): AddressBook {
  const { clock, limits, random, store } = config;
  const kept = store?.initial.get(SALT);
  const salt =
    kept?.length === SALT_BYTES
      ? kept
      : Uint8Array.from({ length: SALT_BYTES }, () => Math.floor(random() * 256));
  if (salt !== kept) saver.set(SALT, () => salt);
  let isRestoring = true;
  const changed = (key: string, entry: Entry | undefined): void => {
    saver.set(ENTRY + key, entry === undefined ? undefined : () => encodeEntry(entry));
    if (entry === undefined && !isRestoring) listeners.emit("forgotten", { id: key });
  };
  const book = new AddressBook({ clock, limits, random, salt: new Salt(salt), changed });
  restore(config, book, saver);
  isRestoring = false;
  return book;
}

function restore({ store, logger }: PexConfig, book: AddressBook, saver: Saver): void {
  let damaged = 0;
  for (const [name, value] of store?.initial ?? []) {
    if (!name.startsWith(ENTRY)) continue;
    let isKept = false;
    try {
      const entry = decodeEntry(value);
      isKept = ENTRY + entry.key === name && book.restore(entry);
    } catch (error) {
      logger.debug("a stored address is damaged", { error });
      damaged += 1;
    }
    if (!isKept) saver.set(name, undefined);
  }
  if (damaged > 0) logger.warn("stored addresses were damaged and are left out", { damaged });
}

function restoreOwn({ config, own }: Parts): void {
  const kept = config.store?.initial.get(SEQ);
  if (kept === undefined) return;
  const text = new TextDecoder().decode(kept);
  if (/^[0-9]{1,19}$/.test(text)) own.continueFrom(BigInt(text));
}

/** What is asked for again and again, and never changes while the connection is up. */
const connections = new WeakMap<Peer, Connection>();

function describeConnection(peer: Peer): Connection {
  const described = connections.get(peer);
  if (described !== undefined) return described;
  const { id, inbound, remoteAddress } = peer;
  const subnet = remoteAddress === undefined ? "" : subnetOf(remoteAddress.host);
  const connection = { key: toHex(id), isDialed: !inbound, subnet };
  connections.set(peer, connection);
  return connection;
}
