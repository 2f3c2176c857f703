import { RlpError } from "@heddle/identity";

/** Why a schema refused what came from the wire. */
export type SchemaErrorCode =
  | "ERR_RLP_TRUNCATED"
  | "ERR_RLP_TRAILING"
  | "ERR_RLP_OVERRUN"
  | "ERR_RLP_NOT_CANONICAL"
  | "ERR_RLP_TOO_MANY_ITEMS"
  | "ERR_RLP_BAD_UINT"
  | "ERR_SCHEMA_KIND"
  | "ERR_SCHEMA_SIZE"
  | "ERR_SCHEMA_RANGE"
  | "ERR_SCHEMA_TEXT"
  | "ERR_SCHEMA_MISSING"
  | "ERR_SCHEMA_REFUSED";

/**
 * Bytes from the wire that do not fit the schema: the sender's fault.
 *
 * An {@link RlpError}, so that thrown out of `run` it ends the connection with 0x02. `message` starts
 * with `path`, as in `headers[3].number: leading zero`.
 */
export class SchemaError extends RlpError {
  override readonly name: string = "SchemaError";
  declare readonly code: SchemaErrorCode;
  /** Where in the message, as in `headers[3].number`; empty for the whole of it. */
  readonly path: string;
  /** What is wrong there. */
  readonly problem: string;

  constructor(
    code: SchemaErrorCode,
    problem: string,
    options: { path?: string; cause?: unknown } = {},
  ) {
    const path = options.path ?? "";
    super(
      code,
      path === "" ? problem : `${path}: ${problem}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.path = path;
    this.problem = problem;
  }

  /** The same fault, seen from one level further out. */
  within(step: string): SchemaError {
    return new SchemaError(this.code, this.problem, {
      path: joinPath(step, this.path),
      cause: this.cause,
    });
  }
}

/**
 * A value of ours that the schema cannot encode: the caller's fault, and nothing is sent.
 *
 * `message` starts with `path`, as in `headers[3].number: expected an integer from 0 to 10, got -1`.
 */
export class SchemaValueError extends TypeError {
  override readonly name: string = "SchemaValueError";
  readonly code: string = "ERR_SCHEMA_VALUE";
  readonly path: string;
  readonly problem: string;

  constructor(problem: string, options: { path?: string; cause?: unknown } = {}) {
    const path = options.path ?? "";
    super(path === "" ? problem : `${path}: ${problem}`);
    this.path = path;
    this.problem = problem;
  }

  /** The same fault, seen from one level further out. */
  within(step: string): SchemaValueError {
    return new SchemaValueError(this.problem, {
      path: joinPath(step, this.path),
      cause: this.cause,
    });
  }
}

/** Adds one step to the path of a schema's error; any other error stays as it is. */
export function errorWithin(error: unknown, step: string): unknown {
  if (error instanceof SchemaError || error instanceof SchemaValueError) return error.within(step);
  return error;
}

function joinPath(step: string, rest: string): string {
  return rest === "" || rest.startsWith("[") ? step + rest : `${step}.${rest}`;
}
