import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rawRequest } from '../support/raw-request.ts';
import { problemOf, service, start } from './support/start.ts';

describe('a query', () => {
  it.each([
    ['/api/v1/services?stauts=running', [['stauts', 'is not known here; there are status, q']]],
    ['/api/v1/services?__proto__=1', [['__proto__', 'is not known here; there are status, q']]],
    ['/api/v1/services/a?x', [['x', 'is not known here; there are no parameters']]],
    [
      '/api/v1/services?status=up&status=down',
      [
        ['status', 'has to be one of pending, starting, running, degraded, failed, cancelled'],
        ['status', 'is given twice'],
      ],
    ],
    [
      '/api/v1/services/a/logs?tail=-1&follow=yes',
      [
        ['tail', 'has to be a whole number from 0 to 1000000'],
        ['follow', 'has to be true or false'],
      ],
    ],
    ['/api/v1/audit?limit=0', [['limit', 'has to be a whole number from 1 to 1000']]],
    ['/api/v1/audit?before=1e3', [['before', 'has to be a whole number from 0 to 9007199254740991']]],
    ['/healthz?x=1', [['x', 'is not known here; there are no parameters']]],
  ])('%s is refused with every wrong parameter', async (path, errors) => {
    const { call, control } = await start();
    await control.createService(service('a'), 'x');
    const response = await call('viewer', 'GET', path);
    expect(response.status).toBe(400);
    expect(await problemOf(response)).toMatchObject({
      code: 'invalid_request',
      errors: errors.map(([field, message]) => ({ field, message })),
    });
  });
});

describe('a body', () => {
  const target = '/api/v1/services';

  async function send(
    headers: Record<string, string>,
    body: string | Uint8Array<ArrayBuffer>,
    path = target,
  ) {
    const { url } = await start();
    return fetch(url + path, {
      method: 'POST',
      headers: { authorization: 'Bearer developer', ...headers },
      body,
    });
  }

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/Merge-Patch+JSON'])(
    'of the type %s is read',
    async (type) => {
      expect((await send({ 'content-type': type }, JSON.stringify(service('a')))).status).toBe(201);
    },
  );

  it.each([
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['application/jsonp'],
    ['application/json-seq'],
    ['text/json'],
    ['json'],
  ])('of the type %s is 415', async (type) => {
    const response = await send({ 'content-type': type }, '{}');
    expect(response.status).toBe(415);
    expect(await problemOf(response)).toMatchObject({ code: 'unsupported_media_type' });
  });

  it('without a type, or compressed, is 415', async () => {
    expect((await send({}, new TextEncoder().encode('{}'))).status).toBe(415);
    const compressed = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    expect((await send(compressed, '{}')).status).toBe(415);
  });

  it('that is no JSON is 400 with the place', async () => {
    const response = await send({ 'content-type': 'application/json' }, '{\n "name": a}');
    expect(await problemOf(response)).toMatchObject({
      status: 400,
      code: 'malformed_request',
      detail: 'The body is not valid JSON: a value is expected, at line 2, column 10',
    });
  });

  it.each(['', '[]', 'null', '"x"', '1'])('%j is no object, and so 400', async (body) => {
    const response = await send({ 'content-type': 'application/json' }, body);
    expect(await problemOf(response)).toMatchObject({
      code: 'invalid_request',
      errors: [{ field: 'body' }],
    });
  });

  it('where none is expected may be an empty object, and nothing else', async () => {
    const { call, control } = await start();
    await control.createService(service('a'), 'x');
    const restart = (body?: string) => call('developer', 'POST', `${target}/a/restart`, body);
    expect((await restart()).status).toBe(200);
    expect((await restart('{}')).status).toBe(200);
    expect(await problemOf(await restart('{"force":true}'))).toMatchObject({ code: 'invalid_request' });
  });

  it('of more than 1 MiB is 413', async () => {
    const response = await send({ 'content-type': 'application/json' }, `"${'a'.repeat(1024 * 1024)}"`);
    expect(response.status).toBe(413);
    expect(await problemOf(response)).toMatchObject({ code: 'body_too_large' });
  });

  it('that does not come as announced costs nobody anything', async () => {
    const { url, logged } = await start();
    const head = `POST ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer developer\r\n`;
    const partial = 'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
    const { text } = await rawRequest(Number(new URL(url).port), head + partial, { halfClose: true });
    expect(text).toMatch(/^(HTTP\/1\.1 400 |$)/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(logged.filter((line) => 'err' in line)).toEqual([]);
  });
});

describe('methods', () => {
  it('HEAD is GET without its body', async () => {
    const { call } = await start();
    const response = await call('viewer', 'HEAD', '/api/v1/services');
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(response.headers.get('content-length')).toBe('12');
    expect((await call(null, 'HEAD', '/api/v1/services')).status).toBe(401);
  });

  it.each([
    ['DELETE', '/api/v1/services', 'GET, HEAD, POST'],
    ['OPTIONS', '/api/v1/services', 'GET, HEAD, POST'],
    ['PUT', '/api/v1/services/a', 'GET, HEAD, PATCH'],
    ['GET', '/api/v1/services/a/cancel', 'POST'],
    ['PATCH', '/api/v1/secrets/a', 'GET, HEAD, PUT, DELETE'],
    ['POST', '/api/v1/audit', 'GET, HEAD'],
  ])('%s on %s is 405 and says what is allowed', async (method, path, allow) => {
    const { call } = await start();
    const response = await call('viewer', method, path);
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow]);
    expect(await problemOf(response)).toMatchObject({ code: 'method_not_allowed' });
  });
});

describe('a path', () => {
  it.each(['/api/v1/services/%ff', '/api/v1/services/%zz', '/api/v1/secrets/%'])(
    '%s has an invalid escape, and is 400 for everyone',
    async (path) => {
      const { call } = await start();
      const response = await call(null, 'GET', path);
      expect(await problemOf(response)).toMatchObject({ status: 400, code: 'malformed_request' });
    },
  );

  it('has a name as it is after decoding', async () => {
    const { call } = await start();
    const response = await call('developer', 'PUT', '/api/v1/secrets/%61%2Fb', { data: {} });
    expect(await problemOf(response)).toMatchObject({ code: 'invalid_request', errors: [{ field: 'name' }] });
    expect(
      (await call('developer', 'PUT', '/api/v1/secrets/%61', { data: {} })).headers.get('location'),
    ).toBe('/api/v1/secrets/a');
  });
});

describe('every answer', () => {
  it.each([
    ['admin', 'GET', '/api/v1/services'],
    [null, 'GET', '/api/v1/services'],
    ['admin', 'GET', '/api/v1/nothing'],
    [null, 'GET', '/healthz'],
    [null, 'GET', '/%zz'],
  ] as const)(
    'to %s %s %s tells a browser to keep, guess, frame and share nothing',
    async (token, method, path) => {
      const { call } = await start();
      const { headers } = await call(token, method, path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('set-cookie')).toBeNull();
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
    },
  );
});

describe('the documentation', () => {
  it('is a page without scripts that needs no token and nothing from elsewhere', async () => {
    const { call } = await start();
    const response = await call(null, 'GET', '/api/docs');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const page = await response.text();
    const style = createHash('sha256').update(/<style>([^]*)<\/style>/.exec(page)![1]!);
    expect(response.headers.get('content-security-policy')).toBe(
      `default-src 'none'; style-src 'sha256-${style.digest('base64')}'; frame-ancestors 'none'; ` +
        "base-uri 'none'; form-action 'none'",
    );
    expect(page).not.toMatch(
      /<script|style="|\son\w+=|(?:src|href)="(?!#|openapi\.json")|undefined|\[object/,
    );
    expect(page).toContain('<code>/api/v1/services/{id}/rollback</code> Go back to an earlier revision');
    expect(page).toContain('<a href="#schema-NewService">NewService</a>');
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) expect(page).toContain(`id="${id!}"`);
  });

  it("can be found one's way in: tables say what they hold, and links open what they lead to", async () => {
    const { call } = await start();
    const page = await (await call(null, 'GET', '/api/docs')).text();
    const tables = page.split('<table>').slice(1);
    expect(tables.length).toBeGreaterThan(40);
    for (const table of tables)
      expect(table).toMatch(/^\s*<caption>\w+<\/caption>\s*<thead>\s*<tr><th scope="col">/);
    expect(page).toContain('<nav aria-label="');
    expect(page).not.toContain('<details id'); // its own target opens no browser's details
  });
});
