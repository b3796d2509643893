/** By number of lines; compiled, this takes half the time of a loop over the characters. */
const LINES: RegExp[] = [];

/**
 * One check of a finished head, so that no part of it can be forgotten: `text` has exactly as many lines as were meant,
 * no other control character, and nothing that latin1 would cut down to one (U+010D would be sent as a CR). Throws
 * TypeError.
 */
export function requireLines(text: string, expected: number): void {
  const exactly = (LINES[expected] ??= new RegExp(`^(?:[\\t\\x20-\\xff]*\\r\\n){${expected}}$`));
  if (!exactly.test(text)) throw new TypeError('a control character or a line break inside a head');
}
