import { generateSecretKey, parseEnode } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { MessageReadWriter, Peer, Protocol } from "@heddle/p2p";
import { describe, expect, test } from "vitest";

import { placesOf, token } from "../src/link.ts";
import { Probe } from "../src/probe.ts";
import vectors from "./vectors/capability-negotiation.json" with { type: "json" };

interface Vector {
  readonly name: string;
  readonly local: readonly {
    readonly name: string;
    readonly version: number;
    readonly length: number;
  }[];
  readonly remote: readonly { readonly name: string; readonly version: number }[];
  /** Each shared protocol as `name/version@offset`. */
  readonly match: readonly string[];
}

const cases: readonly Vector[] = vectors.cases.map(({ from, local, remote, match }) => ({
  name: `${from}: ${remote.map((pair) => pair.join("/")).join(" ") || "nothing"}`,
  local,
  remote: remote.map(([name, version]) => ({ name: String(name), version: Number(version) })),
  match: Object.entries(match)
    .map(([name, { version, offset }]) => `${name}/${version}@${offset}`)
    .toSorted(),
}));

/** The suite judges nodes by these places: they must be right, whatever a node does. */
describe("the places that the suite expects", () => {
  test.each(cases)("$name", ({ local, remote, match }) => {
    // Lengths go with names here; the published cases let the highest shared version decide.
    const lengths = Object.fromEntries(
      local
        .filter(({ name, version }) =>
          remote.some((other) => other.name === name && other.version === version),
        )
        .toSorted((a, b) => a.version - b.version)
        .map(({ name, length }) => [name, length]),
    );
    const places = placesOf(local, remote, lengths);
    expect(
      places.map(({ name, version, offset }) => `${name}/${version}@${offset}`).toSorted(),
    ).toEqual(match);
  });
});

/** Those of them that a server can be made of: no empty name, no version 0, and every protocol has a message. */
const possible = cases.filter(({ local }) =>
  local.every(({ name, version, length }) => name !== "" && version > 0 && length > 0),
);

describe("a server with the protocols of a published case", () => {
  test("there are such cases", () => {
    expect(possible.length).toBeGreaterThanOrEqual(4);
  });

  test.each(possible)("$name", async ({ local, remote, match }) => {
    await using server = new Server({
      key: generateSecretKey(),
      clientId: "target/1",
      listen: "127.0.0.1:0",
      protocols: local.map(mirror),
    });
    await server.start();
    const probe = new Probe({ node: parseEnode(server.enode) });
    const link = await probe.link({
      hello: { capabilities: remote.map(({ name, version }) => [name, version]) },
    });
    for (const place of match) {
      const offset = Number(place.split("@")[1]);
      const name = place.slice(0, place.indexOf("/"));
      const length = Math.max(
        ...local.filter((protocol) => protocol.name === name).map((protocol) => protocol.length),
      );
      // The first and the last message id of its range, and who got it.
      for (const msgId of [offset, offset + length - 1]) {
        const payload = token();
        link.peer.sendRaw(msgId, payload);
        const outcome = await link.returned(payload, msgId);
        expect(outcome, `${place} by ${msgId}`).toMatchObject({ kind: "accepted" });
      }
    }
    probe.close();
  });
});

/** Returns what it gets under the code it came with. */
function mirror({ name, version, length }: Vector["local"][number]): Protocol {
  return {
    name,
    version,
    length,
    async run(_peer: Peer, rw: MessageReadWriter) {
      for await (const message of rw) await rw.sendEncoded(message.code, message.payload);
    },
  };
}
