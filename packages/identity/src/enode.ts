import { escapeText, fromHex, toHex } from "./bytes.ts";
import { curve } from "./curve.ts";
import { formatIp, parseIp4, parseIp6 } from "./ip.ts";
import type { NodeId } from "./keys.ts";

/** Where a node is reached, and who must answer there. */
export interface Enode {
  /** 64-byte node id. */
  readonly id: NodeId;
  /** IPv4 or IPv6 address (without brackets) or host name. */
  readonly host: string;
  /** TCP port for RLPx; 0 for a node that only takes part in discovery. */
  readonly tcpPort: number;
  /** UDP port for discovery; 0 for a node that takes no part in it. */
  readonly udpPort: number;
}

/** Most characters of an enode URL: an id, a host name of 253, two ports and what stands between. */
export const ENODE_MAX_LENGTH = 512;

const SCHEME = "enode://";
const ID = /^[0-9a-fA-F]{128}$/;
const PORT = /^(?:0|[1-9][0-9]{0,4})$/;
const HOST_LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/**
 * Reads `enode://<id>@<host>:<tcp port>[?discport=<udp port>]`.
 *
 * Addresses come back in canonical form and host names in lower case; without `discport` the UDP port is the
 * TCP port. Names are not resolved.
 *
 * @throws {@link EnodeError} with a code for the part at fault
 * @see https://ethereum.org/developers/docs/networking-layer/network-addresses (enode)
 */
export function parseEnode(url: string): Enode {
  if (typeof url !== "string") throw new TypeError("an enode URL must be a string");
  if (url.length > ENODE_MAX_LENGTH) {
    throw new EnodeError(
      "ERR_ENODE_TOO_LONG",
      `enode URL of ${url.length} characters exceeds ${ENODE_MAX_LENGTH}`,
    );
  }
  if (!url.startsWith(SCHEME))
    throw refuse("ERR_ENODE_BAD_SCHEME", `a URL that starts with ${SCHEME}`, url);
  const rest = url.slice(SCHEME.length);
  const at = rest.indexOf("@");
  const id = readId(at < 0 ? rest : rest.slice(0, at));
  if (at < 0) throw refuse("ERR_ENODE_BAD_HOST", "@host:port after the id", "");
  const [address, query] = splitOnce(rest.slice(at + 1), "?");
  const colon = address.lastIndexOf(":");
  // The last colon of a bracketed address without a port is inside the brackets.
  const hasPort = colon >= 0 && !address.endsWith("]");
  const host = readHost(hasPort ? address.slice(0, colon) : address);
  if (!hasPort) throw refuse("ERR_ENODE_BAD_PORT", "a port after the host", "");
  const tcpPort = readPort(address.slice(colon + 1));
  return { id, host, tcpPort, udpPort: query === undefined ? tcpPort : readQuery(query) };
}

/**
 * Writes an enode URL that {@link parseEnode} reads back; `discport` stands in it when the ports differ.
 *
 * @throws {@link EnodeError} with a code for the part at fault
 */
export function formatEnode(enode: Enode): string {
  const { id, host, tcpPort, udpPort } = enode;
  const name = readHost(host.includes(":") ? `[${host}]` : host);
  const address = name.includes(":") ? `[${name}]` : name;
  const ports = [tcpPort, udpPort].map((port) => readPort(String(port)));
  const query = ports[0] === ports[1] ? "" : `?discport=${ports[1]}`;
  return `${SCHEME}${toHex(checkId(id))}@${address}:${ports[0]}${query}`;
}

function readId(text: string): NodeId {
  if (!ID.test(text)) {
    throw refuse("ERR_ENODE_BAD_ID", "a node id of 128 hex digits", text);
  }
  return checkId(fromHex(text));
}

function checkId(id: NodeId): NodeId {
  if (id.length !== 64) {
    throw new EnodeError("ERR_ENODE_BAD_ID", `expected a node id of 64 bytes, got ${id.length}`);
  }
  if (!curve.isPoint(id))
    throw refuse("ERR_ENODE_BAD_ID", "a node id that is a secp256k1 point", toHex(id));
  return id;
}

function readHost(text: string): string {
  if (text.startsWith("[") && text.endsWith("]")) {
    const ip6 = parseIp6(text.slice(1, -1));
    if (ip6 === undefined) throw refuse("ERR_ENODE_BAD_HOST", "an IPv6 address in brackets", text);
    return formatIp(ip6);
  }
  if (text.includes(":"))
    throw refuse("ERR_ENODE_BAD_HOST", "an IPv6 address to be in brackets", text);
  const host = text.toLowerCase();
  const labels = host.split(".");
  // What ends in a number is an address or nothing: no top-level domain is numeric.
  if (/^[0-9]+$/.test(labels.at(-1) ?? "")) {
    if (parseIp4(host) === undefined) throw refuse("ERR_ENODE_BAD_HOST", "an IPv4 address", text);
    return host;
  }
  if (host.length > 253 || !labels.every((label) => HOST_LABEL.test(label))) {
    throw refuse("ERR_ENODE_BAD_HOST", "an IP address or a host name", text);
  }
  return host;
}

function readPort(text: string): number {
  const port = Number(text);
  if (!PORT.test(text) || port > 65_535) {
    throw refuse("ERR_ENODE_BAD_PORT", "a port from 0 to 65535", text);
  }
  return port;
}

function readQuery(query: string): number {
  const [name, value] = splitOnce(query, "=");
  if (name !== "discport" || value === undefined) {
    throw refuse("ERR_ENODE_BAD_QUERY", "nothing but discport=<port> after the ?", query);
  }
  return readPort(value);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function refuse(code: EnodeErrorCode, expected: string, got: string): EnodeError {
  return new EnodeError(
    code,
    `expected ${expected}, got ${got.length} ${got.length === 1 ? "character" : "characters"} "${escapeText(got, 40)}"`,
  );
}

/** Which part of an enode URL is at fault. */
export type EnodeErrorCode =
  | "ERR_ENODE_TOO_LONG"
  | "ERR_ENODE_BAD_SCHEME"
  | "ERR_ENODE_BAD_ID"
  | "ERR_ENODE_BAD_HOST"
  | "ERR_ENODE_BAD_PORT"
  | "ERR_ENODE_BAD_QUERY";

/** An enode URL, or the parts of one, that cannot be used; the message is safe to print. */
export class EnodeError extends Error {
  override readonly name = "EnodeError";
  readonly code: EnodeErrorCode;

  constructor(code: EnodeErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
