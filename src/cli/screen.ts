import { once } from 'node:events';
import { noColour } from '../config/environment.ts';
import type { Io } from './verb.ts';

export type Colour = 'green' | 'yellow' | 'red' | 'dim';

const CODES: Readonly<Record<Colour, number>> = { green: 32, yellow: 33, red: 31, dim: 90 };

/** What a command writes to: knows what a terminal bears. */
export interface Screen extends Io {
  /** Columns of the terminal that standard output is; null = it is none, and nothing is cut. */
  readonly width: number | null;
  /** Whether standard error is a terminal, so that a line can be drawn anew. */
  readonly live: boolean;
  /** Resolves once standard output takes more, or `signal` aborts: whoever writes much has to wait for its reader. */
  drained(signal: AbortSignal): Promise<void>;
  /** The text for standard output, in colour where that is a terminal and the user minds none. */
  paint(colour: Colour, text: string): string;
}

export function screenOf(io: Io): Screen {
  const coloured = process.stdout.isTTY && !noColour();
  return {
    out: (text) => io.out(text),
    err: (text) => io.err(text),
    width: process.stdout.isTTY ? process.stdout.columns : null,
    live: process.stderr.isTTY,
    drained: async (signal) => {
      if (process.stdout.writableNeedDrain) {
        await once(process.stdout, 'drain', { signal }).catch(() => undefined);
      }
    },
    paint: (colour, text) => (coloured ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text),
  };
}

/** Text from elsewhere for a terminal: without what would move its cursor or change its settings. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\u001b\[[\d;]*m/g, '').replace(/\t/g, '  ');
}

/** The same in one line. */
export function inOneLine(text: string): string {
  return printable(text.replace(/\s*\r?\n\s*/g, ' '));
}
