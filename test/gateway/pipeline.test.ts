import { expect, test } from 'vitest';
import { issueToken, route, startGateway, startUpstream } from '../support/gateway.ts';
import { headerValues, parseResponses, untilResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';

async function get(port: number, target: string, headers: string[] = []) {
  const head = [`GET ${target} HTTP/1.1`, 'Host: api.example.com', 'Connection: close', ...headers].join(
    '\r\n',
  );
  const { text } = await rawRequest(port, `${head}\r\n\r\n`);
  return parseResponses(text)[0]!;
}

test('a request with a good token reaches its service with the identity of the token', async () => {
  const upstream = await startUpstream();
  const { port } = await startGateway({ routes: [route({ upstream: [upstream.origin] })] });
  const answer = await get(port, '/hello/x?y=1', [
    `Authorization: Bearer ${await issueToken()}`,
    'X-Forwarded-User: root',
    'X_Forwarded_User: root',
    'X-Forwarded-For: 1.2.3.4',
  ]);
  expect(answer).toMatchObject({ status: 200, body: 'ok' });
  const [seen] = upstream.seen;
  expect(seen).toMatchObject({ method: 'GET', url: '/x?y=1' });
  expect(seen!.headers).toMatchObject({
    host: upstream.origin.slice(7),
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'api.example.com',
    'x-forwarded-proto': 'http',
    'x-forwarded-prefix': '/hello',
    'x-forwarded-user': 'alice-id',
    'x-forwarded-preferred-username': 'alice',
    'x-forwarded-email': 'alice@example.com',
    'x-forwarded-groups': 'user',
  });
  expect(seen!.headers.authorization).toBeUndefined();
  expect(seen!.rawHeaders).not.toContain('X_Forwarded_User');
});

test('without a token every path outside of /auth/ is 401, whether or not it exists', async () => {
  const { port } = await startGateway({ routes: [route({ upstream: ['http://127.0.0.1:9'] })] });
  for (const target of ['/hello', '/nothing', '/', '/auth']) {
    const answer = await get(port, target);
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'token_missing', status: 401 });
  }
  expect((await get(port, '/auth/admin')).status).toBe(404);
});

test('with a good token an unknown path is 404', async () => {
  const { port } = await startGateway();
  const answer = await get(port, '/nothing', [`Authorization: Bearer ${await issueToken()}`]);
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'no_such_service', status: 404 });
});

test('a reload changes how long a connection may be idle between requests', async () => {
  const { port, gateway } = await startGateway();
  const announced = async (): Promise<readonly string[]> => {
    const { text } = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', {
      until: untilResponses(1),
    });
    return headerValues(parseResponses(text)[0]!, 'keep-alive');
  };
  expect(await announced()).toEqual(['timeout=300']);
  gateway.apply({
    gateway: { ...gateway.settings, timeouts: { ...gateway.settings.timeouts, idle: 7_000 } },
  });
  expect(await announced()).toEqual(['timeout=7']);
});
