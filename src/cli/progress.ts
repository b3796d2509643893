import type { Screen } from './screen.ts';

const ERASE_LINE = '\r\u001b[2K';

/** Tells on standard error how far something is: lines that stay, and on a terminal below them one that changes. */
export class Progress {
  readonly #screen: Screen;
  readonly #startedAt = performance.now();
  #drawn = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  line(text: string): void {
    this.clear();
    this.#screen.err(`${text}\n`);
  }

  /** What goes on now; without a terminal it is not told. */
  status(text: string): void {
    if (!this.#screen.live) return;
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
    this.#screen.err(`${ERASE_LINE}${text} (${seconds} s; Ctrl-C stops waiting)`);
    this.#drawn = true;
  }

  clear(): void {
    if (this.#drawn) this.#screen.err(ERASE_LINE);
    this.#drawn = false;
  }
}
