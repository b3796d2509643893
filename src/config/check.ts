import { quote } from '../text/quote.ts';
import { suggest } from '../text/suggest.ts';
import type { Faults, Place } from './faults.ts';
import { FormatError, INTERPOLATED, formatOf } from './formats.ts';
import type { Interpolation } from './interpolate.ts';
import { hasReference, withoutDefaults } from './interpolate.ts';
import type { ListTree, MapTree, ScalarTree, Tree } from './yaml-tree.ts';
import { childPath } from './yaml-tree.ts';

/** The part of JSON Schema (draft 7) that config/schema.json is made of. */
export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly minItems?: number;
  readonly anyOf?: readonly SchemaNode[];
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly writeOnly?: boolean;
}

/** What stands at a path of the file: where, and how a message may show it. */
export interface Given {
  readonly place: Place;
  readonly shown: string;
}

/** Ten thousand routes with everything set are half of this. */
const MOST_VALUES = 500_000;

class TooManyValues extends Error {}

/**
 * Checks a tree against the schema and decodes it: strings of a format become what they mean, references are
 * replaced, defaults filled in. What is wrong is reported and left undefined, so that the rest is checked all the same.
 */
export class Checker {
  readonly #faults: Faults;
  readonly #interpolation: Interpolation;
  readonly #given = new Map<string, Given>();
  #values = 0;

  constructor(faults: Faults, interpolation: Interpolation) {
    this.#faults = faults;
    this.#interpolation = interpolation;
  }

  /** Whether the file itself has a value at the path, be it right or wrong. */
  has(path: string): boolean {
    return this.#given.has(path);
  }

  /** What the file says at the path, or else at the nearest one that leads to it. */
  given(path: string): Given {
    for (let at = path; ; at = at.slice(0, Math.max(at.lastIndexOf('.'), at.lastIndexOf('['), 0))) {
      const given = this.#given.get(at);
      if (given !== undefined) return given;
      if (at === '') return { place: { line: 1, column: 1 }, shown: '' };
    }
  }

  check(tree: Tree, schema: SchemaNode): unknown {
    try {
      return this.#node(tree, schema, '');
    } catch (error) {
      if (!(error instanceof TooManyValues)) throw error;
      this.#faults.add(tree.place, '', `the file has, with its aliases, more than ${MOST_VALUES} values`);
      return undefined;
    }
  }

  /** Decodes a value that does not stand in the file; it has to be right. */
  decode(value: unknown, schema: SchemaNode): unknown {
    if (schema.properties !== undefined) {
      const given = value as Readonly<Record<string, unknown>>;
      const decoded = Object.entries(schema.properties).flatMap(([key, property]) => {
        const content = Object.hasOwn(given, key) ? given[key] : property.default;
        return content === undefined ? [] : [[key, this.decode(content, property)] as const];
      });
      return Object.fromEntries(decoded);
    }
    if (schema.items !== undefined) {
      const { items } = schema;
      return (value as readonly unknown[]).map((item) => this.decode(item, items));
    }
    return schema.pattern === undefined ? value : formatOf(schema.pattern).decode(value as string);
  }

  #node(tree: Tree, schema: SchemaNode, path: string): unknown {
    this.#values += 1;
    if (this.#values > MOST_VALUES) throw new TooManyValues();
    if (tree.kind === 'unreadable') {
      this.#given.set(path, { place: tree.place, shown: 'the value' });
      return undefined;
    }
    this.#given.set(path, { place: tree.place, shown: show(tree, schema) });
    if (schema.properties !== undefined) return this.#section(tree, schema.properties, schema, path);
    if (schema.items !== undefined) return this.#list(tree, schema.items, schema, path);
    return this.#leaf(tree, schema, path);
  }

  #section(
    tree: Exclude<Tree, { kind: 'unreadable' }>,
    properties: NonNullable<SchemaNode['properties']>,
    schema: SchemaNode,
    path: string,
  ): unknown {
    if (tree.kind !== 'map') return this.#wrong(tree, schema, path);
    this.#unknownKeys(tree, properties, path);
    const decoded: Record<string, unknown> = {};
    for (const [key, property] of Object.entries(properties)) {
      const entry = tree.entries.get(key);
      if (entry !== undefined) {
        decoded[key] = this.#node(entry.value, property, childPath(path, key));
      } else if (property.default !== undefined) {
        decoded[key] = this.decode(property.default, property);
      } else if (schema.required?.includes(key) === true) {
        this.#faults.add(tree.place, childPath(path, key), `is missing; expected ${nounOf(property)}`);
      }
    }
    return decoded;
  }

  #unknownKeys(tree: MapTree, properties: NonNullable<SchemaNode['properties']>, path: string): void {
    const known = Object.keys(properties);
    for (const [key, { place }] of tree.entries) {
      if (known.includes(key)) continue;
      const meant = suggest(key, known);
      const hint = meant === null ? `expected one of ${known.join(', ')}` : `did you mean ${meant}?`;
      this.#faults.add(place, path, `${quote(key)} is not a key here; ${hint}`);
    }
  }

  #list(
    tree: Exclude<Tree, { kind: 'unreadable' }>,
    items: SchemaNode,
    schema: SchemaNode,
    path: string,
  ): unknown {
    if (tree.kind !== 'list') return this.#wrong(tree, schema, path);
    if (tree.items.length < (schema.minItems ?? 0)) {
      this.#faults.add(tree.place, path, 'is an empty list; it needs one entry at least');
      return undefined;
    }
    return tree.items.map((item, i) => this.#node(item, items, `${path}[${i}]`));
  }

  #leaf(tree: MapTree | ListTree | ScalarTree, schema: SchemaNode, path: string): unknown {
    if (tree.kind !== 'scalar') return this.#wrong(tree, schema, path);
    const candidates = this.#readings(tree, path);
    if (candidates === null) return undefined;
    let why = '';
    for (const option of optionsOf(schema)) {
      for (const candidate of candidates) {
        try {
          return decodeLeaf(candidate, option);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          why ||= error.message;
        }
      }
    }
    return this.#wrong(tree, schema, path, why);
  }

  /** What a scalar may mean: itself, or the text of its references, which may also be a number or a boolean. */
  #readings({ value, place }: ScalarTree, path: string): readonly ScalarTree['value'][] | null {
    if (typeof value !== 'string' || !hasReference(value)) return [value];
    const expansion = this.#interpolation.expand(value);
    if (!expansion.ok) {
      for (const problem of expansion.problems) this.#faults.add(place, path, problem);
      return null;
    }
    const { text, whole } = expansion;
    if (whole && /^-?[0-9]{1,15}$/.test(text)) return [text, Number(text)];
    if (whole && (text === 'true' || text === 'false')) return [text, text === 'true'];
    return [text];
  }

  #wrong(tree: MapTree | ListTree | ScalarTree, schema: SchemaNode, path: string, why = ''): unknown {
    const reason = why === '' ? '' : `: ${why}`;
    const expected = expectationOf(schema);
    const rest = expected === '' ? '' : `; expected ${expected}`;
    const hint = tree.kind === 'scalar' && needsQuotes(tree.value, schema) ? ' (in quotes)' : '';
    const message =
      tree.kind === 'scalar' && tree.value === null
        ? `has no value; expected ${expected === '' ? nounOf(schema) : expected}`
        : `${show(tree, schema)} is not ${nounOf(schema)}${reason}${rest}${hint}`;
    this.#faults.add(tree.place, path, message);
    return undefined;
  }
}

/** The alternatives of a leaf, without the one that only tells editors that a reference may stand there. */
function optionsOf(schema: SchemaNode): readonly SchemaNode[] {
  return (schema.anyOf ?? [schema]).filter((option) => option.pattern !== INTERPOLATED);
}

function decodeLeaf(value: ScalarTree['value'], option: SchemaNode): unknown {
  if (option.type === 'null' && value === null) return null;
  if (option.type === 'boolean' && typeof value === 'boolean') return value;
  if (option.type === 'integer' && typeof value === 'number') {
    const { minimum = -Infinity, maximum = Infinity } = option;
    if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  }
  if (option.type === 'string' && typeof value === 'string') {
    if (option.pattern !== undefined) return formatOf(option.pattern).decode(value);
    if (option.const === value || option.enum?.includes(value) === true) return value;
  }
  throw new FormatError();
}

function needsQuotes(value: ScalarTree['value'], schema: SchemaNode): boolean {
  if (value === null || typeof value === 'string') return false;
  try {
    return optionsOf(schema).some((option) => decodeLeaf(String(value), option) !== undefined);
  } catch {
    return false;
  }
}

/** The kind of thing that is wanted, with its article. */
function nounOf(schema: SchemaNode): string {
  if (schema.properties !== undefined) return 'a section';
  if (schema.items !== undefined) return 'a list';
  return optionsOf(schema)
    .map((option) => {
      if (option.const !== undefined) return option.const;
      if (option.enum !== undefined) return `one of ${option.enum.join(', ')}`;
      if (option.pattern !== undefined) return formatOf(option.pattern).noun;
      if (option.type === 'integer')
        return `a whole number from ${option.minimum ?? 0} to ${option.maximum ?? 0}`;
      return option.type === 'boolean' ? 'true or false' : 'null';
    })
    .join(' or ');
}

function expectationOf(schema: SchemaNode): string {
  if (schema.properties !== undefined) return `the keys ${Object.keys(schema.properties).join(', ')}`;
  return schema.pattern === undefined ? '' : formatOf(schema.pattern).expected;
}

function show(tree: MapTree | ListTree | ScalarTree, schema: SchemaNode): string {
  if (tree.kind !== 'scalar') return tree.kind === 'list' ? 'a list' : 'a section';
  if (schema.writeOnly === true) return 'the value';
  if (typeof tree.value !== 'string' || !hasReference(tree.value)) return quote(tree.value);
  return `the value of ${quote(withoutDefaults(tree.value))}`;
}
