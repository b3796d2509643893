import * as fc from 'fast-check';

/** JSON Schema as far as the admin API's document uses it. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly propertyNames?: JsonSchema;
  readonly maxProperties?: number;
  readonly items?: JsonSchema;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly JsonSchema[];
  readonly examples?: readonly unknown[];
}

/** Most members of a list or a map that are made up. */
const FEW = 3;

/** Values that the schema allows; where it gives examples, these too. `resolve` finds what a `$ref` names. */
export function valuesOf(schema: JsonSchema, resolve: (ref: string) => JsonSchema): fc.Arbitrary<unknown> {
  const made = madeUp(schema, resolve);
  return schema.examples === undefined ? made : fc.oneof(fc.constantFrom(...schema.examples), made);
}

function madeUp(schema: JsonSchema, resolve: (ref: string) => JsonSchema): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return valuesOf(resolve(schema.$ref), resolve);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((each) => valuesOf(each, resolve)));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'string':
      return texts(schema);
    case 'integer': {
      const { minimum: min = 0, maximum = 1000 } = schema;
      return fc.oneof(fc.constant(min), fc.integer({ min, max: Math.min(maximum, 2 ** 31 - 1) }));
    }
    case 'number':
      return fc.double({ min: schema.minimum ?? 0, noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      const items = valuesOf(schema.items ?? {}, resolve);
      const maxLength = Math.min(schema.maxItems ?? FEW, FEW);
      const selector = (value: unknown) => JSON.stringify(value);
      return schema.uniqueItems === true
        ? fc.uniqueArray(items, { maxLength, selector })
        : fc.array(items, { maxLength });
    }
    case 'object':
      return objects(schema, resolve);
    default:
      return fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('__proto__'));
  }
}

function texts({ pattern, minLength = 0, maxLength = Infinity }: JsonSchema): fc.Arbitrary<string> {
  if (pattern === undefined) return fc.string({ minLength, maxLength: Math.min(maxLength, 50) });
  const whole = new RegExp(pattern, 'u');
  // fast-check makes no text for a lookahead: what it is there to keep out is filtered out.
  return fc
    .stringMatching(new RegExp(withoutLookaheads(pattern), 'u'))
    .filter((text) => whole.test(text) && text.length >= minLength && text.length <= maxLength);
}

function withoutLookaheads(pattern: string): string {
  let kept = '';
  /** Groups that are open, counted from the outermost lookahead on; 0 = outside. */
  let depth = 0;
  for (const [token] of pattern.matchAll(/\\.|\[(?:[^\]\\]|\\.)*\]|\(\?[=!]|[^]/g)) {
    if (token === '(?=' || token === '(?!' || (depth > 0 && token === '(')) depth++;
    else if (depth > 0 && token === ')') depth--;
    else if (depth === 0) kept += token;
  }
  return kept;
}

function objects(schema: JsonSchema, resolve: (ref: string) => JsonSchema): fc.Arbitrary<unknown> {
  const { properties, required = [], additionalProperties } = schema;
  if (properties !== undefined) {
    const fields = Object.entries(properties).map(([name, each]) => [name, valuesOf(each, resolve)] as const);
    return fc.record(Object.fromEntries(fields), { requiredKeys: [...required], noNullPrototype: true });
  }
  const names = texts(schema.propertyNames ?? {}).filter((name) => name !== '__proto__');
  const values = valuesOf(typeof additionalProperties === 'object' ? additionalProperties : {}, resolve);
  const maxKeys = Math.min(schema.maxProperties ?? FEW, FEW);
  return fc.dictionary(names, values, { maxKeys, noNullPrototype: true });
}
