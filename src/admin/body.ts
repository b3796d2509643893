import type { IncomingHttpHeaders } from 'node:http';
import { InvalidRequest, Refusal } from '../errors.ts';
import type { Operation } from './operation.ts';
import { parseJson } from './parse-json.ts';

const JSON_TYPE = /^application\/(?:[\w!#$&^.+-]+\+)?json[ \t]*(?:;|$)/i;

/** Refuses, by the header alone, a body that is no JSON. Throws `unsupported_media_type`. */
export function checkBodyType(headers: IncomingHttpHeaders): void {
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  if (empty) return;
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) {
    throw new Refusal('unsupported_media_type', 'The body has to be application/json');
  }
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
    throw new Refusal('unsupported_media_type', 'The body may not have a content encoding');
  }
}

/**
 * What the body says, or undefined for an operation that has none. Throws `malformed_request` for what is no JSON,
 * and `InvalidRequest` for what is no object.
 */
export function readBody(bytes: Buffer | null, operation: Pick<Operation, 'body'>): unknown {
  const { body } = operation;
  if (bytes === null || bytes.length === 0) {
    if (body === undefined) return undefined;
    if (body.optional === true) return {};
    throw new InvalidRequest([{ field: 'body', message: 'is missing; a JSON object is expected' }]);
  }
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidRequest([{ field: 'body', message: 'has to be a JSON object' }]);
  }
  if (body !== undefined) return value;
  if (Object.keys(value).length === 0) return undefined;
  throw new InvalidRequest([{ field: 'body', message: 'has to be empty: there is nothing to choose here' }]);
}
