import { ATOMIC_BYTES } from './line-writer.ts';

const CUT = '[cut]';
/** Tried in turn until the line fits: the most characters that any one string keeps. */
const STRING_LIMITS = [1024, 512, 256, 128, 64] as const;
/** What a line is worth without everything else. */
const ESSENTIAL = ['level', 'time', 'name', 'pid', 'event', 'requestId', 'msg'] as const;

/**
 * A line that one write(2) carries whole: at most 4096 bytes, still valid JSON. Longer lines lose the ends of their
 * long strings, then every field that is not essential, and say so with `cut`, their original length in bytes.
 */
export function boundLine(line: string): string {
  if (line.length * 3 <= ATOMIC_BYTES) return line;
  const length = Buffer.byteLength(line);
  if (length <= ATOMIC_BYTES) return line;
  const whole = JSON.parse(line) as Record<string, unknown>;
  for (const limit of STRING_LIMITS) {
    const shorter = render({ ...whole, cut: length }, limit);
    if (Buffer.byteLength(shorter) <= ATOMIC_BYTES) return shorter;
  }
  const essential = Object.fromEntries(
    ESSENTIAL.map((key) => [key, whole[key]]).filter(([, value]) => typeof value !== 'object'),
  ) as object;
  return render({ ...essential, cut: length }, 64);
}

function render(fields: object, limit: number): string {
  const shorten = (_key: string, value: unknown): unknown =>
    typeof value === 'string' && value.length > limit ? value.slice(0, limit) + CUT : value;
  return JSON.stringify(fields, shorten) + '\n';
}
