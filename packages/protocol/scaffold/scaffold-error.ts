/** Why no protocol was made, in words for whoever asked for it; nothing was changed. */
export class ScaffoldError extends Error {
  override readonly name: string = "ScaffoldError";
}
