import { expect, test } from 'vitest';
import { issueToken, route, startGateway, startUpstream } from '../support/gateway.ts';
import { headerValues, type RawResponse } from '../support/parse-responses.ts';
import { ask, json } from './realm-wire.ts';

const APP = 'https://app.example.com';
const ORIGIN = `Origin: ${APP}`;
const PREFLIGHT = [ORIGIN, 'Access-Control-Request-Method: PUT'];
const BEARER = `Authorization: Bearer ${await issueToken()}`;

/** A gateway with `/hello`, which pages of two origins may call, and `/plain`, where the edge knows nothing of CORS. */
async function startCors(answer?: Parameters<typeof startUpstream>[0]) {
  const upstream = await startUpstream(answer);
  const gateway = await startGateway({
    routes: [
      route({ upstream: [upstream.origin], cors: { origins: ['https://other.example.com', APP] } }),
      route({ name: 'plain', endpoint: '/plain', upstream: [upstream.origin] }),
    ],
  });
  return { ...gateway, upstream };
}

/** The fields that are about CORS. */
function corsOf(answer: RawResponse): string[] {
  return answer.headers
    .filter(([name]) => /^(?:access-control-|vary$)/i.test(name))
    .map(([name, value]) => `${name}: ${value}`);
}

test('a preflight is answered at the edge, without a token, with exactly these fields', async () => {
  const { port, upstream } = await startCors();
  const answer = await ask(port, 'OPTIONS', '/hello/x', [
    ...PREFLIGHT,
    'Access-Control-Request-Headers: authorization,content-type,x-custom',
  ]);
  expect(answer).toMatchObject({ status: 204, reason: 'No Content', body: '', framing: 'none' });
  expect(answer.headers.filter(([name]) => !/^(?:date|connection)$/i.test(name))).toEqual([
    ['Access-Control-Allow-Origin', APP],
    ['Access-Control-Allow-Methods', 'PUT'],
    ['Access-Control-Max-Age', '600'],
    ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ['Access-Control-Allow-Headers', 'authorization,content-type,x-custom'],
  ]);
  expect(upstream.seen).toEqual([]);
});

test('a preflight that asks for no header gets none allowed', async () => {
  const { port } = await startCors();
  const answer = await ask(port, 'OPTIONS', '/hello', PREFLIGHT);
  expect(answer.status).toBe(204);
  expect(headerValues(answer, 'access-control-allow-headers')).toEqual([]);
});

test.each([
  'https://evil.example',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com.evil.example',
  'https://APP.example.com',
  'https://app.example.com/',
  `${APP}, https://evil.example`,
  'null',
  '*',
  '',
])('a preflight from %j is 403 and allows nothing', async (origin) => {
  const { port, upstream } = await startCors();
  const answer = await ask(port, 'OPTIONS', '/hello', [
    `Origin: ${origin}`,
    'Access-Control-Request-Method: GET',
  ]);
  expect(answer.status).toBe(403);
  expect(json(answer)).toMatchObject({ code: 'access_denied' });
  expect(corsOf(answer)).toEqual(['Vary: Origin']);
  expect(upstream.seen).toEqual([]);
});

test.each(['https://evil.example', 'null', '*'])(
  'an answer to a page of %s has nothing that lets it read it',
  async (origin) => {
    const { port } = await startCors();
    const answer = await ask(port, 'GET', '/hello', [`Origin: ${origin}`, BEARER]);
    expect(answer.status).toBe(200);
    expect(corsOf(answer)).toEqual(['Vary: Origin']);
  },
);

test('an answer can be read by an allowed page, and caches keep it apart by Origin', async () => {
  const { port } = await startCors();
  const answer = await ask(port, 'GET', '/hello', [ORIGIN, BEARER]);
  expect(corsOf(answer)).toEqual([
    `Access-Control-Allow-Origin: ${APP}`,
    'Access-Control-Expose-Headers: *',
    'Vary: Origin',
  ]);
  const elsewhere = await ask(port, 'GET', '/hello', [BEARER]);
  expect(corsOf(elsewhere)).toEqual(['Vary: Origin']);
});

test('what the service says of CORS is replaced, and its own Vary stays', async () => {
  const { port } = await startCors((_, response) => {
    response.writeHead(200, [
      ...['Access-Control-Allow-Origin', '*', 'access-control-allow-credentials', 'true'],
      ...['ACCESS-CONTROL-EXPOSE-HEADERS', 'x-a', 'Access-Control-Allow-Private-Network', 'true'],
      ...['Vary', 'Accept-Encoding', 'X-Kept', '1', 'Content-Length', '0'],
    ]);
    response.end();
  });
  const answer = await ask(port, 'GET', '/hello', [ORIGIN, BEARER]);
  expect(corsOf(answer)).toEqual([
    'Vary: Accept-Encoding',
    `Access-Control-Allow-Origin: ${APP}`,
    'Access-Control-Expose-Headers: *',
    'Vary: Origin',
  ]);
  expect(headerValues(answer, 'x-kept')).toEqual(['1']);
  const stranger = await ask(port, 'GET', '/hello', ['Origin: https://evil.example', BEARER]);
  expect(corsOf(stranger)).toEqual(['Vary: Accept-Encoding', 'Vary: Origin']);
});

test('a page can read why the edge refused it', async () => {
  const { port, gateway } = await startCors();
  const readable = async (headers: readonly string[]) => {
    const answer = await ask(port, 'GET', '/hello', [ORIGIN, ...headers]);
    expect(headerValues(answer, 'access-control-allow-origin')).toEqual([APP]);
    expect(headerValues(answer, 'vary')).toEqual(['Origin']);
    return json(answer)['code'];
  };
  expect(await readable([])).toBe('token_missing');
  expect(await readable(['Authorization: Bearer nonsense'])).toBe('token_invalid');
  const { origin } = await startUpstream();
  const denied = { roles: ['realm:nobody'], scopes: [], clients: [] };
  gateway.apply({ routes: [route({ upstream: [origin], access: denied, cors: { origins: [APP] } })] });
  expect(await readable([BEARER])).toBe('access_denied');
  gateway.apply({
    routes: [route({ upstream: [origin], cors: { origins: [APP] } })],
    unhealthy: [origin],
  });
  expect(await readable([BEARER])).toBe('service_unavailable');
});

test('a refusal to a page of another origin stays unreadable to it', async () => {
  const { port } = await startCors();
  const answer = await ask(port, 'GET', '/hello', ['Origin: null']);
  expect(answer.status).toBe(401);
  expect(corsOf(answer)).toEqual(['Vary: Origin']);
});

test('OPTIONS that is no preflight is authenticated and forwarded like anything else', async () => {
  const { port, upstream } = await startCors();
  expect((await ask(port, 'OPTIONS', '/hello', [ORIGIN])).status).toBe(401);
  expect((await ask(port, 'OPTIONS', '/hello', ['Access-Control-Request-Method: GET'])).status).toBe(401);
  expect((await ask(port, 'OPTIONS', '/hello', [ORIGIN, BEARER])).status).toBe(200);
  expect(upstream.seen).toMatchObject([{ method: 'OPTIONS', url: '/' }]);
});

test('only OPTIONS is a preflight, whatever fields a request carries', async () => {
  const { port, upstream } = await startCors();
  expect((await ask(port, 'GET', '/hello', PREFLIGHT)).status).toBe(401);
  expect((await ask(port, 'DELETE', '/hello', PREFLIGHT)).status).toBe(401);
  expect(upstream.seen).toEqual([]);
});

test('a route without cors is untouched: its preflights need a token and the service answers them', async () => {
  const { port, upstream } = await startCors((_, response) => {
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*', Vary: 'Accept', 'Content-Length': 0 });
    response.end();
  });
  const refused = await ask(port, 'OPTIONS', '/plain', PREFLIGHT);
  expect(refused.status).toBe(401);
  expect(corsOf(refused)).toEqual([]);
  const answer = await ask(port, 'OPTIONS', '/plain', [...PREFLIGHT, BEARER]);
  expect(corsOf(answer)).toEqual(['Access-Control-Allow-Origin: *', 'Vary: Accept']);
  expect(upstream.seen[0]!.headers).toMatchObject({
    origin: APP,
    'access-control-request-method': 'PUT',
  });
});

test('a preflight of a path that no route has is 401 like every other request there', async () => {
  const { port } = await startCors();
  const answer = await ask(port, 'OPTIONS', '/nothing', PREFLIGHT);
  expect(answer.status).toBe(401);
  expect(corsOf(answer)).toEqual([]);
});

test('a preflight counts against no limit of its route', async () => {
  const upstream = await startUpstream();
  const limit = { rate: { count: 1, window: 60_000 }, perIdentity: false, concurrency: 1 };
  const { port } = await startGateway({
    routes: [route({ upstream: [upstream.origin], cors: { origins: [APP] }, limit })],
  });
  for (let i = 0; i < 3; i++) expect((await ask(port, 'OPTIONS', '/hello', PREFLIGHT)).status).toBe(204);
  expect((await ask(port, 'GET', '/hello', [ORIGIN, BEARER])).status).toBe(200);
  const answer = await ask(port, 'GET', '/hello', [ORIGIN, BEARER]);
  expect(answer.status).toBe(429);
  expect(headerValues(answer, 'access-control-allow-origin')).toEqual([APP]);
});
