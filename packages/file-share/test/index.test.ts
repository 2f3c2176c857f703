import { expect, test } from "vitest";

import * as fileShare from "../src/index.ts";

test("the package exports these names and no others", () => {
  expect(Object.keys(fileShare).sort()).toMatchInlineSnapshot(`
    [
      "CHUNK_BYTES",
      "DEFAULT_LIMITS",
      "FANOUT",
      "FileShare",
      "FileShareError",
      "Files1",
      "HASH_BYTES",
      "HolderFault",
      "MAX_FILES_PER_ANSWER",
      "MAX_NAME_BYTES",
      "MAX_QUERY_BYTES",
      "contentHash",
      "createFileShare",
      "displayName",
      "formatHash",
      "hashChunk",
      "hashNode",
      "nameFault",
      "parseHash",
      "safeFileName",
    ]
  `);
});
