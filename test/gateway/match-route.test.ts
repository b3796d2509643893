import { describe, expect, test } from 'vitest';
import type { Route } from '../../src/contracts/settings.ts';
import { RouteTable, upstreamPath } from '../../src/gateway/match-route.ts';
import { route } from '../support/gateway.ts';

const at = (endpoint: string): Route => route({ name: endpoint, endpoint, upstream: [] });
const host = (name: string): Route => route({ name, endpoint: null, host: name, upstream: [] });

function table(...routes: readonly Route[]): (host: string, path: string) => string | null {
  const entries = new RouteTable(routes.map((entry) => ({ route: entry })));
  return (name, path) => entries.match(name, path)?.route.name ?? null;
}

describe('endpoints', () => {
  const match = table(at('/a'), at('/a/b'), at('/a/b/c/d'), at('/x'));

  test.each([
    ['/a', '/a'],
    ['/a/', '/a'],
    ['/a/z', '/a'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b'],
    ['/a/b/c', '/a/b'],
    ['/a/b/c/d', '/a/b/c/d'],
    ['/a/b/c/d/e/f', '/a/b/c/d'],
    ['/ab', null],
    ['/a/bc', '/a'],
    ['/A', null],
    ['/', null],
    ['/x/a', '/x'],
    ['/y/a/b', null],
    ['/a%2Fb', null],
    ['/constructor', null],
    ['/__proto__', null],
  ])('%s is served by %s', (path, name) => {
    expect(match('api.example.com', path)).toBe(name);
  });

  test('the root serves what nothing else does', () => {
    const withRoot = table(at('/'), at('/a'));
    expect(withRoot('h', '/')).toBe('/');
    expect(withRoot('h', '/b/c')).toBe('/');
    expect(withRoot('h', '/ab')).toBe('/');
    expect(withRoot('h', '/a/b')).toBe('/a');
  });

  test('a path of thousands of segments costs no more than its length', () => {
    expect(match('h', '/a' + '/b'.repeat(200_000))).toBe('/a/b');
    expect(match('h', '/z'.repeat(200_000))).toBe(null);
    expect(match('h', '/a/' + ';'.repeat(200_000))).toBe('/a');
  });
});

describe('hosts', () => {
  const match = table(host('admin.example.com'), at('/a'));

  test('the very host comes before any endpoint', () => {
    expect(match('admin.example.com', '/a')).toBe('admin.example.com');
    expect(match('admin.example.com', '/')).toBe('admin.example.com');
  });

  test.each(['xadmin.example.com', 'admin.example.com.evil.example', 'example.com', 'admin.example.co', ''])(
    'a name that is only similar does not match: %s',
    (name) => {
      expect(match(name, '/b')).toBe(null);
      expect(match(name, '/a')).toBe('/a');
    },
  );
});

describe('parameters', () => {
  test('match nothing where they would change the route', () => {
    const match = table(at('/'), at('/admin'), at('/admin/users'));
    for (const path of ['/admin;x', '/admin;', '/admin;x/users', '/admin/users;x', '/admin/users;x/1']) {
      expect(match('h', path)).toBe(null);
    }
  });

  test('are left alone everywhere else', () => {
    const match = table(at('/'), at('/admin'));
    expect(match('h', '/admin/users;x=1')).toBe('/admin');
    expect(match('h', '/admin/;x')).toBe('/admin');
    expect(match('h', '/other;x')).toBe('/');
  });
});

describe('what the upstream is asked for', () => {
  test.each([
    ['/a/b', true, '/a/b', '/'],
    ['/a/b', true, '/a/b/', '/'],
    ['/a/b', true, '/a/b/c', '/c'],
    ['/a/b', false, '/a/b/c', '/a/b/c'],
    ['/', true, '/a', '/a'],
  ])('endpoint %s, stripped: %s, %s becomes %s', (endpoint, stripPrefix, path, expected) => {
    expect(upstreamPath({ ...at(endpoint), stripPrefix }, path)).toBe(expected);
  });

  test('a host route passes the path as it is', () => {
    expect(upstreamPath(host('h'), '/a')).toBe('/a');
  });
});

describe('entries beside the table’s own', () => {
  const own = at('/a/b');
  const ownHost = host('api.example.com');
  const entry = (item: Route) => ({ route: item });

  function nameOf(entries: RouteTable<{ readonly route: Route }>, name: string, path: string): string | null {
    return entries.match(name, path)?.route.name ?? null;
  }

  test('serve where the table has none, however deep, and lose where both have the same', () => {
    const entries = new RouteTable([own, ownHost].map(entry));
    const beside = [
      route({ name: 'deep', endpoint: '/a/b/c/d', upstream: [] }),
      route({ name: 'same', endpoint: '/a/b', upstream: [] }),
      route({ name: 'same host', endpoint: null, host: 'api.example.com', upstream: [] }),
      route({ name: 'host', endpoint: null, host: 'other.example.com', upstream: [] }),
    ];
    entries.putBeside(beside.map(entry));
    expect(nameOf(entries, 'h', '/a/b/c/d/e')).toBe('deep');
    expect(nameOf(entries, 'h', '/a/b')).toBe('/a/b');
    expect(nameOf(entries, 'api.example.com', '/x')).toBe('api.example.com');
    expect(nameOf(entries, 'other.example.com', '/x')).toBe('host');
  });

  test('replace the ones before, and leave the table’s own alone', () => {
    const entries = new RouteTable([own].map(entry));
    entries.putBeside([at('/x'), at('/a/b'), host('h')].map(entry));
    entries.putBeside([at('/y')].map(entry));
    expect(nameOf(entries, 'h', '/x')).toBe(null);
    expect(nameOf(entries, 'h', '/a/b')).toBe('/a/b');
    expect(nameOf(entries, 'h', '/y')).toBe('/y');
    entries.putBeside([]);
    expect(nameOf(entries, 'h', '/y')).toBe(null);
    expect(nameOf(entries, 'h', '/a/b')).toBe('/a/b');
  });
});
