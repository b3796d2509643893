import type { GitSource, Problem, ServiceSpec } from '../../contracts/service.ts';
import { InvalidRequest } from '../../errors.ts';
import { sourceProblems } from '../git/source-problems.ts';
import { generateName } from './names.ts';
import { defaultOf, isObject, readBody } from './read-body.ts';
import type { Schema } from './schema.ts';
import { ROLLBACK_BODY, SERVICE_BODY, SERVICE_CHANGE } from './spec-schema.ts';
import { SERVICE_VIEW } from './view-schema.ts';

/** What is right of a spec: a field that is wrong, or has a wrong part, is not there. */
export type SpecSketch = Partial<ServiceSpec>;

export interface SpecReading {
  /** null = there are problems. */
  readonly spec: ServiceSpec | null;
  readonly sketch: SpecSketch;
  readonly problems: readonly Problem[];
}

export interface SpecOptions {
  /** What the body changes, as a JSON merge patch (RFC 7396); null = the body is all there is. */
  readonly base: ServiceSpec | null;
  /** Whether a current service has this name. A spec without a name, and a clone without a free one, get a new one. */
  readonly taken: (name: string) => boolean;
  /** The result is another service than `base` is. */
  readonly clone: boolean;
}

const ANSWER_ONLY = Object.keys(SERVICE_VIEW.properties ?? {});

/** Reads what a client says about a service: every wrong field at once, every default filled in. */
export function readSpec(body: unknown, options: SpecOptions): SpecReading {
  const { base } = options;
  const reading = readBody(body, base === null ? SERVICE_BODY : SERVICE_CHANGE, ANSWER_ONLY);
  const given = isObject(reading.value) ? reading.value : {};
  const merged = base === null ? new Map(Object.entries(given)) : merge({ ...base }, given, SERVICE_BODY);
  const draft = new Draft(merged, reading.problems);
  fillName(draft, given, options);
  checkReplicas(draft, given);
  checkSource(draft);
  const { sketch, problems } = draft;
  return { spec: problems.length === 0 ? (sketch as ServiceSpec) : null, sketch, problems };
}

/** The revision that a client wants back. Throws `InvalidRequest`. */
export function readRollback(body: unknown): number {
  const { value, problems } = readBody(body, ROLLBACK_BODY);
  if (problems.length > 0) throw new InvalidRequest(problems);
  return (value as { revision: number }).revision;
}

/** A spec on its way. A field that is wrong is undefined. */
class Draft {
  readonly problems: Problem[];
  readonly #fields: Map<string, unknown>;

  constructor(fields: Map<string, unknown>, problems: readonly Problem[]) {
    this.#fields = fields;
    this.problems = [...problems];
  }

  /** undefined = wrong, or not there. */
  get<K extends keyof ServiceSpec>(field: K): ServiceSpec[K] | undefined {
    return this.#fields.get(field) as ServiceSpec[K] | undefined;
  }

  has(field: keyof ServiceSpec): boolean {
    return this.#fields.has(field);
  }

  set<K extends keyof ServiceSpec>(field: K, value: ServiceSpec[K] | undefined): void {
    this.#fields.set(field, value);
  }

  wrong(field: keyof ServiceSpec, problem: Problem): void {
    this.problems.push(problem);
    this.set(field, undefined);
  }

  /** In the order of the schema, so that equal specs are equal as JSON. */
  get sketch(): SpecSketch {
    const fields = Object.keys(SERVICE_BODY.properties ?? {}).map(
      (key) => [key, this.#fields.get(key)] as const,
    );
    return Object.fromEntries(fields.filter(([, value]) => isWhole(value)));
  }
}

/** RFC 7396, where null takes a field to its default. */
function merge(
  base: Readonly<Record<string, unknown>>,
  patch: Readonly<Record<string, unknown>>,
  schema: Schema,
): Map<string, unknown> {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(patch)) {
    const property = schema.properties?.[key] ?? {};
    const before = base[key];
    const byDefault = defaultOf(property);
    if (value === null && byDefault === undefined) merged.delete(key);
    else if (value === null) merged.set(key, byDefault);
    else if (property.type === 'object' && isObject(before) && isObject(value)) {
      merged.set(key, Object.fromEntries(merge(before, value, property)));
    } else merged.set(key, value);
  }
  return merged;
}

function fillName(
  draft: Draft,
  given: Readonly<Record<string, unknown>>,
  { clone, taken }: SpecOptions,
): void {
  const name = draft.get('name');
  const kept = clone && !Object.hasOwn(given, 'name') && name !== undefined;
  if (!draft.has('name') || (name as string | null) === null || (kept && taken(name))) {
    draft.set('name', generateName(taken));
  }
}

function checkReplicas(draft: Draft, given: Readonly<Record<string, unknown>>): void {
  const [least, most] = [draft.get('minReplicas'), draft.get('maxReplicas')];
  if (most === undefined) return;
  if (draft.get('fixedPort') === true && most > 1) {
    const message = `${most} replicas cannot share one port; with fixedPort, expected 1`;
    draft.wrong('maxReplicas', { field: 'maxReplicas', message });
  } else if (least !== undefined && least > most) {
    const field = Object.hasOwn(given, 'maxReplicas') ? 'maxReplicas' : 'minReplicas';
    const message =
      field === 'maxReplicas'
        ? `${most} is below minReplicas; expected ${least} at least`
        : `${least} is above maxReplicas; expected ${most} at most`;
    draft.wrong(field, { field, message });
  }
}

/** Where a part of the source is wrong already, the others are checked with something right in its place. */
function checkSource(draft: Draft): void {
  const git: Partial<GitSource> | undefined = draft.get('git');
  if (git === undefined) return;
  const {
    repository = 'https://git.example.com/app',
    branch = null,
    commit = null,
    credentials = null,
  } = git;
  for (const problem of sourceProblems({ repository, branch, commit, credentials })) {
    const part = problem.field.slice('git.'.length) as keyof GitSource;
    if (git[part] !== undefined) draft.wrong('git', problem);
  }
}

function isWhole(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value !== undefined;
  return Object.values(value).every(isWhole);
}
