import { describe, expect, test } from 'vitest';
import { canonicalTarget } from '../../src/gateway/canonical-path.ts';
import { route } from '../support/gateway.ts';
import {
  exchange,
  expectAnswered,
  expectQuiet,
  expectRefused,
  expectUntouched,
  HOST,
  seenOf,
  startWire,
} from './wire.ts';

describe('a target that two readers could understand differently is 400, with a token or without', () => {
  const TARGETS: Record<string, string> = {
    'a dot segment': '/hello/./x',
    'a dot segment at the end': '/hello/.',
    'two dots': '/open/../hello',
    'two dots at the end': '/hello/..',
    'two dots at the start': '/../hello',
    'an encoded dot': '/hello/%2e/x',
    'two encoded dots': '/open/%2e%2e/hello',
    'two encoded dots in upper case': '/open/%2E%2E/hello',
    'one dot of two encoded': '/open/.%2e/hello',
    'the other dot of two encoded': '/open/%2E./hello',
    'two dots before a parameter': '/open/..;/hello',
    'encoded dots before a parameter': '/open/%2e%2e;x=1/hello',
    'a dot before a parameter': '/hello/.;x',
    'two slashes': '/hello//x',
    'two slashes at the start': '//hello',
    'two slashes at the end': '/hello//',
    'a backslash': '/open\\..\\hello',
    'an encoded slash': '/hello%2Fx',
    'an encoded slash in lower case': '/hello%2fx',
    'an encoded backslash': '/hello%5Cx',
    'an encoded backslash in lower case': '/hello%5cx',
    'an encoded NUL': '/hello/x%00.html',
    'an escape that is no number': '/hello/%zz',
    'an escape of one digit': '/hello/%4',
    'an escape without digits': '/hello/%',
    'an escape in another alphabet': '/hello/%u002e',
    'an overlong dot': '/open/%c0%ae%c0%ae/hello',
    'an overlong slash of three bytes': '/open%e0%80%afhello',
    'an overlong slash of four bytes': '/open%f0%80%80%afhello',
    'a fragment': '/hello#x',
    'a fragment in the query': '/hello?x#y',
    'a character beyond ASCII': '/hello/\xe4',
    'a character beyond ASCII in the query': '/hello?\xe4',
    'a tilde of DEL': '/hello/\x7f',
    'another authority': 'http://other.example.com/hello',
    'another port': 'http://api.example.com:8080/hello',
    'user information': 'http://me@api.example.com/hello',
    'a name that only begins alike': 'http://api.example.com.evil.example/hello',
    'an empty authority': 'http:///hello',
    'another scheme': 'ftp://api.example.com/hello',
    'a scheme without slashes': 'http:/hello',
    'dots in an absolute form': 'http://api.example.com/open/../hello',
    'two slashes in an absolute form': 'http://api.example.com//hello',
    'a backslash for the authority': 'http://api.example.com\\@other.example.com/hello',
    'the authority form': 'api.example.com:80',
    'a name': 'hello',
    'the asterisk form': '*',
  };
  test.each(Object.entries(TARGETS))('%s', async (_name, target) => {
    const wire = await startWire();
    await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}${wire.bearer}\r\n`, 400, 'ambiguous_path');
    await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`, 400, 'ambiguous_path');
    await expectQuiet(wire);
  });

  test('OPTIONS *', async () => {
    const wire = await startWire();
    await expectAnswered(wire, `OPTIONS * HTTP/1.1\r\n${HOST}${wire.bearer}\r\n`, 400, 'ambiguous_path');
  });

  test('the same under /auth/', async () => {
    const wire = await startWire();
    for (const target of ['/auth/../hello', '/auth//realms', '/hello/%2e%2e/auth/realms/demo']) {
      await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`, 400, 'ambiguous_path');
    }
  });

  test('CONNECT, which also closes', async () => {
    const wire = await startWire();
    const behind = `GET /open HTTP/1.1\r\n${HOST}\r\n`;
    for (const target of ['api.example.com:443', '127.0.0.1:80']) {
      for (const headers of ['', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n']) {
        const bytes = `CONNECT ${target} HTTP/1.1\r\n${HOST}${wire.bearer}${headers}\r\n${behind}`;
        await expectRefused(wire, bytes, 400, 'ambiguous_path');
      }
    }
    await expectQuiet(wire);
  });
});

describe('what is accepted reaches the service in one form', () => {
  test.each([
    ['/hello', '/hello'],
    ['/hello/', '/hello/'],
    ['/hello/%61%62', '/hello/ab'],
    ['/%68ello/x', '/hello/x'],
    ['/hello/%7e%2d%5F%2E%39', '/hello/~-_.9'],
    ['/hello/%c3%a4', '/hello/%C3%A4'],
    ['/hello/%3b%3B;', '/hello/%3B%3B;'],
    ['/hello/a%20b', '/hello/a%20b'],
    ['/hello/%252e%252e', '/hello/%252e%252e'],
    ['/hello/...', '/hello/...'],
    ['/hello/.x/x./..x', '/hello/.x/x./..x'],
    ['/hello/a;v=1/b', '/hello/a;v=1/b'],
    ["/hello/!$&'()*+,=:@|", "/hello/!$&'()*+,=:@|"],
    ['/hello?', '/hello?'],
    ['/hello?a=%zz&b=../..//\\&c=%2F?', '/hello?a=%zz&b=../..//\\&c=%2F?'],
    ['http://api.example.com/hello?x', '/hello?x'],
    ['HTTP://API.example.com/hello', '/hello'],
    ['https://api.example.com/hello/%61', '/hello/a'],
  ])('%s', async (target, url) => {
    const wire = await startWire({ hello: { stripPrefix: false } });
    expect(await seenOf(wire, target)).toMatchObject({ url });
    expect(wire.accessLog().at(-1)).toMatchObject({ path: url.replace(/\?.*/, ''), route: 'hello' });
  });

  test('without the prefix where that is stripped', async () => {
    const wire = await startWire();
    for (const [target, url] of [
      ['/hello', '/'],
      ['/hello?x', '/?x'],
      ['/hello/', '/'],
      ['/%68ell%6F/%78', '/x'],
    ]) {
      expect(await seenOf(wire, target!)).toMatchObject({ url });
    }
  });

  test('an absolute form whose authority has a port, as Host has', async () => {
    const wire = await startWire();
    const bytes =
      'GET http://api.example.com:8080/hello/x HTTP/1.1\r\nHost: API.example.com:8080\r\n' +
      `${wire.bearer}Connection: close\r\n\r\n`;
    expect(await exchange(wire, bytes)).toMatchObject([{ status: 200 }]);
    expect(wire.upstream.seen[0]).toMatchObject({
      url: '/x',
      headers: { 'x-forwarded-host': 'api.example.com:8080' },
    });
  });

  test('an absolute form without a path asks for the root', async () => {
    const wire = await startWire({
      routes: (origin) => [route({ endpoint: '/', public: true, upstream: [origin] })],
    });
    expect(await seenOf(wire, 'http://api.example.com')).toMatchObject({ url: '/' });
    expect(await seenOf(wire, 'http://api.example.com?x')).toMatchObject({ url: '/?x' });
  });
});

describe('whoever has no valid token', () => {
  test('gets 401 for every path outside of /auth/ and the public routes', async () => {
    const wire = await startWire();
    for (const target of ['/', '/hello', '/hello/x', '/nothing', '/auth', '/open2', '/Open', '/%61uth']) {
      await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`, 401, 'token_missing');
    }
    expectUntouched(wire);
  });

  test('gets 404 for a path under /auth/ that is not published, however it is spelled', async () => {
    const wire = await startWire();
    for (const target of ['/auth/', '/auth/admin', '/%61uth/admin/realms', '/auth/realms/demo;x/protocol']) {
      await expectAnswered(wire, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`, 404, 'no_such_service');
      await expectAnswered(
        wire,
        `GET ${target} HTTP/1.1\r\n${HOST}${wire.bearer}\r\n`,
        404,
        'no_such_service',
      );
    }
  });
});

test('a target as long as the header limit allows costs no more than its length', () => {
  const long = 400_000;
  for (const piece of ['%41', '%', '/a', '/.', ';', '%2e', '%c3', '.', '/..;']) {
    const target = '/' + piece.repeat(long / piece.length);
    try {
      expect(canonicalTarget(target, 'a').path.length).toBeLessThanOrEqual(target.length);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ambiguous_path' });
    }
  }
});
