import type { Problem } from '../../contracts/service.ts';
import { quote } from '../../text/quote.ts';
import { suggest } from '../../text/suggest.ts';
import { fieldsOf, kindOf, nounOf, quotesHint, showScalar } from './body-words.ts';
import { notationOf } from './notations.ts';
import type { Schema } from './schema.ts';

/** More than anybody reads, and less than a hostile body could ask for. */
const MOST_PROBLEMS = 100;

/** Of JSON that is passed on as it is. */
const DEEPEST = 20;

export interface Reading {
  /** With defaults filled in. What is wrong, at any depth, is undefined. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
}

/**
 * Checks the JSON of a client against a schema. `answerOnly`: fields that answers have and bodies do not, for a better
 * word than "unknown". Values of fields that are `writeOnly`, or that have the wrong type, are in no message.
 */
export function readBody(body: unknown, schema: Schema, answerOnly: readonly string[] = []): Reading {
  const reader = new Reader(answerOnly);
  const value = reader.read(body, schema, '');
  return { value, problems: reader.problems };
}

/** Checks one text, such as a name in a URL: what is wrong with it, or null. */
export function textProblem(value: string, schema: Schema, field: string): Problem | null {
  const reader = new Reader([]);
  reader.read(value, schema, field);
  return reader.problems[0] ?? null;
}

/** The default of a field, with those of its own fields; undefined = it has none. */
export function defaultOf(schema: Schema): unknown {
  if (schema.default === undefined || schema.properties === undefined) return schema.default;
  const entries = Object.entries(schema.properties).map(
    ([key, property]) => [key, defaultOf(property)] as const,
  );
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

class Reader {
  readonly problems: Problem[] = [];
  readonly #answerOnly: readonly string[];

  constructor(answerOnly: readonly string[]) {
    this.#answerOnly = answerOnly;
  }

  read(value: unknown, schema: Schema, path: string): unknown {
    if (schema.anyOf !== undefined) {
      const [some] = schema.anyOf;
      return value === null || some === undefined ? null : this.read(value, some, path);
    }
    switch (schema.type) {
      case 'object':
        return this.#object(value, schema, path);
      case 'array':
        return this.#list(value, schema, path);
      case 'string':
        return this.#text(value, schema, path);
      case 'integer':
        return this.#integer(value, schema, path);
      case 'boolean':
        return typeof value === 'boolean' ? value : this.#wrongScalar(value, schema, path);
      default:
        return depthOf(value) > DEEPEST ? this.#wrong(path, `more than ${DEEPEST} levels deep`) : value;
    }
  }

  #object(value: unknown, schema: Schema, path: string): unknown {
    if (!isObject(value)) return this.#wrong(path, `${kindOf(value)}; expected an object${fieldsOf(schema)}`);
    if (schema.properties !== undefined) return this.#fields(value, schema, schema.properties, path);
    if (typeof schema.additionalProperties === 'object') {
      return this.#map(value, schema, schema.additionalProperties, path);
    }
    return depthOf(value) > DEEPEST ? this.#wrong(path, `more than ${DEEPEST} levels deep`) : value;
  }

  #fields(
    value: Readonly<Record<string, unknown>>,
    schema: Schema,
    properties: NonNullable<Schema['properties']>,
    path: string,
  ): unknown {
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(properties, key)) this.#unknown(key, Object.keys(properties), path);
    }
    const read = Object.entries(properties).flatMap(([key, property]) => {
      const at = childPath(path, key);
      if (Object.hasOwn(value, key)) return [[key, this.read(value[key], property, at)] as const];
      if (schema.required?.includes(key) === true) {
        return [[key, this.#report(at, `is missing; expected ${nounOf(property)}`)] as const];
      }
      const byDefault = defaultOf(property);
      return byDefault === undefined ? [] : [[key, byDefault] as const];
    });
    return Object.fromEntries(read);
  }

  #unknown(key: string, known: readonly string[], path: string): void {
    if (this.#full) return;
    if (path === '' && this.#answerOnly.includes(key)) {
      this.#report(key, 'is set by Realmgate and cannot be given; leave it out');
      return;
    }
    const meant = suggest(key, known);
    const hint = meant === null ? `expected ${known.join(', ')}` : `did you mean ${meant}?`;
    this.#report(childPath(path, key), `is not a field here; ${hint}`);
  }

  #map(value: Readonly<Record<string, unknown>>, schema: Schema, values: Schema, path: string): unknown {
    const keys = Object.keys(value);
    const most = schema.maxProperties ?? Infinity;
    if (keys.length > most) return this.#wrong(path, `${keys.length} entries; at most ${most} are possible`);
    const names = schema.propertyNames ?? {};
    return Object.fromEntries(
      keys.map((key) => {
        const at = childPath(path, key);
        const named = this.read(key, names, at);
        const read = this.read(value[key], values, at);
        return [key, named === undefined ? undefined : read];
      }),
    );
  }

  #list(value: unknown, schema: Schema, path: string): unknown {
    const { items = {}, maxItems = Infinity, uniqueItems = false } = schema;
    if (!Array.isArray(value)) return this.#wrong(path, `${kindOf(value)}; expected a list`);
    if (value.length > maxItems) {
      return this.#wrong(path, `${value.length} entries; at most ${maxItems} are possible`);
    }
    const seen = new Set<unknown>();
    return value.map((item: unknown, i) => {
      const read = this.read(item, items, `${path}[${i}]`);
      if (uniqueItems && read !== undefined && seen.has(read)) {
        return this.#report(`${path}[${i}]`, `${quote(read as string)} stands in the list twice`);
      }
      seen.add(read);
      return read;
    });
  }

  #text(value: unknown, schema: Schema, path: string): unknown {
    if (typeof value !== 'string') return this.#wrongScalar(value, schema, path);
    const shown = schema.writeOnly === true ? 'the value' : quote(value);
    if (schema.enum?.includes(value) === false) {
      return this.#report(path, `${shown} is not ${nounOf(schema)}`);
    }
    if (schema.pattern === undefined) return value;
    const { noun, expected, expression, fault } = notationOf(schema.pattern);
    const { maxLength: longest = Infinity } = schema;
    const why = !value.isWellFormed()
      ? 'it is not valid Unicode'
      : isLonger(value, longest)
        ? `it has more than ${longest} characters`
        : fault(value);
    if (why === null && expression.test(value)) return value;
    return this.#report(
      path,
      `${shown} is not ${noun}${why === null ? '' : `: ${why}`}${expected === noun ? '' : `; expected ${expected}`}`,
    );
  }

  #integer(value: unknown, schema: Schema, path: string): unknown {
    const { minimum = -Infinity, maximum = Infinity } = schema;
    if (typeof value !== 'number') return this.#wrongScalar(value, schema, path);
    if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
    return this.#report(path, `${value} is not ${nounOf(schema)}`);
  }

  /** Nothing more is told; to look for words that were meant would take seconds for a large body. */
  get #full(): boolean {
    return this.problems.length >= MOST_PROBLEMS;
  }

  #wrongScalar(value: unknown, schema: Schema, path: string): unknown {
    const shown = schema.writeOnly === true ? '' : showScalar(value);
    return this.#report(
      path,
      `${shown === '' ? '' : `${shown} `}is ${kindOf(value)}; expected ${nounOf(schema)}${quotesHint(value, schema)}`,
    );
  }

  #wrong(path: string, what: string): unknown {
    return this.#report(path, `is ${what}`);
  }

  /** A path can have any key of the client in it, and a message any value: the one is cut here, the other by `quote`. */
  #report(path: string, message: string): unknown {
    const field = path === '' ? 'body' : path.length > 200 ? `${path.slice(0, 197)}...` : path;
    if (!this.#full) this.problems.push({ field, message });
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function childPath(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** In characters, of which some are two units of UTF-16. */
function isLonger(text: string, longest: number): boolean {
  return text.length > 2 * longest || (text.length > longest && Array.from(text).length > longest);
}

function depthOf(value: unknown): number {
  let depth = 0;
  let level: readonly unknown[] = [value];
  // Level by level: a recursion could be made to overflow the stack.
  while (level.length > 0 && depth <= DEEPEST) {
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null ? (Object.values(each) as unknown[]) : [],
    );
    depth += 1;
  }
  return depth;
}
