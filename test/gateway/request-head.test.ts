import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { mayTrail, readHead } from '../../src/gateway/request-head.ts';
import { issueToken } from '../support/gateway.ts';
import { parseResponses } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';
import {
  connected,
  exchange,
  expectQuiet,
  expectRefused,
  HOST,
  problemOf,
  seenOf,
  startWire,
  until,
} from './wire.ts';

describe('a header section that two readers could understand differently is 400, and the connection closes', () => {
  const GET = 'GET /hello HTTP/1.1\r\n';
  const POST = 'POST /hello HTTP/1.1\r\n';
  const END = '\r\n';
  const CASES: Record<string, (bearer: string) => string> = {
    'obsolete folding with a space': (t) => `${GET}${HOST}${t}X-A: b\r\n c\r\n${END}`,
    'obsolete folding with a tab': (t) => `${GET}${HOST}${t}X-A: b\r\n\tc\r\n${END}`,
    'obsolete folding of the framing': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding:\r\n chunked\r\n${END}0\r\n\r\n`,
    'a folded first line': (t) => `${GET} ${HOST}${t}${END}`,
    'a folded last line': (t) => `${GET}${HOST}${t} \r\n${END}`,
    'a bare CR in a value': (t) => `${GET}${HOST}${t}X-A: b\rc\r\n${END}`,
    'a bare CR as line end': (t) => `${GET}${HOST}${t}X-A: b\rX-B: c\r\n${END}`,
    'a bare CR in the request line': (t) => `GET /hello\rx HTTP/1.1\r\n${HOST}${t}${END}`,
    'a bare CR behind the request line': (t) => `GET /hello HTTP/1.1\r${HOST}${t}${END}`,
    'two CRs before the LF': (t) => `${GET}${HOST}${t}X-A: b\r\r\n${END}`,
    'a bare LF behind the request line': (t) => `GET /hello HTTP/1.1\n${HOST}${t}${END}`,
    'a bare LF as line end': (t) => `${GET}${HOST}${t}X-A: b\nX-B: c\r\n${END}`,
    'a bare LF at the end of the section': (t) => `${GET}${HOST}${t}\n`,
    'bare LFs only': () => 'GET /hello HTTP/1.1\nHost: api.example.com\n\n',
    'a NUL in a value': (t) => `${GET}${HOST}${t}X-A: b\0c\r\n${END}`,
    'a NUL in a name': (t) => `${GET}${HOST}${t}X-\0A: b\r\n${END}`,
    'a NUL in the method': (t) => `G\0T /hello HTTP/1.1\r\n${HOST}${t}${END}`,
    'another control character in a value': (t) => `${GET}${HOST}${t}X-A: b\x0bc\r\n${END}`,
    'a space before the colon': (t) => `${GET}${HOST}${t}X-A : b\r\n${END}`,
    'a line without a colon': (t) => `${GET}${HOST}${t}X-A\r\n${END}`,
    'an empty name': (t) => `${GET}${HOST}${t}: b\r\n${END}`,
    'a name that is no token': (t) => `${GET}${HOST}${t}X(A): b\r\n${END}`,
    'a name outside of ASCII': (t) => `${GET}${HOST}${t}X-\xe9: b\r\n${END}`,
    'HTTP/0.9 without a version': () => 'GET /hello\r\n\r\n',
    'HTTP/0.9 by name': (t) => `GET /hello HTTP/0.9\r\n${HOST}${t}${END}`,
    'HTTP/2.0 in the request line': (t) => `GET /hello HTTP/2.0\r\n${HOST}${t}${END}`,
    'HTTP/1.2': (t) => `GET /hello HTTP/1.2\r\n${HOST}${t}${END}`,
    'a version in lower case': (t) => `GET /hello http/1.1\r\n${HOST}${t}${END}`,
    'a version of more digits': (t) => `GET /hello HTTP/1.10\r\n${HOST}${t}${END}`,
    'a word behind the version': (t) => `GET /hello HTTP/1.1 x\r\n${HOST}${t}${END}`,
    'a tab in the request line': (t) => `GET\t/hello HTTP/1.1\r\n${HOST}${t}${END}`,
    'a method in lower case': (t) => `get /hello HTTP/1.1\r\n${HOST}${t}${END}`,
    'a TLS handshake': () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'the preface of HTTP/2': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'no Host': (t) => `${GET}${t}${END}`,
    'no Host in HTTP/1.0': (t) => `GET /hello HTTP/1.0\r\n${t}${END}`,
    'two Hosts that agree': (t) => `${GET}${HOST}${HOST}${t}${END}`,
    'two Hosts that differ': (t) => `${GET}${HOST}hOsT: other.example.com\r\n${t}${END}`,
    'an empty Host': (t) => `${GET}Host:\r\n${t}${END}`,
    'a list as Host': (t) => `${GET}Host: a.example.com, b.example.com\r\n${t}${END}`,
    'a path in Host': (t) => `${GET}Host: api.example.com/x\r\n${t}${END}`,
    'user information in Host': (t) => `${GET}Host: me@api.example.com\r\n${t}${END}`,
    'a space in Host': (t) => `${GET}Host: api example.com\r\n${t}${END}`,
    'a port that is none in Host': (t) => `${GET}Host: api.example.com:65536\r\n${t}${END}`,
    'a name as port in Host': (t) => `${GET}Host: api.example.com:http\r\n${t}${END}`,
    'half of an IPv6 address as Host': (t) => `${GET}Host: [::1\r\n${t}${END}`,
    'a Host outside of ASCII': (t) => `${GET}Host: \xe4pi.example.com\r\n${t}${END}`,
    'a space behind the name Host': (t) => `${GET}Host : api.example.com\r\n${t}${END}`,
    'a NUL in the target': (t) => `GET /hello\0 HTTP/1.1\r\n${HOST}${t}${END}`,
    'a bare LF in the target': (t) => `GET /hel\nlo HTTP/1.1\r\n${HOST}${t}${END}`,
    'two Authorization headers that agree': () =>
      `${GET}${HOST}Authorization: Bearer x\r\nAuthorization: Bearer x\r\n${END}`,
    'two Authorization headers of two schemes': () =>
      `${GET}${HOST}authorization: Basic eDp5\r\nAuthorization: Bearer x\r\n${END}`,
    'Content-Length before Transfer-Encoding': (t) =>
      `${POST}${HOST}${t}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding before Content-Length': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n${END}0\r\n\r\n`,
    'two equal Content-Lengths': (t) =>
      `${POST}${HOST}${t}Content-Length: 5\r\nContent-Length: 5\r\n${END}hello`,
    'two different Content-Lengths': (t) =>
      `${POST}${HOST}${t}Content-Length: 5\r\ncontent-length: 0\r\n${END}hello`,
    'a list as Content-Length': (t) => `${POST}${HOST}${t}Content-Length: 5, 5\r\n${END}hello`,
    'a sign in Content-Length': (t) => `${POST}${HOST}${t}Content-Length: +5\r\n${END}hello`,
    'a negative Content-Length': (t) => `${POST}${HOST}${t}Content-Length: -5\r\n${END}hello`,
    'a hexadecimal Content-Length': (t) => `${POST}${HOST}${t}Content-Length: 0x5\r\n${END}hello`,
    'a space inside of Content-Length': (t) => `${POST}${HOST}${t}Content-Length: 5 5\r\n${END}hello`,
    'an empty Content-Length': (t) => `${POST}${HOST}${t}Content-Length:\r\n${END}`,
    'a Content-Length that no integer holds': (t) =>
      `${POST}${HOST}${t}Content-Length: 18446744073709551621\r\n${END}hello`,
    'a Content-Length beyond exact numbers': (t) =>
      `${POST}${HOST}${t}Content-Length: 9007199254740993\r\n${END}`,
    'Transfer-Encoding: identity': (t) => `${POST}${HOST}${t}Transfer-Encoding: identity\r\n${END}`,
    'Transfer-Encoding: gzip': (t) => `${POST}${HOST}${t}Transfer-Encoding: gzip\r\n${END}`,
    'Transfer-Encoding: gzip, chunked': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: gzip, chunked\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding: chunked, gzip': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: chunked, gzip\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding: chunked, chunked': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: chunked, chunked\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding: xchunked': (t) => `${POST}${HOST}${t}Transfer-Encoding: xchunked\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding with a parameter': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: chunked;q=1\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding with a list of nothing': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: ,chunked\r\n${END}0\r\n\r\n`,
    'an empty Transfer-Encoding': (t) => `${POST}${HOST}${t}Transfer-Encoding:\r\n${END}0\r\n\r\n`,
    'a quoted Transfer-Encoding': (t) => `${POST}${HOST}${t}Transfer-Encoding: "chunked"\r\n${END}0\r\n\r\n`,
    'two Transfer-Encodings that agree': (t) =>
      `${POST}${HOST}${t}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n${END}0\r\n\r\n`,
    'Transfer-Encoding in HTTP/1.0': (t) =>
      `POST /hello HTTP/1.0\r\n${HOST}${t}Transfer-Encoding: chunked\r\n${END}0\r\n\r\n`,
  };
  test.each(Object.entries(CASES))('%s', async (_name, bytes) => {
    const wire = await startWire();
    await expectRefused(wire, bytes(wire.bearer), 400, 'malformed_request');
    await expectRefused(wire, bytes(''), 400, 'malformed_request');
    const behind = `GET /open HTTP/1.1\r\n${HOST}\r\n`;
    await expectRefused(wire, bytes(wire.bearer) + behind, 400, 'malformed_request');
    await expectQuiet(wire);
  });
});

test('framing that the parser refuses before is refused here too, as HTTP/2 and a laxer parser would need', () => {
  const read =
    (...fields: string[]) =>
    () =>
      readHead(['Host', 'a', ...fields], false, null);
  for (const fields of [
    ['Content-Length', '5', 'content-length', '5'],
    ['Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'],
    ['Content-Length', '5', 'Transfer-Encoding', 'chunked'],
    ['Transfer-Encoding', 'chunked', 'Content-Length', '5'],
    ['Transfer-Encoding', 'chunked, chunked'],
    ['Content-Length', '5, 5'],
    ['Content-Length', '+5'],
    ['Content-Length', ''],
  ]) {
    expect(read(...fields)).toThrow(/Content-Length|Transfer-Encoding/);
  }
  expect(read('Content-Length', '5')().body).toBe(5);
  expect(read('Transfer-Encoding', 'Chunked')().body).toBe('chunked');
  expect(read()().body).toBe('none');
});

describe('a body that breaks behind an accepted header section never reaches a service as a complete request', () => {
  const CASES: Record<string, string> = {
    'a chunk size that is no number': 'g\r\nhello\r\n0\r\n\r\n',
    'a negative chunk size': '-5\r\nhello\r\n0\r\n\r\n',
    'a chunk size with 0x': '0x5\r\nhello\r\n0\r\n\r\n',
    'a space behind the chunk size': '5 \r\nhello\r\n0\r\n\r\n',
    'an empty chunk size': '\r\nhello\r\n0\r\n\r\n',
    'a chunk size that no integer holds': '10000000000000005\r\nhello\r\n0\r\n\r\n',
    'a bare LF behind the chunk size': '5\nhello\r\n0\r\n\r\n',
    'a bare CR behind the chunk size': '5\rhello\r\n0\r\n\r\n',
    'a chunk longer than its size': '5\r\nhelloworld\r\n0\r\n\r\n',
    'a chunk shorter than its size': '6\r\nhello\r\n0\r\n\r\n',
    'a bare LF behind a chunk': '5\r\nhello\n0\r\n\r\n',
    'a bare LF in a chunk extension': '5;a=b\nhello\r\n0\r\n\r\n',
    'a bare CR in a chunk extension': '5;a\rb\r\nhello\r\n0\r\n\r\n',
    'a NUL in a chunk extension': '5;a\0b\r\nhello\r\n0\r\n\r\n',
    'a chunk extension without an end': `5;${'a'.repeat(20_000)}`,
    'a bare LF behind the last chunk': '5\r\nhello\r\n0\n\r\n',
    'a folded trailer': '5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n',
    'a NUL in a trailer': '5\r\nhello\r\n0\r\nX-A: b\0\r\n\r\n',
    'a space before the colon of a trailer': '5\r\nhello\r\n0\r\nX-A : b\r\n\r\n',
    'framing in the trailers': '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n',
    'a second Transfer-Encoding in the trailers': '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
    'a bare LF behind a trailer': '5\r\nhello\r\n0\r\nX-A: b\n\r\n',
  };
  test.each(Object.entries(CASES))('%s', async (_name, body) => {
    const wire = await startWire();
    const head = `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Transfer-Encoding: chunked\r\n\r\n`;
    const behind = `GET /open HTTP/1.1\r\n${HOST}\r\n`;
    for (const bytes of [head + body, [head, body], [`${head}3\r\nabc\r\n`, body + behind]]) {
      const { text, reset } = await rawRequest(wire.port, bytes);
      expect(reset).toBe(false);
      const answers = parseResponses(text);
      expect(answers).toHaveLength(1);
      expect(problemOf(answers[0]!)).toMatchObject({ status: 400, code: 'malformed_request' });
    }
    await expectQuiet(wire);
    expect(wire.upstream.seen).toEqual([]);
    expect(wire.gateway.client.connections()).toEqual({ active: 0, idle: 0 });
  });

  test('after the first byte of the answer the client is told by a reset', async () => {
    const wire = await startWire({
      answer: (_request, response) => {
        response.write('begun');
      },
    });
    const head = `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Transfer-Encoding: chunked\r\n\r\n`;
    const socket = await connected(wire);
    socket.write(`${head}3\r\nabc\r\n`);
    await until(socket, 'begun');
    const gone = once(socket, 'error');
    socket.write('g\r\n');
    expect(await gone).toMatchObject([{ code: 'ECONNRESET' }]);
    await expectQuiet(wire);
    expect(wire.upstream.seen).toEqual([]);
  });
});

describe('well-formed framing reaches the service as it was meant', () => {
  const post = async (headers: string, body: string) => {
    const wire = await startWire();
    const bytes = `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Connection: close\r\n${headers}\r\n${body}`;
    const [answer] = await exchange(wire, bytes);
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
    return wire.upstream.seen[0]!;
  };

  test('Content-Length', async () => {
    const seen = await post('Content-Length: 05 \r\n', 'hello');
    expect(seen).toMatchObject({ body: 'hello' });
    expect(seen.headers).toMatchObject({ 'content-length': '5' });
    expect(seen.headers['transfer-encoding']).toBeUndefined();
  });

  test('chunks in any case, with extensions, which go', async () => {
    const seen = await post(
      'Transfer-Encoding: CHUNKED\r\n',
      '5;a="b;c"\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n',
    );
    expect(seen).toMatchObject({ body: 'hello0123456789' });
    expect(seen.headers).toMatchObject({ 'transfer-encoding': 'chunked' });
    expect(seen.headers['content-length']).toBeUndefined();
  });

  test('a GET with a body', async () => {
    const wire = await startWire();
    const seen = await seenOf(wire, '/hello', 'Content-Length: 0\r\n');
    expect(seen.headers['content-length']).toBe('0');
  });

  test('trailers pass, but none of a name that the gateway or the framing uses', async () => {
    const trailers = [
      'X-Checksum: 1', 'X-Forwarded-User: root', 'x_forwarded_groups: admin', 'X.Forwarded.User: root',
      'Authorization: Bearer x', 'Host: evil', 'Cookie: a=b', 'Expect: 100-continue', 'TE: trailers',
      'X-Real-IP: 1.1.1.1', 'Forwarded: for=1.1.1.1', 'X-Request-Id: 1', 'traceparent: 00', 'Connection: close',
    ]; // prettier-ignore
    const seen = await post(
      'Transfer-Encoding: chunked\r\n',
      `5\r\nhello\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`,
    );
    expect(seen.rawTrailers).toEqual(['X-Checksum', '1']);
  });

  test('names that may stand in a trailer section', () => {
    expect(mayTrail('X-Checksum')).toBe(true);
    for (const name of ['Content-Type', 'set-cookie', 'TE', 'X-Forwarded-Anything', 'Proxy_Authorization']) {
      expect(mayTrail(name)).toBe(false);
    }
  });
});

describe('expectations', () => {
  test('an unknown one is 417, and a second one 400', async () => {
    const wire = await startWire();
    const head = `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Content-Length: 5\r\n`;
    await expectRefused(wire, `${head}Expect: 200-maybe\r\n\r\n`, 417, 'expectation_failed');
    await expectRefused(wire, `${head}Expect: 100-continue, x\r\n\r\nhello`, 417, 'expectation_failed');
    await expectRefused(
      wire,
      `${head}Expect: 100-continue\r\nExpect: 100-continue\r\n\r\nhello`,
      400,
      'malformed_request',
    );
    await expectQuiet(wire);
  });

  test('an expectation of HTTP/1.0 is ignored', async () => {
    const wire = await startWire();
    const bytes = `GET /hello HTTP/1.0\r\n${HOST}${wire.bearer}Expect: 200-maybe\r\n\r\n`;
    expect(await exchange(wire, bytes)).toMatchObject([{ status: 200 }]);
  });

  test('a client that waits for 100 is refused without being asked for the body', async () => {
    const wire = await startWire();
    const head = `POST /hello HTTP/1.1\r\n${HOST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
    await expectRefused(wire, head, 401, 'token_missing');
    await expectQuiet(wire);
  });
});

describe('header fields that the client may not set', () => {
  const NAMES = [
    'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Prefix', 'X-Forwarded-Port',
    'X-Forwarded-User', 'X-Forwarded-Preferred-Username', 'X-Forwarded-Email', 'X-Forwarded-Groups',
    'X-Request-Id', 'X-Real-IP', 'Forwarded',
  ]; // prettier-ignore
  const SPELLINGS: Record<string, (name: string) => string> = {
    'as they are': (name) => name,
    'in lower case': (name) => name.toLowerCase(),
    'in upper case': (name) => name.toUpperCase(),
    'with _ for -': (name) => name.replaceAll('-', '_'),
    'with one _ for -': (name) => name.replace('-', '_'),
    'with _ for - in upper case': (name) => name.toUpperCase().replaceAll('-', '_'),
    'with . for -': (name) => name.replaceAll('-', '.'),
  };

  describe.each(['/hello', '/open'])('on %s', (target) => {
    test.each(Object.entries(SPELLINGS))('%s', async (_name, spell) => {
      const wire = await startWire({ hello: { stripPrefix: false } });
      const seen = await seenOf(wire, target, NAMES.map((name) => `${spell(name)}: forged\r\n`).join(''));
      expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged');
    });
  });

  test('without a token a public route tells of no identity, whatever the client says', async () => {
    const wire = await startWire();
    const forged = NAMES.map((name) => `${name}: forged\r\n`).join('');
    const bytes = `GET /open HTTP/1.1\r\n${HOST}Connection: close\r\n${forged}\r\n`;
    expect(await exchange(wire, bytes)).toMatchObject([{ status: 200 }]);
    const { headers, rawHeaders } = wire.upstream.seen[0]!;
    expect(
      Object.keys(headers)
        .filter((name) => name.startsWith('x-forwarded-'))
        .sort(),
    ).toEqual(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-prefix', 'x-forwarded-proto']);
    expect(JSON.stringify(rawHeaders)).not.toContain('forged');
  });

  test('each name that the gateway sets stands once', async () => {
    const wire = await startWire();
    const forged = NAMES.map((name) => `${name}: forged\r\n`).join('');
    const { rawHeaders } = await seenOf(wire, '/hello', `${forged}traceparent: forged\r\n`);
    const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  test('Connection cannot remove what the gateway sets', async () => {
    const wire = await startWire({ hello: { forwardToken: true } });
    const named = [...NAMES, 'Host', 'Authorization', 'Content-Length', 'traceparent', 'Transfer-Encoding'];
    const bytes =
      `POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Content-Length: 5\r\n` +
      `Connection: close, ${named.join(', ')}\r\n\r\nhello`;
    expect(await exchange(wire, bytes)).toMatchObject([{ status: 200 }]);
    expect(wire.upstream.seen[0]).toMatchObject({
      body: 'hello',
      headers: {
        host: wire.upstream.origin.slice('http://'.length),
        authorization: wire.bearer.slice('Authorization: '.length).trim(),
        'content-length': '5',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-host': 'api.example.com',
        'x-forwarded-proto': 'http',
        'x-forwarded-prefix': '/hello',
        'x-forwarded-user': 'alice-id',
        'x-forwarded-preferred-username': 'alice',
        'x-forwarded-email': 'alice@example.com',
        'x-forwarded-groups': 'user',
        'x-request-id': expect.any(String) as string,
        traceparent: expect.any(String) as string,
      },
    });
  });

  test('hop-by-hop fields and those that Connection names go, in any case and over several fields', async () => {
    const wire = await startWire();
    const { headers } = await seenOf(
      wire,
      '/hello',
      'Keep-Alive: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nTE: gzip\r\n' +
        'Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\nConnection: x-ONE ,\tX-Two\r\nX-One: 1\r\nx-two: 2\r\nX-Three: 3\r\n',
    );
    expect(headers['x-three']).toBe('3');
    for (const name of [
      'keep-alive', 'proxy-connection', 'proxy-authorization', 'te', 'upgrade', 'http2-settings', 'x-one', 'x-two',
    ]) expect(headers[name]).toBeUndefined(); // prettier-ignore
  });

  test('Authorization reaches the service only with forwardToken', async () => {
    expect((await seenOf(await startWire(), '/hello')).headers.authorization).toBeUndefined();
    expect((await seenOf(await startWire(), '/open')).headers.authorization).toBeUndefined();
  });

  test('fields that could stand for the path or for a proxy go', async () => {
    const names = ['X-Original-URL', 'X-Rewrite-URL', 'X-Original-URI', 'x-envoy-original-path', 'Proxy'];
    const seen = await seenOf(
      await startWire(),
      '/hello',
      names.map((name) => `${name}: /forged\r\n`).join(''),
    );
    expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged');
  });

  test('a well-formed traceparent is kept and any other replaced', async () => {
    const wire = await startWire();
    const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect((await seenOf(wire, '/hello', `traceparent: ${good}\r\n`)).headers['traceparent']).toBe(good);
    const others = [
      good.toUpperCase(),
      `${good}x`,
      good.replace(/^00/, 'ff'),
      'forged',
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    ];
    for (const other of others) {
      const { headers } = await seenOf(wire, '/hello', `traceparent: ${other}\r\n`);
      expect(headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
      expect(headers['traceparent']).not.toBe(other);
    }
    const twice = `traceparent: ${good}\r\ntraceparent: ${good}\r\n`;
    expect((await seenOf(wire, '/hello', twice)).headers['traceparent']).not.toContain(good);
  });
});

describe('claims in header fields', () => {
  const seenWith = async (claims: Record<string, unknown>) => {
    const wire = await startWire();
    const bytes = `GET /hello HTTP/1.1\r\n${HOST}Authorization: Bearer ${await issueToken(claims)}\r\nConnection: close\r\n\r\n`;
    expect(await exchange(wire, bytes)).toMatchObject([{ status: 200 }]);
    const { headers, rawHeaders } = wire.upstream.seen[0]!;
    const value = (name: string) => Buffer.from(String(headers[name]), 'latin1').toString('utf8');
    return { value, rawHeaders };
  };

  test('cannot end their line', async () => {
    const { value, rawHeaders } = await seenWith({
      preferred_username: 'a\r\nX-Forwarded-User: root\0\x7f',
      email: '\n\r',
      realm_access: { roles: ['user\r\nX-Evil: 1'] },
    });
    expect(value('x-forwarded-preferred-username')).toBe('a%0D%0AX-Forwarded-User: root%00%7F');
    expect(rawHeaders).not.toContain('X-Evil');
    expect(rawHeaders.filter((name) => name.toLowerCase() === 'x-forwarded-user')).toHaveLength(1);
  });

  test('keep commas and percent signs in role names apart', async () => {
    const { value } = await seenWith({ realm_access: { roles: ['a,b', 'a%2Cb', 'c'] } });
    expect(value('x-forwarded-groups')).toBe('a%2Cb,a%252Cb,c');
  });

  test.each(['J\u00f6rg', 'voil\u00e0', '\u540d\u524d', '\u{1f600}', '\u010d\u010a', '\u0120x'])(
    'beyond ASCII are UTF-8: %s',
    async (name) => {
      const { value } = await seenWith({ preferred_username: name });
      expect(value('x-forwarded-preferred-username')).toBe(name);
    },
  );
});

describe('hostile names and values cost no more than their length', () => {
  const time = (headers: readonly string[]) => {
    const raw = ['Host', 'api.example.com', ...headers];
    return () => readHead(raw, false, null);
  };

  test('hundreds of thousands of characters in every field that is taken apart', () => {
    const long = 400_000;
    for (const value of [
      ','.repeat(long), ' '.repeat(long) + 'x', 'trailers' + ' '.repeat(long) + 'x', 'trailers,'.repeat(long / 10),
      'a'.repeat(long), '-'.repeat(long), 'a.'.repeat(long / 2), ',' + '\t'.repeat(long),
    ]) for (const name of ['Connection', 'TE', 'X-Forwarded-For', 'Sec-WebSocket-Protocol', 'X-Other', 'traceparent']) {
      expect(time([name, value])).not.toThrow();
      expect(time([value.replaceAll(/[^a-z.-]/g, '_'), 'x'])).not.toThrow();
    } // prettier-ignore
    for (const host of ['a'.repeat(long), 'a.'.repeat(long), '[' + ':'.repeat(long)]) {
      expect(() => readHead(['Host', host], false, null)).toThrow('The Host header is not a host name');
    }
  });

  test('names that nobody uses do not displace those that have a meaning', () => {
    for (let i = 0; i < 5_000; i++) readHead(['Host', 'a', `X-Name-${i}`, 'x'], false, null);
    const head = readHead(['Host', 'a', 'X-FORWARDED-user', 'root', 'X-Kept', '1'], false, null);
    expect(head.passed).toEqual(['X-Kept', '1']);
  });
});
