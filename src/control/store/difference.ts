import { isDeepStrictEqual } from 'node:util';

export type Difference = Readonly<Record<string, readonly [unknown, unknown]>>;

/**
 * What distinguishes two values of JSON: path of a field, such as `git.branch`, → [before, after], where null also
 * stands for a field that is not there. Lists count as one value.
 */
export function auditDifference(before: object, after: object): Difference {
  return Object.fromEntries(differences('', before, after));
}

function differences(path: string, before: unknown, after: unknown): [string, readonly [unknown, unknown]][] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) && !isMap(after)) return [[path, [before ?? null, after ?? null]]];
  // Something and nothing differ in each field of it; an empty map still is something.
  const [left, right] = [isMap(before) ? before : {}, isMap(after) ? after : {}];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  if (keys.size === 0) return [[path, [before ?? null, after ?? null]]];
  return [...keys].flatMap((key) =>
    differences(path === '' ? key : `${path}.${key}`, valueOf(left, key), valueOf(right, key)),
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueOf(map: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
