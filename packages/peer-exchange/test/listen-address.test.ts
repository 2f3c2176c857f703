import type { Peer } from "@heddle/p2p";
import { expect, test } from "vitest";

import { parseHost } from "../src/address.ts";
import { ListenAddress } from "../src/listen-address.ts";
import { AddressVotes } from "../src/votes.ts";

/** As much of a peer as is looked at. */
function peerAt(host: string, localAddress: string, inbound = false): Peer {
  const info = { network: { localAddress } };
  return { remoteAddress: { host, port: 1 }, inbound, info: () => info } as unknown as Peer;
}

const seen = (host: string): Uint8Array => parseHost(host) ?? new Uint8Array(0);

test("what is configured comes before everything, with the port that is listened on", () => {
  const address = new ListenAddress({ host: "52.1.1.1" }, 1);
  expect(address.current).toBeUndefined();
  address.listens({ host: "10.0.0.1", port: 7 });
  expect(address.current).toEqual({ host: "52.1.1.1", port: 7 });
  const whole = new ListenAddress({ host: "2a00::1", port: 9 }, 1);
  whole.listens({ host: "::", port: 7 });
  expect(whole.current).toEqual({ host: "2a00::1", port: 9 });
});

test("a server that listens on one address is reached there, whatever peers see", () => {
  const address = new ListenAddress(undefined, 1);
  address.listens({ host: "127.0.0.1", port: 7 });
  address.met(peerAt("52.2.2.2", "52.3.3.3:40000"), "a", seen("52.3.3.3"));
  expect(address.current).toEqual({ host: "127.0.0.1", port: 7 });
  address.listens(undefined);
  expect(address.current).toBeUndefined();
});

test("one that listens on every interface learns its address from its own ends, the widest first", () => {
  const address = new ListenAddress(undefined, 3);
  address.listens({ host: "::", port: 7 });
  expect(address.current).toBeUndefined();
  address.met(peerAt("127.0.0.1", "127.0.0.1:40000"), "a", seen("127.0.0.1"));
  expect(address.current).toEqual({ host: "127.0.0.1", port: 7 });
  address.met(peerAt("10.0.0.2", "[::ffff:10.0.0.1]:40000", true), "b", seen("10.0.0.1"));
  expect(address.current).toEqual({ host: "10.0.0.1", port: 7 });
  address.met(peerAt("127.0.0.1", "127.0.0.1:40001"), "c", seen("127.0.0.1"));
  expect(address.current).toEqual({ host: "10.0.0.1", port: 7 });
});

test("behind a NAT enough dialed peers in different subnets say what the address is", () => {
  const address = new ListenAddress(undefined, 3);
  address.listens({ host: "0.0.0.0", port: 7 });
  const own = "192.168.1.5:40000";
  for (const [at, host] of ["52.1.1.1", "52.1.1.2", "52.2.1.1"].entries()) {
    address.met(peerAt(host, own), `dialed ${at}`, seen("52.9.9.9"));
  }
  for (let at = 1; at < 9; at += 1) {
    address.met(peerAt(`53.${at}.1.1`, own, true), `inbound ${at}`, seen("52.6.6.6"));
  }
  expect(address.current).toEqual({ host: "192.168.1.5", port: 7 });
  address.met(peerAt("52.3.1.1", own), "dialed 3", seen("52.9.9.9"));
  expect(address.current).toEqual({ host: "52.9.9.9", port: 7 });
});

test("a vote counts once for each subnet, and the last word of it", () => {
  const votes = new AddressVotes(2);
  expect(votes.add("a", "52.1.1.1", seen("52.9.9.9"))).toBe(false);
  expect(votes.add("b", "52.1.1.2", seen("52.9.9.9"))).toBe(false);
  expect(votes.add("c", "52.2.1.1", seen("52.9.9.9"))).toBe(true);
  expect(votes.winner).toBe("52.9.9.9");
  expect(votes.add("d", "52.3.1.1", seen("52.8.8.8"))).toBe(false);
  expect(votes.add("e", "52.2.1.9", seen("52.8.8.8"))).toBe(true);
  expect(votes.winner).toBe("52.8.8.8");
});

test.each([
  ["no address", new Uint8Array(0)],
  ["3 bytes", new Uint8Array(3)],
  ["the unspecified address", seen("0.0.0.0")],
  ["a private address, by a public peer", seen("10.0.0.1")],
  ["a loopback address, by a public peer", seen("127.0.0.1")],
  ["a documentation address", seen("192.0.2.1")],
])("a vote for %s does not count", (_name, bytes) => {
  const votes = new AddressVotes(1);
  expect(votes.add("a", "52.1.1.1", bytes)).toBe(false);
  expect(votes.winner).toBeUndefined();
});

test("of ever more voters the last 64 are remembered", () => {
  const votes = new AddressVotes(60);
  for (let at = 0; at < 59; at += 1) votes.add(`${at}`, `52.${at}.1.1`, seen("52.9.9.9"));
  for (let at = 0; at < 64; at += 1) votes.add(`${at}`, `53.${at}.1.1`, seen(`54.${at}.1.1`));
  expect(votes.add("last", "55.1.1.1", seen("52.9.9.9"))).toBe(false);
});
