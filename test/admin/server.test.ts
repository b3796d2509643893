import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { AdminDependencies, AdminServer } from '../../src/admin/server.ts';
import { Refusal } from '../../src/errors.ts';
import { PROBLEM_TYPE } from '../../src/problem.ts';
import { problemOf, start as startAdmin } from './support/start.ts';

const started: AdminServer[] = [];
const logged: object[] = [];

async function start(overrides: Partial<AdminDependencies> = {}): Promise<string> {
  const note = (fields: object): void => void logged.push(fields);
  const { server, url } = await startAdmin({ log: { info: note, error: note }, ...overrides });
  started.push(server);
  return url;
}

/** Sends bytes as they are and reads until the server closes. */
async function raw(url: string, request: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(request);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

afterEach(() => {
  started.length = 0;
  logged.length = 0;
});

describe('the probes', () => {
  it('/healthz is ok while the process lives', async () => {
    const url = await start({ ready: () => ({ ok: false, problems: ['no'] }) });
    const response = await fetch(`${url}/healthz`);
    expect([response.status, await response.text()]).toEqual([200, 'ok\n']);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('/readyz is 200 when ready, and else 503 with every reason', async () => {
    let problems: string[] = [];
    const url = await start({ ready: () => ({ ok: problems.length === 0, problems }) });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    problems = ['no worker accepts', 'realm demo has no keys'];
    const response = await fetch(`${url}/readyz`);
    expect(response.status).toBe(503);
    expect(await problemOf(response)).toMatchObject({
      code: 'service_unavailable',
      detail: 'no worker accepts; realm demo has no keys',
    });
  });

  it('/metrics is Prometheus text and needs no token', async () => {
    const response = await fetch(`${await start()}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toBe('# HELP a b\n');
  });

  it('answer HEAD without a body', async () => {
    const response = await fetch(`${await start()}/healthz`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

describe('everything else', () => {
  it.each(['/', '/nothing', '/healthz/', '/Healthz', '/metrics/x', '/__proto__', '/%2e%2e/x', '//healthz'])(
    '%s is 404 not_found',
    async (path) => {
      const url = await start();
      const answer = await raw(url, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 404 /);
      expect(answer).toContain(`content-type: ${PROBLEM_TYPE}\r\n`);
      expect(answer).toContain('"code":"not_found"');
    },
  );

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s on a probe is 405 and says what is allowed',
    async (method) => {
      const response = await fetch(`${await start()}/healthz?x=1`, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD');
      expect(await problemOf(response)).toMatchObject({ code: 'method_not_allowed' });
    },
  );

  it('is refused before its body is looked at', async () => {
    const response = await fetch(`${await start()}/nothing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"broken',
    });
    expect(await problemOf(response)).toMatchObject({ code: 'not_found', status: 404 });
  });

  it.each([
    [
      'an invalid escape',
      'GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      400,
      'malformed_request',
    ],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'malformed_request'],
    ['garbage', 'no http at all\r\n\r\n', 400, 'malformed_request'],
    [
      'conflicting framing',
      'POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
      'malformed_request',
    ],
    [
      'a huge header',
      `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(40_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
  ])('%s is refused in the one error form', async (_what, request, status, code) => {
    const answer = await raw(await start(), request);
    const [head, body] = answer.split('\r\n\r\n') as [string, string];
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(head.toLowerCase()).toContain(`content-type: ${PROBLEM_TYPE}`);
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });
});

describe('a bug', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('internal SECRET text');
      },
    ],
    ['rejects', () => Promise.reject(new Error('internal SECRET text'))],
    [
      'throws what is no error',
      () => {
        throw 'internal SECRET text'; /* eslint-disable-line */
      },
    ],
  ])('that %s costs one request, is logged, and tells the client nothing', async (_how, metrics) => {
    const url = await start({ metrics });
    const response = await fetch(`${url}/metrics`);
    expect(response.status).toBe(500);
    const body = await problemOf(response);
    expect(body['code']).toBe('internal_error');
    expect(JSON.stringify(body)).not.toMatch(/SECRET|\.ts|at /);
    expect(logged).toMatchObject([{ requestId: body['requestId'], route: '/metrics' }]);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('in the readiness check costs one request', async () => {
    const url = await start({
      ready: () => {
        throw new TypeError('internal');
      },
    });
    expect((await fetch(`${url}/readyz`)).status).toBe(500);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('is not what a refusal is', async () => {
    const refusal = new Refusal('overloaded', 'later', { retryAfter: 1.2 });
    const response = await fetch(`${await start({ metrics: () => Promise.reject(refusal) })}/metrics`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('2');
    expect(await problemOf(response)).toMatchObject({ code: 'overloaded', detail: 'later' });
    expect(logged).toEqual([]);
  });
});

describe('the listener', () => {
  it('rejects with the system error when the port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    await expect(start({ listen: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      port,
    });
    taken.close();
  });

  it('names its address, IPv6 in brackets', async () => {
    const url = await start({ listen: { host: '::1', port: 0 } });
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it.each([
    ['asks for nothing', ''],
    ['never ends its request', 'GET /healthz HTTP/1.1\r\nHost: x\r\n'],
    ['waits for an answer', 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('closes although a client keeps a connection open and %s', async (_what, request) => {
    const url = await start({ metrics: () => new Promise<never>(() => undefined) });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(request);
    await fetch(`${url}/healthz`);
    socket.resume();
    const closed = once(socket, 'close');
    await started.pop()!.close();
    await closed;
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });
});
