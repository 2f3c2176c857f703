/** What the `code` of a {@link GossipError} may be. */
export type GossipErrorCode =
  | "ERR_GOSSIP_CLOSED"
  | "ERR_GOSSIP_RATE"
  | "ERR_GOSSIP_SLOW_SUBSCRIBER";

/** Something this node asked of gossip could not be done; the connections live on. */
export class GossipError extends Error {
  override readonly name: string = "GossipError";
  readonly code: GossipErrorCode;

  constructor(code: GossipErrorCode, problem: string) {
    super(problem);
    this.code = code;
  }
}
