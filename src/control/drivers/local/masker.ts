/** Shorter values would hide half of every line. */
const SHORTEST = 4;

const MASK = '***';

/** Positions in the whole stream. */
type Span = readonly [start: number, end: number];

/** Replaces known values in a stream of text, also one that two chunks share and ones that overlap. */
export class Masker {
  readonly #values: readonly StreamSearch[];
  /** What may yet become a value; never holds a line break. */
  #held = '';
  /** Where it begins in the stream. */
  #from = 0;
  /** Where values stand in it, in order, merged where they overlap. One that begins before it was replaced already. */
  #spans: Span[] = [];

  /** A value of several lines is masked line by line, since lines are what is kept. */
  constructor(secrets: Iterable<string>) {
    const values = [...secrets].flatMap((secret) => secret.split(/[\r\n]+/));
    this.#values = [...new Set(values)]
      .filter((value) => value.length >= SHORTEST)
      .map((value) => new StreamSearch(value));
  }

  push(chunk: string): string {
    if (this.#values.length === 0) return chunk;
    this.#find(chunk);
    this.#held += chunk;
    // A secret may have more lines than a call may have arguments.
    const undecided = this.#values.reduce((most, { matched }) => Math.max(most, matched), 0);
    return this.#release(this.#held.length - undecided);
  }

  /** The rest. */
  end(): string {
    return this.#release(this.#held.length);
  }

  #find(chunk: string): void {
    const at = this.#from + this.#held.length;
    const found = this.#values.flatMap((value) =>
      value.read(chunk).map((end): Span => [at + end - value.length, at + end]),
    );
    for (const [start, end] of found.sort(([, a], [, b]) => a - b)) {
      let first = start;
      while ((this.#spans.at(-1)?.[1] ?? 0) > first) first = Math.min(first, this.#spans.pop()![0]);
      this.#spans.push([first, end]);
    }
  }

  /** Puts out so much of what is held. */
  #release(length: number): string {
    if (length === 0) return '';
    const cut = this.#from + length;
    let out = '';
    let from = this.#from;
    let over = 0;
    for (const [start, end] of this.#spans) {
      if (start >= cut) break;
      if (start >= this.#from) out += this.#held.slice(from - this.#from, start - this.#from) + MASK;
      from = end;
      if (end <= cut) over++;
    }
    if (from < cut) out += this.#held.slice(from - this.#from, length);
    this.#spans.splice(0, over);
    this.#held = this.#held.slice(length);
    this.#from = cut;
    return out;
  }
}

/**
 * Finds one value in a stream, in time that grows with the stream alone (Knuth, Morris, Pratt): values and what is
 * printed come from users, and a search that begins anew at each character could be made to take minutes.
 */
class StreamSearch {
  readonly #value: string;
  readonly #head: string;
  /** Of the first 1, 2, 3, ... characters: how many at their beginning also stand at their end. As far as was needed. */
  readonly #borders = [0];
  #matched = 0;

  constructor(value: string) {
    this.#value = value;
    this.#head = value.slice(0, SHORTEST);
  }

  get length(): number {
    return this.#value.length;
  }

  /** With so much of the beginning of the value the stream ends; never with all of it. */
  get matched(): number {
    return this.#matched;
  }

  /** The places in the chunk behind each value that ends there. */
  read(chunk: string): number[] {
    const ends: number[] = [];
    let matched = this.#matched;
    for (let at = 0; at < chunk.length; at++) {
      if (matched === 0) {
        const next = chunk.indexOf(this.#head, at);
        at = next === -1 ? Math.max(at, chunk.length - SHORTEST + 1) : next;
      }
      const unit = chunk.charCodeAt(at);
      while (matched > 0 && this.#value.charCodeAt(matched) !== unit) matched = this.#border(matched);
      if (this.#value.charCodeAt(matched) === unit) matched++;
      if (matched < this.#value.length) continue;
      ends.push(at + 1);
      matched = this.#border(matched);
    }
    this.#matched = matched;
    return ends;
  }

  #border(length: number): number {
    const borders = this.#borders;
    for (let last = borders.length; last < length; last++) {
      const unit = this.#value.charCodeAt(last);
      let border = borders[last - 1]!;
      while (border > 0 && this.#value.charCodeAt(border) !== unit) border = borders[border - 1]!;
      borders.push(this.#value.charCodeAt(border) === unit ? border + 1 : border);
    }
    return borders[length - 1]!;
  }
}
