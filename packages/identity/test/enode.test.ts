import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ENODE_MAX_LENGTH, formatEnode, fromHex, parseEnode, toHex } from "../src/index.ts";
import vectors from "./vectors/curve.json" with { type: "json" };

const ID = vectors.priv_to_pub[0]!.public;
const code = (suffix: string) =>
  expect.objectContaining({ name: "EnodeError", code: `ERR_ENODE_${suffix}` });

describe("parsing", () => {
  test.each([
    ["10.3.58.6:30303?discport=30301", "10.3.58.6", 30303, 30301],
    ["127.0.0.1:30303", "127.0.0.1", 30303, 30303],
    ["127.0.0.1:30303?discport=0", "127.0.0.1", 30303, 0],
    ["[::]:52150", "::", 52150, 52150],
    ["[2001:DB8:0:0::1]:1?discport=2", "2001:db8::1", 1, 2],
    ["[::ffff:1.2.3.4]:9", "::ffff:1.2.3.4", 9, 9],
    ["Node-1.Example.org:65535", "node-1.example.org", 65535, 65535],
    ["localhost:0?discport=30303", "localhost", 0, 30303],
    ["my_service:1", "my_service", 1, 1],
    ["1.example:1", "1.example", 1, 1],
  ])("reads an address of %s", (address, host, tcpPort, udpPort) => {
    expect(parseEnode(`enode://${ID}@${address}`)).toEqual({
      id: fromHex(ID),
      host,
      tcpPort,
      udpPort,
    });
  });

  test("takes the id in upper case", () => {
    expect(toHex(parseEnode(`enode://${ID.toUpperCase()}@h:1`).id)).toBe(ID);
  });

  test.each([
    ["another scheme", `http://${ID}@h:1`, "BAD_SCHEME"],
    ["a leading space", ` enode://${ID}@h:1`, "BAD_SCHEME"],
    ["an empty text", "", "BAD_SCHEME"],
    ["no id", "enode://@h:1", "BAD_ID"],
    ["a short id", `enode://${ID.slice(2)}@h:1`, "BAD_ID"],
    ["a long id", `enode://${ID}00@h:1`, "BAD_ID"],
    ["an id that is not hexadecimal", `enode://${ID.slice(1)}g@h:1`, "BAD_ID"],
    ["an id off the curve", `enode://${"11".repeat(64)}@h:1`, "BAD_ID"],
    ["an id of zeros", `enode://${"00".repeat(64)}@h:1`, "BAD_ID"],
    ["no address", `enode://${ID}`, "BAD_HOST"],
    ["an empty host", `enode://${ID}@:1`, "BAD_HOST"],
    ["IPv6 without brackets", `enode://${ID}@::1:30303`, "BAD_HOST"],
    ["a bad IPv6 address", `enode://${ID}@[::g]:1`, "BAD_HOST"],
    ["an IPv6 zone", `enode://${ID}@[fe80::1%25eth0]:1`, "BAD_HOST"],
    ["a bad IPv4 address", `enode://${ID}@256.1.1.1:1`, "BAD_HOST"],
    ["a short IPv4 address", `enode://${ID}@127.1:1`, "BAD_HOST"],
    ["a password", `enode://${ID}:x@h:1`, "BAD_ID"],
    ["two at signs", `enode://${ID}@a@b:1`, "BAD_HOST"],
    ["a label that starts with a hyphen", `enode://${ID}@-a.b:1`, "BAD_HOST"],
    ["a label of 64 characters", `enode://${ID}@${"a".repeat(64)}:1`, "BAD_HOST"],
    ["a name of 254 characters", `enode://${ID}@${"a.".repeat(126)}aa:1`, "BAD_HOST"],
    ["an empty label", `enode://${ID}@a..b:1`, "BAD_HOST"],
    ["no port", `enode://${ID}@h`, "BAD_PORT"],
    ["no port after brackets", `enode://${ID}@[::1]`, "BAD_PORT"],
    ["an empty port", `enode://${ID}@h:`, "BAD_PORT"],
    ["a port over 65535", `enode://${ID}@h:65536`, "BAD_PORT"],
    ["a signed port", `enode://${ID}@h:+1`, "BAD_PORT"],
    ["a port with a leading zero", `enode://${ID}@h:01`, "BAD_PORT"],
    ["a path", `enode://${ID}@h:1/`, "BAD_PORT"],
    ["another parameter", `enode://${ID}@h:1?x=1`, "BAD_QUERY"],
    ["an empty query", `enode://${ID}@h:1?`, "BAD_QUERY"],
    ["a parameter without a value", `enode://${ID}@h:1?discport`, "BAD_QUERY"],
    ["an empty discport", `enode://${ID}@h:1?discport=`, "BAD_PORT"],
    ["two parameters", `enode://${ID}@h:1?discport=1&x=1`, "BAD_PORT"],
    ["too many characters", `enode://${ID}@${"a".repeat(ENODE_MAX_LENGTH)}:1`, "TOO_LONG"],
  ])("refuses %s by its fault", (_what, url, suffix) => {
    expect(() => parseEnode(url)).toThrow(code(suffix));
  });

  test("says what it expected and what came, safe to print", () => {
    expect(() => parseEnode(`enode://${ID}@h\u001b[2J:1`)).toThrow(
      'expected an IP address or a host name, got 5 characters "h\\u{1b}[2J"',
    );
    expect(() => parseEnode(`enode://${ID}@h:x`)).toThrow('got 1 character "x"');
  });

  test("refuses what is not a string", () => {
    const wrong: any = undefined;
    expect(() => parseEnode(wrong)).toThrow(TypeError);
  });

  test("throws nothing but EnodeError on any text", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }).map((s) => `enode://${ID}@${s}`),
      fc
        .string({ unit: fc.constantFrom("[", "]", ":", "1", ".", "?", "@", "a") })
        .map((s) => `enode://${ID}@${s}`),
    );
    fc.assert(
      fc.property(text, (url) => {
        try {
          parseEnode(url);
        } catch (error) {
          expect(error).toMatchObject({ name: "EnodeError" });
        }
      }),
    );
  });
});

describe("formatting", () => {
  test.each([
    `enode://${ID}@10.3.58.6:30303?discport=30301`,
    `enode://${ID}@127.0.0.1:30303`,
    `enode://${ID}@[2001:db8::1]:30303?discport=0`,
    `enode://${ID}@example.org:30303`,
  ])("writes back %s", (url) => {
    expect(formatEnode(parseEnode(url))).toBe(url);
  });

  test("is read back as the same node", () => {
    const port = fc.nat(65535);
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.domain()), port, port, (host, tcpPort, udpPort) => {
        const enode = { id: fromHex(ID), host: host.toLowerCase(), tcpPort, udpPort };
        expect(parseEnode(formatEnode(enode))).toEqual(enode);
      }),
    );
  });

  test.each([
    [{ id: new Uint8Array(64) }, "BAD_ID"],
    [{ id: new Uint8Array(63) }, "BAD_ID"],
    [{ host: "a b" }, "BAD_HOST"],
    [{ host: "x:y" }, "BAD_HOST"],
    [{ tcpPort: 65536 }, "BAD_PORT"],
    [{ tcpPort: 1.5 }, "BAD_PORT"],
    [{ udpPort: -1 }, "BAD_PORT"],
  ])("refuses the parts of case %#", (part, suffix) => {
    const enode = { id: fromHex(ID), host: "h", tcpPort: 1, udpPort: 1, ...part };
    expect(() => formatEnode(enode)).toThrow(code(suffix));
  });
});
