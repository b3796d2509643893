import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, Refusal } from '../../src/errors.ts';
import { asRefusal, rawRefusal } from '../../src/gateway/respond.ts';
import { issueToken, realmSnapshot, route, startGateway } from '../support/gateway.ts';
import {
  headerValues,
  parseResponses,
  untilResponses,
  type RawResponse,
} from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import { exchange, expectQuiet, HOST, problemOf, startWire } from './wire.ts';

/** One request on a connection of its own. */
async function ask(port: number, bytes: string, method = 'GET'): Promise<RawResponse> {
  const { text } = await rawRequest(port, bytes, { until: untilResponses(1, [method]) });
  const [answer, ...others] = parseResponses(text, [method]);
  expect(others).toEqual([]);
  return answer!;
}

const challenge = (answer: RawResponse): string[] => headerValues(answer, 'www-authenticate');
const hello = (headers: string, method = 'GET'): string =>
  `${method} /hello HTTP/1.1\r\n${HOST}${headers}\r\n`;

describe('an error answer', () => {
  test('has the form of RFC 9457, is not stored, and carries the id that the log has', async () => {
    const wire = await startWire();
    const answer = await ask(wire.port, hello(''));
    expect(answer).toMatchObject({ status: 401, reason: 'Unauthorized', framing: 'length' });
    const problem = problemOf(answer);
    expect(problem).toMatchObject({
      type: 'urn:realmgate:error:token_missing',
      title: ERRORS.token_missing.title,
      status: 401,
      code: 'token_missing',
      detail: 'Send a token as Authorization: Bearer',
    });
    expect(headerValues(answer, 'cache-control')).toEqual(['no-store']);
    expect(problem['requestId']).toMatch(/^[0-9a-f]{32}$/);
    expect(wire.accessLog()).toMatchObject([
      { requestId: problem['requestId'], status: 401, code: 'token_missing' },
    ]);
  });

  test('carries the request id of a trusted proxy, and nobody else’s', async () => {
    const trusting = await startWire({ settings: { trustedProxies: ['127.0.0.0/8'] } });
    expect(problemOf(await ask(trusting.port, hello('X-Request-Id: abc-1\r\n')))['requestId']).toBe('abc-1');
    expect(problemOf(await ask(trusting.port, hello('X-Request-Id: a"b\r\n')))['requestId']).not.toBe('a"b');
    const wire = await startWire();
    expect(problemOf(await ask(wire.port, hello('X-Request-Id: abc-1\r\n')))['requestId']).not.toBe('abc-1');
  });

  test('to HEAD has the header of the one to GET, and no body', async () => {
    const wire = await startWire();
    for (const [target, status] of [['/hello', 401], ['/hello/../x', 400], ['/auth/x', 404]] as const) {
      const lines = ` ${target} HTTP/1.1\r\n${HOST}\r\n`;
      const head = await ask(wire.port, `HEAD${lines}`, 'HEAD');
      const get = await ask(wire.port, `GET${lines}`);
      expect(head).toMatchObject({ status, body: '' });
      expect(head.headers.map(([name]) => name)).toEqual(get.headers.map(([name]) => name));
      expect(headerValues(head, 'content-length')).toEqual([String(get.body.length)]);
    } // prettier-ignore
    const kept = hello('', 'HEAD') + hello('Connection: close\r\n');
    expect(await exchange(wire, kept, ['HEAD', 'GET'])).toMatchObject([{ body: '' }, { status: 401 }]);
    await expectQuiet(wire);
  });

  test('to HTTP/1.0 ends with the connection', async () => {
    const wire = await startWire();
    const answers = await exchange(wire, `GET /hello HTTP/1.0\r\n${HOST}\r\n`);
    expect(problemOf(answers[0]!)).toMatchObject({ status: 401 });
  });

  test('never repeats what the client sent as a credential, and neither does the log', async () => {
    const wire = await startWire();
    const secret = 'aGVsbG8tc2VjcmV0.cGF5bG9hZA.c2lnbmF0dXJl';
    const good = await issueToken();
    const broken = good.slice(0, -8) + 'AAAAAAAA';
    const texts: string[] = [];
    for (const value of [
      `Bearer ${secret}`,
      `Bearer ${broken}`,
      `Basic ${secret}`,
      `Bearer ${secret} x`,
      secret,
    ]) {
      const answer = await ask(wire.port, hello(`Authorization: ${value}\r\nCookie: session=${secret}\r\n`));
      expect(answer.status).toBe(401);
      texts.push(JSON.stringify(answer));
    }
    texts.push(
      JSON.stringify(
        await ask(wire.port, hello(`Authorization: Bearer ${good}\r\n`).replace('/hello', '/x')),
      ),
    );
    texts.push(
      JSON.stringify(await ask(wire.port, `GET /hello?access_token=${secret} HTTP/1.1\r\n${HOST}\r\n`)),
    );
    texts.push(JSON.stringify(wire.accessLog()), JSON.stringify(wire.logged));
    for (const text of texts) {
      for (const part of [secret, broken, good, good.split('.')[1]!]) expect(text).not.toContain(part);
    }
  });
});

describe('WWW-Authenticate (RFC 6750 section 3)', () => {
  const authenticate = async (authorization: string): Promise<[string, string[]]> => {
    const wire = await startWire();
    const answer = await ask(
      wire.port,
      hello(authorization === '' ? '' : `Authorization: ${authorization}\r\n`),
    );
    expect(answer.status).toBe(401);
    return [problemOf(answer)['code'] as string, challenge(answer)];
  };

  test('without a token names the realm and no error', async () => {
    expect(await authenticate('')).toEqual(['token_missing', ['Bearer realm="demo"']]);
    expect(await authenticate('Basic eDp5')).toEqual(['token_missing', ['Bearer realm="demo"']]);
  });

  test.each(['Bearer', 'Bearer ', 'Bearer\tx', 'Bearer x y', 'Bearer x,y', 'bearer é', 'x'])(
    'of a malformed credential says invalid_token: %s',
    async (authorization) => {
      const [code, values] = await authenticate(authorization);
      expect(code).toBe('token_invalid');
      expect(values).toEqual([
        expect.stringMatching(
          /^Bearer realm="demo", error="invalid_token", error_description="[^"\\]+"$/,
        ) as string,
      ]);
    },
  );

  test('of an expired token says so', async () => {
    const past = Math.floor(Date.now() / 1000) - 60;
    const [code, values] = await authenticate(`Bearer ${await issueToken({ iat: past - 60, exp: past })}`);
    expect(code).toBe('token_expired');
    expect(values).toEqual([
      expect.stringMatching(
        /^Bearer realm="demo", error="invalid_token", error_description="[^"\\]*expired[^"\\]*"$/,
      ) as string,
    ]);
  });

  test('names the realm of the route', async () => {
    const { port } = await startGateway({
      realms: [realmSnapshot(), realmSnapshot({ name: 'other' })],
      routes: [route({ realm: 'other', upstream: ['http://127.0.0.1:9'] })],
    });
    expect(challenge(await ask(port, hello('')))).toEqual(['Bearer realm="other"']);
    expect(challenge(await ask(port, hello('').replace('/hello', '/x')))).toEqual(['Bearer realm="demo"']);
  });

  test('stands only with 401 and 403', async () => {
    const wire = await startWire();
    expect(challenge(await ask(wire.port, hello('').replace('/hello', '/a//b')))).toEqual([]);
    expect(challenge(await ask(wire.port, hello('').replace('/hello', '/auth/x')))).toEqual([]);
  });
});

describe('Retry-After', () => {
  test('stands with a full rate limit', async () => {
    const limit = { rate: { count: 1, window: 60_000 }, perIdentity: true, concurrency: null };
    const wire = await startWire({ hello: { limit } });
    expect((await ask(wire.port, hello(wire.bearer))).status).toBe(200);
    const answer = await ask(wire.port, hello(wire.bearer));
    expect(problemOf(answer)).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(headerValues(answer, 'retry-after')).toEqual([expect.stringMatching(/^[1-9]\d?$/) as string]);
  });

  test('stands while the realm has no keys', async () => {
    const { port } = await startGateway({
      realms: [realmSnapshot({}, { keys: { jwks: [], fetchedAt: null, cooldownUntil: 0 } })],
      routes: [route({ upstream: ['http://127.0.0.1:9'] })],
    });
    const answer = await ask(port, hello(`Authorization: Bearer ${await issueToken()}\r\n`));
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'keys_unavailable' });
    expect(headerValues(answer, 'retry-after')).toEqual([expect.stringMatching(/^[1-9]\d*$/) as string]);
  });
});

describe('an answer to what could not be read as a request', () => {
  test.each(Object.keys(ERRORS) as ErrorCode[])('has the same form: %s', (code) => {
    const [answer] = parseResponses(
      rawRefusal(new Refusal(code, 'Because "of" it', { retryAfter: 1.2 }), 'id-1'),
    );
    expect(problemOf(answer!)).toMatchObject({ code, status: ERRORS[code].status, requestId: 'id-1' });
    expect(headerValues(answer!, 'connection')).toEqual(['close']);
    expect(headerValues(answer!, 'retry-after')).toEqual(['2']);
  });
});

test('an error that is no refusal is a bug: 500 without its text', () => {
  const refusal = asRefusal(new TypeError('secret path'));
  expect(refusal).toMatchObject({ code: 'internal_error', status: 500 });
  expect(refusal.message).not.toContain('secret');
  const own = new Refusal('rate_limited', 'x');
  expect(asRefusal(own)).toBe(own);
});
