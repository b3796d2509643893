import { expect, test } from 'vitest';
import { ISSUER, realmSnapshot, route, startGateway, startUpstream } from '../../support/gateway.ts';
import { parseResponses } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { connected, expectQuiet, HOST, until, type Wire } from '../wire.ts';

const BEARER = 'Authorization: Bearer opaque\r\n';
const CLAIMS = {
  active: true,
  iss: ISSUER,
  sub: 'alice-id',
  azp: 'istio',
  aud: 'account',
  typ: 'Bearer',
  exp: Math.floor(Date.now() / 1000) + 300,
};

interface Held extends Wire {
  /** Resolves once the realm is asked about the token. */
  readonly asked: Promise<undefined>;
  /** Gives the realm's answer. */
  answer(claims: Record<string, unknown> | null): void;
}

/** A gateway whose realm says what it thinks of the token when the test wants it. */
async function startHeld(): Promise<Held> {
  const upstream = await startUpstream();
  const gateway = await startGateway({
    routes: [route({ upstream: [upstream.origin] })],
    realms: [realmSnapshot({}, { introspectionCache: 30_000 })],
  });
  const asked = Promise.withResolvers<undefined>();
  const answer = Promise.withResolvers<Record<string, unknown> | null>();
  gateway.control.onIntrospect = () => {
    asked.resolve(undefined);
    return answer.promise;
  };
  return { ...gateway, upstream, bearer: BEARER, asked: asked.promise, answer: answer.resolve };
}

const post = (headers: string): string => `POST /hello/a HTTP/1.1\r\n${HOST}${BEARER}${headers}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const LAST = `GET /hello/last HTTP/1.1\r\n${HOST}${BEARER}Connection: close\r\n\r\n`;

test.each([
  ['small', 5, 'one piece'],
  ['small', 5, 'many'],
  ['large', 300_000, 'one piece'],
  ['large', 300_000, 'many'],
])(
  'a %s body that is there before its token is known reaches the service whole, in %s pieces',
  async (_size, size, how) => {
    const wire = await startHeld();
    const body = Array.from({ length: size }, (_, i) => String(i % 10)).join('');
    const chunked = `${size.toString(16)}\r\n${body}\r\n0\r\nX-Checksum: 1\r\n\r\n`;
    const bytes = post(`Content-Length: ${size}\r\n`) + body + post(CHUNKED) + chunked + LAST;
    const length = how === 'many' ? Math.ceil(bytes.length / 20) : bytes.length;
    const pieces = Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
      bytes.slice(i * length, (i + 1) * length),
    );
    const answers = rawRequest(wire.port, pieces);
    await wire.asked;
    expect(wire.upstream.seen).toEqual([]);
    wire.answer(CLAIMS);
    expect(parseResponses((await answers).text).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(wire.upstream.seen.map((seen) => seen.body === body)).toEqual([true, true, false]);
    expect(wire.upstream.seen[1]).toMatchObject({ rawTrailers: ['X-Checksum', '1'] });
    expect(wire.upstream.seen[2]).toMatchObject({ url: '/last', body: '' });
    await expectQuiet(wire);
  },
);

test('when the token is refused, a small body that is there is skipped and a large one ends the connection', async () => {
  for (const [size, statuses] of [
    [5, [401, 401]],
    [64 * 1024, [401, 401]],
    [64 * 1024 + 1, [401]],
  ] as const) {
    const wire = await startHeld();
    const bytes = post(`Content-Length: ${size}\r\n`) + LAST.slice(0, 1).repeat(size) + LAST;
    const answers = rawRequest(wire.port, bytes);
    await wire.asked;
    wire.answer(null);
    const { text, reset } = await answers;
    expect(reset).toBe(false);
    expect(parseResponses(text).map(({ status }) => status)).toEqual(statuses);
    expect(wire.upstream.seen).toEqual([]);
    await expectQuiet(wire);
  }
});

test('a body that is broken is found so once the token is known', async () => {
  const wire = await startHeld();
  const answers = rawRequest(wire.port, `${post(CHUNKED)}3\r\nabc\r\ng\r\n${LAST}`);
  await wire.asked;
  wire.answer(CLAIMS);
  expect(parseResponses((await answers).text).map(({ status }) => status)).toEqual([400]);
  await expectQuiet(wire);
  expect(wire.upstream.seen).toEqual([]);
});

test.each([
  ['nothing behind its head', 'Content-Length: 0\r\n', ''],
  ['a part of its body', 'Content-Length: 5\r\n', 'hel'],
  ['a part of a chunk', CHUNKED, '5\r\nhel'],
])(
  'of a client that ends its side meanwhile, with %s, the service hears of no complete request',
  async (_name, headers, body) => {
    const wire = await startHeld();
    const socket = await connected(wire);
    socket.on('error', () => undefined);
    socket.write(post(headers) + body);
    await wire.asked;
    socket.resume().end();
    await new Promise((closed) => setImmediate(() => setImmediate(closed)));
    wire.answer(CLAIMS);
    await expectQuiet(wire);
    expect(wire.upstream.seen).toEqual([]);
  },
);

test('a client that waits to be asked for its body is asked once the token is known', async () => {
  const wire = await startHeld();
  const socket = await connected(wire);
  socket.write(post('Content-Length: 5\r\nExpect: 100-continue\r\n'));
  await wire.asked;
  wire.answer(CLAIMS);
  expect(await until(socket, '\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  socket.write(`hello${LAST}`);
  expect(parseResponses(await until(socket, 'Connection: close')).length).toBeGreaterThan(0);
  expect(wire.upstream.seen[0]).toMatchObject({ body: 'hello' });
  socket.destroy();
  await expectQuiet(wire);
});
