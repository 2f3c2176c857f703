import type { Progress } from "@heddle/file-share";

const WIDTH = 24;
const REDRAW_MS = 100;
/** The rate is that of the last few seconds: an average over all would be slow to tell of a change. */
const RATE_MS = 3_000;

/** Where progress is shown. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A line that tells how far a transfer is: redrawn on a terminal, one for each tenth elsewhere. */
export class ProgressBar {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  #samples: { at: number; bytes: number }[] = [];
  #drawnAt = -Infinity;
  #drawnTenth = -1;

  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  /** Shows how far it is, if it is time to. */
  update(progress: Progress): void {
    const at = this.#now();
    this.#samples.push({ at, bytes: progress.doneBytes });
    while (at - (this.#samples[0]?.at ?? at) > RATE_MS) this.#samples.shift();
    const isOver = progress.doneBytes === progress.size;
    if (this.#output.isTTY === true) {
      if (!isOver && at - this.#drawnAt < REDRAW_MS) return;
      this.#drawnAt = at;
      this.#output.write(`\r\u001b[K${this.#line(progress)}${isOver ? "\n" : ""}`);
      return;
    }
    const tenth = progress.size === 0 ? 10 : Math.floor((10 * progress.doneBytes) / progress.size);
    if (tenth === this.#drawnTenth) return;
    this.#drawnTenth = tenth;
    this.#output.write(`${this.#line(progress)}\n`);
  }

  #line({ size, doneBytes, sources }: Progress): string {
    const share = size === 0 ? 1 : doneBytes / size;
    const filled = Math.floor(share * WIDTH);
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const ms = (last?.at ?? 0) - (first?.at ?? 0);
    const rate = ms > 0 ? (((last?.bytes ?? 0) - (first?.bytes ?? 0)) * 1_000) / ms : 0;
    const eta = rate > 0 ? formatSeconds((size - doneBytes) / rate) : "-:--";
    return [
      `[${"#".repeat(filled)}${"-".repeat(WIDTH - filled)}]`,
      `${Math.floor(share * 100)} %`,
      `${formatBytes(doneBytes)} of ${formatBytes(size)}`,
      `${formatBytes(rate)}/s`,
      `ETA ${eta}`,
      `${sources} ${sources === 1 ? "source" : "sources"}`,
    ].join("  ");
  }
}

/** A number of bytes as people read it. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1_024 && unit < units.length - 1; unit++) value /= 1_024;
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  const hours = Math.floor(whole / 3_600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
