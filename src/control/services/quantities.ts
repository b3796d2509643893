/*
 * Amounts as Kubernetes writes them ("quantities"), as far as they make sense for cores and bytes.
 */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** Less does not even start a shell. */
const LEAST_MEMORY = 2 ** 20;

/** Cores: `2` → 2, `500m` → 0.5. The text has to be right already. */
export function parseCpu(text: string): number {
  return parse(text);
}

/** Bytes: `512Mi` → 536,870,912. The text has to be right already. */
export function parseMemory(text: string): number {
  return Math.ceil(parse(text));
}

/** Why this many cores cannot be given, or null. */
export function cpuFault(text: string): string | null {
  const cores = parseCpu(text);
  if (cores < 0.001) return 'it is less than 1m';
  return cores > 4096 ? 'it is more than 4096 cores' : null;
}

/** Why this much memory cannot be given, or null. */
export function memoryFault(text: string): string | null {
  const bytes = parseMemory(text);
  if (bytes < LEAST_MEMORY)
    return `it is less than 1Mi${/^[0-9]+$/.test(text) ? ', since it has no unit' : ''}`;
  return bytes > Number.MAX_SAFE_INTEGER ? 'it is more than there is' : null;
}

function parse(text: string): number {
  const [, number = NaN, unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(text) ?? [];
  return Number(number) * (UNITS[unit] ?? NaN);
}
