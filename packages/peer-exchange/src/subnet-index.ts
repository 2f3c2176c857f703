import type { Entry } from "./entry.ts";

/** How often a draw is repeated before every entry is looked at in turn. */
const MAX_DRAWS = 32;

interface Group {
  readonly subnet: string;
  readonly entries: Entry[];
}

/** Entries by subnet, to draw from so that subnets weigh, and not how many addresses each has. */
export class SubnetIndex {
  readonly #groups: Group[] = [];
  readonly #places = new Map<string, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many subnets there are. */
  get subnets(): number {
    return this.#groups.length;
  }

  /** The entries of one subnet. */
  of(subnet: string): readonly Entry[] {
    const place = this.#places.get(subnet);
    return (place === undefined ? undefined : this.#groups[place]?.entries) ?? [];
  }

  add(entry: Entry): void {
    const { subnet } = entry;
    const place = this.#places.get(subnet);
    if (place === undefined) {
      this.#places.set(subnet, this.#groups.length);
      this.#groups.push({ subnet, entries: [entry] });
    } else {
      this.#groups[place]?.entries.push(entry);
    }
    this.#size += 1;
  }

  delete(entry: Entry): void {
    const place = this.#places.get(entry.subnet);
    const group = place === undefined ? undefined : this.#groups[place];
    const index = group?.entries.indexOf(entry) ?? -1;
    if (place === undefined || group === undefined || index === -1) return;
    swapOut(group.entries, index);
    this.#size -= 1;
    if (group.entries.length > 0) return;
    swapOut(this.#groups, place);
    this.#places.delete(entry.subnet);
    const moved = this.#groups[place];
    if (moved !== undefined) this.#places.set(moved.subnet, place);
  }

  /**
   * Draws a subnet, then one of its entries, until `accept` likes it; where few are liked, looks at all
   * from a random one on.
   *
   * @param random - uniform in [0, 1)
   */
  draw(random: () => number, accept: (entry: Entry) => boolean): Entry | undefined {
    if (this.#groups.length === 0) return undefined;
    for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
      const group = this.#groups[Math.floor(random() * this.#groups.length)];
      const entry = group?.entries[Math.floor(random() * group.entries.length)];
      if (entry !== undefined && accept(entry)) return entry;
    }
    const start = Math.floor(random() * this.#groups.length);
    for (let step = 0; step < this.#groups.length; step += 1) {
      const liked = this.#groups[(start + step) % this.#groups.length]?.entries.filter(accept);
      if (liked !== undefined && liked.length > 0)
        return liked[Math.floor(random() * liked.length)];
    }
    return undefined;
  }
}

function swapOut(items: unknown[], index: number): void {
  const last = items.pop();
  if (last !== undefined && index < items.length) items[index] = last;
}
