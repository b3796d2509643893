import { describe, expect, test } from 'vitest';
import { FORMATS, FormatError } from '../../src/config/formats.ts';
import type { Format } from '../../src/config/formats.ts';

type Name = keyof typeof FORMATS;

const RIGHT: [Name, string, unknown][] = [
  ['duration', '500ms', 500],
  ['duration', '30s', 30_000],
  ['duration', '10m', 600_000],
  ['duration', '576h', 2_073_600_000],
  ['durationOrZero', '0s', 0],
  ['period', '12h', 43_200_000],
  ['period', '90d', 7_776_000_000],
  ['period', 'unlimited', null],
  ['headerSize', '64KiB', 65_536],
  ['headerSize', '512B', 512],
  ['headerSize', '16MiB', 16_777_216],
  ['bodySize', 'unlimited', null],
  ['bodySize', '2GiB', 2_147_483_648],
  ['rate', '10/m', { count: 10, window: 60_000 }],
  ['rate', '100/s', { count: 100, window: 1000 }],
  ['rate', '5/h', { count: 5, window: 3_600_000 }],
  ['address', '127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['address', 'Gateway.Example.com:0', { host: 'gateway.example.com', port: 0 }],
  ['address', '[::1]:65535', { host: '::1', port: 65_535 }],
  ['loopbackAddress', '127.8.8.8:1', { host: '127.8.8.8', port: 1 }],
  ['loopbackAddress', '[::1]:1', { host: '::1', port: 1 }],
  ['loopbackAddress', 'localhost:1', { host: 'localhost', port: 1 }],
  ['origin', 'http://10.96.0.12:8787/', 'http://10.96.0.12:8787'],
  ['origin', 'https://Example.com:443', 'https://example.com'],
  ['origin', 'http://[::1]:8080', 'http://[::1]:8080'],
  ['realmUrl', 'http://kc/auth/realms/a//', 'http://kc/auth/realms/a'],
  ['realmUrl', 'http://kc', 'http://kc'],
  ['issuer', 'https://Tenant.example.com/', 'https://Tenant.example.com/'],
  ['cidr', '10.0.0.0/8', '10.0.0.0/8'],
  ['cidr', 'fd00::/8', 'fd00::/8'],
  ['cidr', '::1', '::1'],
  ['host', 'Hello.Example.COM', 'hello.example.com'],
  ['endpoint', '/', '/'],
  ['endpoint', '/a/b.c/~d', '/a/b.c/~d'],
  ['endpoint', '/authors', '/authors'],
  ['endpoint', '/...', '/...'],
  ['role', 'realm:a b', 'realm:a b'],
  ['role', 'client:api/a/b', 'client:api/a/b'],
  ['portRange', '20000-20999', { first: 20_000, last: 20_999 }],
];

const WRONG: [Name, readonly string[]][] = [
  ['duration', ['0s', '000ms', '1', 's', '1.5s', '-1s', '1d', '1 s', '577h', '1m30s', '1s\n', '１s']],
  ['durationOrZero', ['0', '', '601h']],
  ['period', ['0d', '0h', '90', 'd', '1.5d', '-1d', '10m', '100000d', '1d1h', 'Unlimited', '1d\n']],
  ['headerSize', ['0KiB', '1KB', '1', '17MiB', 'unlimited', '1kib']],
  ['bodySize', ['0B', 'Unlimited', '9999999GiB']],
  ['rate', ['0/s', '10', '10/d', '1.5/s', '-1/s', '10/m/s', '10 / m']],
  [
    'address',
    [
      '8080',
      '8080x',
      'a:b',
      ':',
      ':65536',
      'a:123456',
      '::1:80',
      '[::1]',
      '[g::]:80',
      '[1.2.3.4]:80',
      '[fe80::1%eth0]:80',
      '1.2.3:80',
      '1.2.3.999:80',
      'a b:80',
      'http://a:80',
      '-a:80',
      `${'a.'.repeat(127)}a:80`,
    ],
  ],
  [
    'loopbackAddress',
    [
      '0.0.0.0:1',
      ':8082',
      '10.0.0.1:1',
      '127.0.0.256:1',
      'localhost.example.com:1',
      '127.0.0.1:0',
      '127.1:80',
      '[::]:1',
      'LOCALHOST:1x',
    ],
  ],
  [
    'origin',
    [
      'http://a/b',
      'http://a?',
      'http://a#',
      'http://u@a',
      'http://a:0',
      'http://a:65536',
      'ftp://a',
      'a:80',
      '//a',
      'http://',
      'http://*.a',
      '*',
      'null',
      'http://a b',
      'http:\\\\a',
      'http://[::1',
      'http://1.2.3.999',
      'HTTP//a',
    ],
  ],
  [
    'realmUrl',
    ['http://kc/?a', 'http://kc/#a', 'http://u:p@kc/a', 'kc/a', 'file:///etc/passwd', 'http://kc/a\\b'],
  ],
  ['issuer', ['demo', 'http://a/?q', 'http://a#f']],
  ['cidr', ['10.0.0.0/33', '::/129', '10.0.0', '10.0.0.0/', 'a', '10.0.0.0/8/8', '256.0.0.1', '']],
  ['host', ['a:80', '*.a', 'a.', '.a', 'a..b', 'ü.de', '1.2.3.400', '-a', 'a/b', '']],
  [
    'endpoint',
    [
      '',
      'a',
      '//',
      '/a//b',
      '/a/',
      '/./a',
      '/a/..',
      '/..',
      '/..;x/a',
      '/a%2fb',
      '/a b',
      '/a?b',
      '/a#b',
      '/a\\b',
      '/ä',
      '/auth',
      '/auth/x',
      '/%61uth',
      '/a\n',
    ],
  ],
  ['realmName', ['', '.', '..', 'a/b', 'a b', 'a%2fb', '-a', '.a', 'ä']],
  ['routeName', ['', 'a b', 'a/b', '-a', 'a'.repeat(64), 'a\n']],
  ['role', ['admin', 'realm:', 'client:a', 'client:/a', 'client:a/', 'realm:a\nb', 'Realm:a', 'group:a']],
  ['scope', ['', 'a b', 'a"b', 'a\\b', 'ä']],
  ['healthPath', ['', 'a', '/a b', '/a#b', '/ä']],
  ['portRange', ['20000', '0-1', '2-1', '1-65536', '1-2-3']],
  ['namespace', ['', 'A', '-a', 'a.b']],
  ['path', ['', 'a\0', 'a\nb']],
  ['line', ['', 'a\nb', '\u007f']],
  ['secret', ['', 'a\0b']],
];

describe.each(RIGHT)('%s %j', (name, text, decoded) => {
  test('is decoded', () => {
    expect((FORMATS[name] as Format).decode(text)).toStrictEqual(decoded);
  });
});

test.each(WRONG.flatMap(([name, texts]) => texts.map((text) => [name, text] as const)))(
  '%s refuses %j',
  (name, text) => {
    expect(() => FORMATS[name].decode(text)).toThrow(FormatError);
  },
);

test('the pattern lets a reference pass for editors, the format does not', () => {
  for (const format of [FORMATS.duration, FORMATS.address, FORMATS.origin, FORMATS.rate, FORMATS.endpoint]) {
    expect('${X}').toMatch(new RegExp(format.pattern, 'u'));
    expect(() => format.decode('${X}')).toThrow(FormatError);
  }
});
