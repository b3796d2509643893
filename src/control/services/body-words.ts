import { quote } from '../../text/quote.ts';
import { notationOf } from './notations.ts';
import type { Schema } from './schema.ts';

/** What a value is, where it should have been something else. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'object':
      return 'an object';
    case 'string':
      return 'text';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    default:
      return 'missing';
  }
}

/** The kind of thing that is wanted, with its article. */
export function nounOf(schema: Schema): string {
  const { type, minimum = 0, maximum = 0, pattern, anyOf } = schema;
  if (anyOf?.[0] !== undefined) return nounOf(anyOf[0]);
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (pattern !== undefined) {
    const { noun, expected } = notationOf(pattern);
    return noun === expected ? noun : `${noun}, ${expected}`;
  }
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`;
  if (type === 'object') return `an object${fieldsOf(schema)}`;
  if (type === 'boolean') return 'true or false';
  return type === 'array' ? 'a list' : 'a value';
}

/** JSON tells numbers from text, which is easily forgotten where the text is a number. */
export function quotesHint(value: unknown, { type }: Schema): string {
  return type === 'string' && ['number', 'boolean'].includes(typeof value) ? ' (in quotes)' : '';
}

/** A text, number or boolean for a message; '' for anything else. */
export function showScalar(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? quote(value)
    : '';
}

export function fieldsOf({ properties }: Schema): string {
  return properties === undefined ? '' : ` with ${Object.keys(properties).join(', ')}`;
}
