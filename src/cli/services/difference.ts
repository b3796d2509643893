import type { ServiceView } from '../../contracts/service.ts';
import { inOneLine } from '../screen.ts';
import { isObject } from '../read-document.ts';

/** One field that is wanted otherwise: a path such as `git.branch`. `undefined` = not there. */
export interface Difference {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/** Objects of which a field that is not named stays as it is. Parameters are stated as a whole. */
const BY_FIELD = ['git', 'access', 'health'];

/** Fields in which `wanted` differs from a service. One that is not named in `wanted` does not differ. */
export function differences(wanted: Fields, current: ServiceView): readonly Difference[] {
  const now: Fields = { ...current };
  return Object.entries(wanted).flatMap(([field, after]) => {
    const before = now[field];
    if (isObject(before) && isObject(after)) {
      if (BY_FIELD.includes(field)) return inFields(field, before, after);
      if (field === 'parameters') return inFields(field, before, { ...absent(before), ...after });
    }
    return same(before, after) ? [] : [{ field, before, after }];
  });
}

/** The merge patch (RFC 7396) that makes the differences go away. */
export function patchOf(changes: readonly Difference[]): Fields {
  const patch: Record<string, unknown> = {};
  for (const { field, after } of changes) {
    const [outer = '', ...inner] = field.split('.');
    const value = after ?? null;
    if (inner.length === 0) patch[outer] = value;
    // A parameter may have dots in its name.
    else patch[outer] = { ...(patch[outer] as Fields | undefined), [inner.join('.')]: value };
  }
  return patch;
}

export function differenceLine({ field, before, after }: Difference): string {
  return inOneLine(`  ${field}: ${shown(before)} → ${shown(after)}`);
}

function inFields(outer: string, before: Fields, after: Fields): readonly Difference[] {
  return Object.entries(after).flatMap(([key, value]) =>
    same(before[key], value) ? [] : [{ field: `${outer}.${key}`, before: before[key], after: value }],
  );
}

function absent(fields: Fields): Fields {
  return Object.fromEntries(Object.keys(fields).map((key) => [key, undefined]));
}

/** The order of a list of names says nothing. */
function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return JSON.stringify(a.toSorted()) === JSON.stringify(b.toSorted());
  return JSON.stringify(a) === JSON.stringify(b);
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value);
}
