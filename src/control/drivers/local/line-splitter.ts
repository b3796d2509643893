/** A line that is longer, in characters, is cut into several. */
const LONGEST_LINE = 64 * 1024;

/** Cuts a stream of text into lines without their ends. */
export class LineSplitter {
  #rest = '';

  push(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    const complete = lines.flatMap((line) => pieces(line.endsWith('\r') ? line.slice(0, -1) : line));
    if (this.#rest.length > LONGEST_LINE) {
      const parts = pieces(this.#rest);
      this.#rest = parts.pop()!;
      complete.push(...parts);
    }
    return complete;
  }

  /** What follows the last line end. */
  end(): string[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? [] : pieces(rest);
  }
}

function pieces(line: string): string[] {
  if (line.length <= LONGEST_LINE) return [line];
  const parts: string[] = [];
  for (let at = 0; at < line.length; at += LONGEST_LINE) parts.push(line.slice(at, at + LONGEST_LINE));
  return parts;
}
