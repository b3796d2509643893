import { Readable } from 'node:stream';
import { inChunks } from './in-chunks.ts';
import type { Result } from './operation.ts';

/** Lines for people. */
export const LINES_TYPE = 'text/plain; charset=utf-8';

/** RFC 9512. */
export const YAML_TYPE = 'application/yaml';

export function ok(value: unknown, status = 200): Result {
  // As bytes: to a string Fastify would add a charset, which JSON has none of (RFC 8259 section 11).
  return { status, type: 'application/json', content: Buffer.from(JSON.stringify(value)) };
}

/** An object, since to a bare array nothing can ever be added. */
export function list(items: readonly unknown[]): Result {
  return ok({ items });
}

export function created(value: unknown, location: string): Result {
  return { ...ok(value, 201), headers: { location } };
}

export function done(): Result {
  return { status: 204, type: null, content: null };
}

export function text(type: string, content: string): Result {
  return { status: 200, type, content: Buffer.from(content) };
}

/**
 * Lines without their ends, sent as fast as the client takes them. Where they are `awaited`, the client knows at once
 * that it will get them.
 */
export function lines(source: AsyncIterable<string>, awaited: boolean): Result {
  const content = Readable.from(inChunks(source), { highWaterMark: 1 });
  return { status: 200, type: LINES_TYPE, content, atOnce: awaited };
}
