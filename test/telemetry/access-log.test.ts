import { describe, expect, it } from 'vitest';
import { type AccessEntry, AccessLog } from '../../src/telemetry/access-log.ts';
import { accessEntry } from './fixtures/access-entry.ts';

function lineOf(fields: Partial<AccessEntry>): string {
  const lines: string[] = [];
  const take = (line: string): void => void lines.push(line);
  new AccessLog({ write: take, buffer: take, flush: () => undefined }, 'worker-1').write(accessEntry(fields));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]+\n$/);
  return lines[0]!;
}

function logged(fields: Partial<AccessEntry>): Record<string, unknown> {
  return JSON.parse(lineOf(fields)) as Record<string, unknown>;
}

describe('the access log', () => {
  it('has every field of a request', () => {
    const line = logged({});
    expect(line).toMatchObject({
      ...accessEntry(),
      level: 'info',
      name: 'worker-1',
      event: 'request',
      durationMs: 1.235,
    });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('has null for what there was none of', () => {
    const none = { route: null, code: null, upstreamMs: null, upstream: null, user: null, userAgent: null };
    expect(logged({ ...none, durationMs: NaN })).toMatchObject({ ...none, durationMs: null });
  });

  it.each([
    '/"},{"admin":true',
    '/\\',
    '/\n{"level":"fatal"}\n',
    '/\u0000\u0001\u001f\u007f',
    '/\u0080\u009b31m\u00ff',
    '/\u2028\u2029',
    '/\ud800 lone',
    '/😀',
    '/%00%0a<script>',
    '',
  ])('keeps the hostile path %j within its field', (path) => {
    const line = logged({ path, host: path, method: path, client: path, requestId: path, protocol: path });
    expect(Object.keys(line)).toHaveLength(21);
    for (const field of ['path', 'host', 'method', 'client', 'requestId', 'protocol']) {
      expect(line[field]).toBe(path);
    }
  });

  it('writes no control character, not even the C1 ones that JSON allows', () => {
    const every = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
    expect(lineOf({ path: every, userAgent: every, user: every }).slice(0, -1)).not.toMatch(
      /[\x00-\x1f\x7f-\x9f]/,
    );
  });

  it('logs no query', () => {
    expect(logged({ path: '/a/b?access_token=S3CRET&x=?' })['path']).toBe('/a/b');
    expect(logged({ path: '/a#access_token=S3CRET' })['path']).toBe('/a');
  });

  it('shows no credential that stood in the path, the host, the user or the user agent', () => {
    const jws = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.S3CRET';
    for (const text of [jws, `/x/${jws}/y`, 'Bearer S3CRET', '/;token=S3CRET', 'http://u:S3CRET@host/']) {
      for (const field of ['path', 'host', 'user', 'userAgent']) {
        expect(lineOf({ [field]: text })).not.toContain('S3CRET');
      }
    }
  });

  it('bounds the path at 1024 characters and the user agent at 256', () => {
    const line = logged({ path: `/${'p'.repeat(5000)}`, userAgent: 'u'.repeat(5000) });
    expect(line['path']).toHaveLength(1024);
    expect(line['path']).toMatch(/p…$/);
    expect(line['userAgent']).toHaveLength(256);
  });

  it('never makes a line that one write does not carry whole', () => {
    const worst = '\u0001'.repeat(50_000);
    const line = lineOf({
      path: worst,
      host: worst,
      userAgent: worst,
      user: worst,
      route: worst,
      upstream: worst,
      method: worst,
      requestId: worst,
      client: worst,
      protocol: worst,
    });
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(4096);
    expect(JSON.parse(line)).toMatchObject({ event: 'request', cut: expect.any(Number) as number });
  });
});
