/** Shorter values would hide half of every line. */
const SHORTEST = 4;

const MASK = '***';

type Span = [start: number, end: number];

/** Replaces known values in a stream of text, also one that two chunks share and ones that overlap. */
export class Masker {
  readonly #values: readonly string[];
  /** What may yet become a value; never holds a line break. */
  #held = '';
  /** So much at the front of it belongs to a value that was replaced already. */
  #covered = 0;

  /** A value of several lines is masked line by line, since lines are what is kept. */
  constructor(secrets: Iterable<string>) {
    const values = [...secrets].flatMap((secret) => secret.split(/[\r\n]+/));
    this.#values = [...new Set(values)].filter((value) => value.length >= SHORTEST);
  }

  push(chunk: string): string {
    if (this.#values.length === 0) return chunk;
    const text = this.#held + chunk;
    return this.#release(text, this.#undecided(text));
  }

  /** The rest. */
  end(): string {
    return this.#release(this.#held, this.#held.length);
  }

  /** Puts out what stands before `cut`, and keeps what follows. */
  #release(text: string, cut: number): string {
    if (cut === 0) {
      this.#held = text;
      return '';
    }
    let out = '';
    let from = 0;
    for (const [start, end] of this.#spans(text)) {
      if (start >= cut) break;
      out += text.slice(from, start);
      if (start > 0 || this.#covered === 0) out += MASK;
      from = end;
    }
    if (from < cut) out += text.slice(from, cut);
    this.#held = text.slice(cut);
    this.#covered = Math.max(from - cut, 0);
    return out;
  }

  /** Where values stand, merged where they touch each other. */
  #spans(text: string): Span[] {
    const found: Span[] = this.#covered === 0 ? [] : [[0, this.#covered]];
    for (const value of this.#values) {
      for (let at = text.indexOf(value); at !== -1; at = text.indexOf(value, at + 1)) {
        found.push([at, at + value.length]);
      }
    }
    found.sort(([a], [b]) => a - b);
    const merged: Span[] = [];
    for (const [start, end] of found) {
      const last = merged.at(-1);
      if (last !== undefined && start < last[1]) last[1] = Math.max(last[1], end);
      else merged.push([start, end]);
    }
    return merged;
  }

  /** Where the longest end of the text begins that is the beginning of a value. */
  #undecided(text: string): number {
    let cut = text.length;
    for (const value of this.#values) {
      const earliest = Math.max(text.length - value.length + 1, 0);
      for (let at = text.indexOf(value[0]!, earliest); at !== -1 && at < cut;) {
        if (value.startsWith(text.slice(at))) cut = at;
        else at = text.indexOf(value[0]!, at + 1);
      }
    }
    return cut;
  }
}
