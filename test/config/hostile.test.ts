import { expect, test } from 'vitest';
import { REALM, faultsOf, settingsOf } from './support.ts';

test('prototype keys are unknown keys, and reach no object', async () => {
  const faults = await faultsOf(
    `${REALM}__proto__: {dataDir: /evil}\ngateway: {__proto__: {accessLog: false}, constructor: {prototype: {x: 1}}}\n`,
  );
  expect(faults.map((fault) => fault.replace(/;.*/, ''))).toEqual([
    '2:1 : "__proto__" is not a key here',
    '3:11 gateway: "__proto__" is not a key here',
    '3:42 gateway: "constructor" is not a key here',
  ]);
  expect(({} as Record<string, unknown>)['accessLog']).toBeUndefined();
});

test('toString and hasOwnProperty are unknown keys too', async () => {
  expect(await faultsOf(`${REALM}toString: 1\nhasOwnProperty: 2\n`)).toHaveLength(2);
});

test('an alias bomb in unknown keys is never expanded', async () => {
  const levels = Array.from({ length: 60 }, (_, i) => {
    const content = i === 0 ? 'lol' : Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ');
    return `x${i}: &a${i} [${content}]\n`;
  });
  expect(await faultsOf(REALM + levels.join(''))).toHaveLength(60);
});

test('an alias bomb where lists are allowed ends in one fault', async () => {
  const n = 800;
  const text = `${REALM}routes:
  - &r {name: x, endpoint: /x, upstream: &u [${Array.from({ length: n }, () => 'http://a').join(', ')}]}
${'  - *r\n'.repeat(n)}`;
  expect(await faultsOf(text)).toEqual(['1:1 : the file has, with its aliases, more than 500000 values']);
});

test('brackets without end do not end the process', async () => {
  for (const text of ['['.repeat(20_000), '{a: '.repeat(20_000), `a: ${'- '.repeat(20_000)}x`]) {
    expect((await faultsOf(text)).length).toBeGreaterThan(0);
  }
});

test('huge and odd numbers are refused where numbers are wanted', async () => {
  for (const value of [
    '1e400',
    '.inf',
    '.nan',
    '-1',
    '1.5',
    '99999999999999999999',
    '0x7fffffffff',
    '""',
    '"8"',
  ]) {
    expect(await faultsOf(`${REALM}gateway: {limits: {connections: ${value}}}\n`)).toEqual([
      expect.stringContaining('gateway.limits.connections: '),
    ]);
  }
  const sizes = `${REALM}gateway: {limits: {headerBytes: 999999999MiB}, timeouts: {idle: 999999h, header: 99999999999999999999s}}\n`;
  expect(await faultsOf(sizes)).toHaveLength(3);
});

test('a NUL in a path is refused before the path is used', async () => {
  const faults = await faultsOf(
    `${REALM}dataDir: "a\\0b"\ngateway: {tls: {cert: "a\\0", key: "\${file:/a\\0b}"}}\n`,
  );
  expect(faults.map((fault) => fault.split(': ', 2).join(': '))).toEqual([
    '2:10 dataDir: "a\\u0000b" is not a path; expected the path of a file or directory, relative to the working directory',
    expect.stringContaining('3:23 gateway.tls.cert'),
    '3:35 gateway.tls.key: needs the file "/a\\u0000b"',
  ]);
});

test('control characters and text direction marks cannot steer the terminal that shows a fault', async () => {
  const [fault] = await faultsOf(`${REALM}gateway: {listen: "\\e[2J\\u009b31m\\u202eevil\\u2028"}\n`);
  expect(fault).toMatch(/^[\x20-\x7e]+$/);
  const [key] = await faultsOf(`${REALM}"a\\e[2J\\nb": 1\n`);
  expect(key).toMatch(/^[\x20-\x7e]+$/);
});

test('a long value is cut in a message', async () => {
  const [fault] = await faultsOf(`${REALM}gateway: {listen: "${'x'.repeat(100_000)}"}\n`);
  expect(fault!.length).toBeLessThan(400);
});

test('thousands of routes are accepted', async () => {
  const routes = Array.from(
    { length: 3000 },
    (_, i) =>
      `  - {name: r${i}, endpoint: /r${i}, upstream: ["http://10.0.0.1:80"], access: {roles: ["realm:a"]}}\n`,
  );
  expect((await settingsOf(`${REALM}routes:\n${routes.join('')}`)).routes).toHaveLength(3000);
});
