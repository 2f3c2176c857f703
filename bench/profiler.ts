import { writeFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";

const INTERVAL_US = 200;

/** Samples this process's own CPU time; one profile at a time. */
export class Profiler {
  readonly #session = new Session();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await this.#session.post("Profiler.start");
  }

  /** Ends the profile and writes it, for this module's readers and for the tools of browsers. */
  async stop(file: string): Promise<void> {
    const { profile } = await this.#session.post("Profiler.stop");
    this.#session.disconnect();
    await writeFile(file, JSON.stringify(profile));
  }
}
