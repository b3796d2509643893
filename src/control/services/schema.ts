import type { Notation } from './notations.ts';

/**
 * JSON Schema (draft 2020-12) as far as the admin API needs it; OpenAPI 3.1 takes it as it is. Written as data, without
 * a library: to load one would cost a tenth of a second at every start.
 */
export interface Schema {
  readonly title?: string;
  readonly description?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null';
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Of a map: what every value is. */
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly format?: 'date-time';
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly writeOnly?: boolean;
}

interface Notes {
  readonly description: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly writeOnly?: true;
}

/** Text of a notation. */
export function text({ pattern, longest }: Notation, notes: Notes & { readonly maxLength?: number }): Schema {
  return { type: 'string', pattern, maxLength: longest, ...notes };
}

/** Text of any form; in answers only. */
export function anyText(description: string): Schema {
  return { type: 'string', description };
}

export function time(description: string): Schema {
  return { type: 'string', format: 'date-time', description };
}

export function oneOf(values: readonly string[], notes: Notes): Schema {
  return { type: 'string', enum: values, ...notes };
}

export function integer(minimum: number, maximum: number, notes: Notes): Schema {
  return { type: 'integer', minimum, maximum, ...notes };
}

export function flag(notes: Notes): Schema {
  return { type: 'boolean', ...notes };
}

export function list(items: Schema, notes: Notes & { maxItems?: number; uniqueItems?: true }): Schema {
  return { type: 'array', items, ...notes };
}

/** Names of a notation, each with a value. */
export function map(
  names: Notation,
  values: Schema,
  notes: Notes & { readonly maxProperties: number },
): Schema {
  const propertyNames: Schema = { type: 'string', pattern: names.pattern, maxLength: names.longest };
  return { type: 'object', propertyNames, additionalProperties: values, ...notes };
}

/** JSON of any kind inside an object, passed on as it is. */
export function anyObject(notes: Notes): Schema {
  return { type: 'object', additionalProperties: true, ...notes };
}

/** Named fields; those of `required` have to be there. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
  notes: Notes & { readonly title?: string },
): Schema {
  return { type: 'object', additionalProperties: false, properties, required, ...notes };
}

/** Or null, which may say more than `null` alone: `description` and `default` move to the outside. */
export function nullable(schema: Schema): Schema {
  if (schema.anyOf !== undefined) return schema;
  const { description, default: byDefault, ...rest } = schema;
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf: [rest, { type: 'null' }],
  };
}

/** The same thing in an answer: every field is there, none is a default, and nothing is unknown. */
export function answered(schema: Schema): Schema {
  const { properties, items, anyOf, ...rest } = without(schema, ['default', 'examples']);
  return {
    ...rest,
    ...(properties && { properties: mapValues(properties, answered), required: Object.keys(properties) }),
    ...(items && { items: answered(items) }),
    ...(anyOf && { anyOf: anyOf.map(answered) }),
  };
}

/**
 * A JSON merge patch (RFC 7396) of the same thing: every field may be left out, and null takes one that need not be
 * given back to its default.
 */
export function patchOf(schema: Schema): Schema {
  if (schema.type !== 'object') return without(schema, ['default']);
  const { properties, additionalProperties, ...rest } = without(schema, ['default', 'required']);
  const patched = ([key, value]: [string, Schema]) =>
    [key, schema.required?.includes(key) === true ? patchOf(value) : nullable(patchOf(value))] as const;
  return {
    ...rest,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(patched)) }),
    ...(additionalProperties !== undefined && {
      additionalProperties:
        typeof additionalProperties === 'object' ? nullable(additionalProperties) : additionalProperties,
    }),
  };
}

function without(schema: Schema, keys: readonly (keyof Schema)[]): Schema {
  return Object.fromEntries(
    Object.entries(schema).filter(([key]) => !(keys as readonly string[]).includes(key)),
  );
}

function mapValues(
  schemas: Readonly<Record<string, Schema>>,
  change: (schema: Schema) => Schema,
): Readonly<Record<string, Schema>> {
  return Object.fromEntries(Object.entries(schemas).map(([key, value]) => [key, change(value)]));
}
