import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatFault, loadSettings } from '../../src/config/load.ts';
import { REALM, faultsOf, line, load, scratch } from './support.ts';

const ORIGIN = 'expected http:// or https:// with host and port only, such as http://10.96.0.12:8787';
const ADDRESS = 'expected host:port such as 127.0.0.1:8080, [::1]:8080, or :8080 for every address';
const DURATION = 'expected a number and a unit, such as 500ms, 30s, 10m or 24h';

test('every fault of a file is reported at once, each at its line and column', async () => {
  const text = `dataDir: 12
dataDir: b
gatway: {}
gateway:
  listen: 8080x
  public_url: https://x.example.com
  workers: 0
  accessLog: yes
  tls: {cert: /nowhere/tls.crt, key: test/config/tls/server.key}
  timeouts: {header: 10, drain: -1s}
  limits:
  trustedProxies: 10.0.0.0/8
admin: {listen: 127.0.0.1:8081, realm: nope}
realms:
  - name: demo
    url: keycloak:8080
    algorithms: [RS256, none, HS256]
    clients: []
    introspection: {clientId: gateway, clientSecret: "\${KC_SECRET}"}
  - {name: demo, url: http://kc/auth/realms/demo}
routes:
  - name: a
    upstream: [http://10.0.0.1/path]
  - {name: a, endpoint: /x/, host: x, upstream: ["\${file:/nowhere/u}"]}
  - {endpoint: /x/../y, upstream: *none, access: {roles: [admin]}}
embeddedRealm: {listen: 0.0.0.0:8082, users: [{username: u, password: ""}]}
example: {directory: x, endpoint: hello}
`;
  expect(await faultsOf(text)).toEqual([
    '1:10 dataDir: 12 is not a path; expected the path of a file or directory, relative to the working directory (in quotes)',
    '2:1 dataDir: the key stands here twice, first in line 1',
    '3:1 : "gatway" is not a key here; did you mean gateway?',
    `5:11 gateway.listen: "8080x" is not an address; ${ADDRESS}`,
    '6:3 gateway: "public_url" is not a key here; did you mean publicUrl?',
    '7:12 gateway.workers: 0 is not auto or a whole number from 1 to 1024',
    '8:14 gateway.accessLog: "yes" is not true or false',
    '9:15 gateway.tls.cert: "/nowhere/tls.crt" cannot be read: there is no such file',
    `10:22 gateway.timeouts.header: 10 is not a duration above zero; ${DURATION}`,
    `10:33 gateway.timeouts.drain: "-1s" is not a duration; ${DURATION}`,
    '11:3 gateway.limits: has no value; expected the keys headerBytes, tokenBytes, bodyBytes, connections',
    '12:19 gateway.trustedProxies: "10.0.0.0/8" is not a list',
    '13:40 admin.realm: "nope" is not the name of a realm in this file',
    '16:10 realms[0].url: "keycloak:8080" is not the URL of a realm; expected such as http://keycloak:8080/auth/realms/demo',
    '17:25 realms[0].algorithms[1]: "none" is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA',
    '17:31 realms[0].algorithms[2]: "HS256" is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA',
    '18:14 realms[0].clients: is an empty list; it needs one entry at least',
    '19:54 realms[0].introspection.clientSecret: needs the environment variable KC_SECRET, which is not set',
    '20:12 realms[1].name: "demo" is taken by realms[0]; each name has to be unique',
    '22:5 routes[0]: needs an endpoint such as /hello, or a host',
    `23:16 routes[0].upstream[0]: "http://10.0.0.1/path" is not an origin; ${ORIGIN}`,
    '24:12 routes[1].name: "a" is taken by routes[0]; each name has to be unique',
    '24:25 routes[1].endpoint: "/x/" is not an endpoint: it ends in a slash; expected a canonical path such as /hello',
    '24:36 routes[1].host: stands beside endpoint; a route has one of the two',
    '24:50 routes[1].upstream[0]: needs the file "/nowhere/u": there is no such file',
    '25:5 routes[2].name: is missing; expected a name',
    '25:16 routes[2].endpoint: "/x/../y" is not an endpoint: it has a dot segment; expected a canonical path such as /hello',
    '25:35 routes[2].upstream: the alias here has no anchor before it; text that begins with * has to be in quotes',
    '25:59 routes[2].access.roles[0]: "admin" is not a role; expected realm:ROLE or client:CLIENT/ROLE, such as realm:admin or client:api/editor',
    '26:25 embeddedRealm.listen: "0.0.0.0:8082" is not a loopback address; expected host:port such as 127.0.0.1:8082; the embedded realm is for development only',
    '26:71 embeddedRealm.users[0].password: the value is not a secret; expected text that is not empty',
    '27:35 example.endpoint: "hello" is not an endpoint; expected a canonical path such as /hello',
  ]);
});

describe('YAML', () => {
  test.each([
    ['', '1:1 : has no value; expected the keys '],
    ['[a]\n', '1:1 : a list is not a section; expected the keys '],
    ['just text\n', '1:1 : "just text" is not a section; expected the keys '],
    [`${REALM}---\nadmin: {}\n`, '2:1 : a second YAML document begins here'],
    [`${REALM}dataDir: !!binary aGk=\n`, '2:10 : this is a YAML tag, and none are known here'],
    [`${REALM}? [a]\n: b\n`, '2:3 : YAML: with stringKeys'],
    [`${REALM}dataDir: "x\n`, '3:1 : YAML: missing closing'],
    [`${REALM}gateway:\n\tlisten: x\n`, '3:1 : YAML: '],
    [
      `${REALM}gateway: {listen: \${LISTEN}}\n`,
      '2:20 : a ${...} inside of brackets or braces has to be in quotes',
    ],
    [`${REALM}routes: &a [*a]\n`, '2:13 routes[0]: the alias here refers to what contains it'],
  ])('%j is refused', async (text, expected) => {
    const faults = await faultsOf(text);
    expect(faults).toEqual([expect.stringContaining(expected)]);
  });

  test.each([
    'dataDir: "a"hunter2\n',
    'x: 1\n}\nhunter2\n',
    'x: 1\n]hunter2: x\n',
    'dataDir: |hunter2\n',
    'dataDir: !hunter2\n',
    'dataDir: !<hunter2\n',
    'dataDir: *hunter2\n',
    'dataDir: @hunter2\n',
    'dataDir: "\\qhunter2"\n',
  ])('what is wrong with %j is told without an excerpt, which may be a password', async (text) => {
    const faults = await faultsOf(text);
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.join('\n')).not.toContain('hunter');
  });
});

describe('rules between values', () => {
  const route = (more: string) => `  - {upstream: ["http://a"], ${more}}\n`;

  test('endpoints, hosts and users are unique, and names that differ in case are one host', async () => {
    const text = `${REALM}routes:
${route('name: a, endpoint: /x')}${route('name: b, endpoint: /x')}${route('name: c, host: x.y')}${route('name: d, host: X.Y')}embeddedRealm: {users: [{username: u, password: p}, {username: u, password: q}]}
`;
    expect(await faultsOf(text)).toEqual([
      '4:49 routes[1].endpoint: "/x" is taken by routes[0]; each endpoint has to be unique',
      '6:45 routes[3].host: "X.Y" is taken by routes[2]; each host has to be unique',
      '7:64 embeddedRealm.users[1].username: "u" is taken by embeddedRealm.users[0]; each username has to be unique',
    ]);
  });

  test('with several realms, routes and the admin side have to name one', async () => {
    const text = `realms: [{name: a, url: "http://a"}, {name: b, url: "http://b"}]\nadmin: {}\nroutes:\n${route('name: r, endpoint: /r')}`;
    expect(await faultsOf(text)).toEqual([
      '2:8 admin.realm: is missing; with several realms it has to name one',
      '4:5 routes[0].realm: is missing; with several realms it has to name one',
    ]);
  });

  test('there has to be a realm', async () => {
    expect(await faultsOf('dataDir: x\n')).toEqual([
      '1:1 realms: is missing; expected a realm, or embeddedRealm for development',
    ]);
  });

  test.each([
    ['gateway: {listen: "127.0.0.1:8081"}', ['2:19 gateway.listen']],
    ['gateway: {listen: ":9000"}\nadmin: {listen: "127.0.0.1:9000"}', ['3:17 admin.listen']],
    ['gateway: {listen: "[::1]:9000"}\nadmin: {listen: "localhost:9000"}', ['3:17 admin.listen']],
    [
      'gateway: {listen: "127.0.0.1:8082"}\nembeddedRealm: {users: [{username: u, password: p}]}',
      ['3:16 embeddedRealm.listen'],
    ],
    ['gateway: {listen: "127.0.0.1:0"}\nadmin: {listen: "127.0.0.1:0"}', []],
    ['gateway: {listen: "127.0.0.1:9000"}\nadmin: {listen: "127.0.0.2:9000"}', []],
    ['gateway: {listen: "[0:0:0:0:0:0:0:1]:9000"}\nadmin: {listen: "[::1]:9000"}', ['3:17 admin.listen']],
  ])('an address is bound once: %j', async (text, places) => {
    const faults = await faultsOf(`${REALM}${text}\n`);
    // The second of two is at fault, wherever it stands; a default one has the place of what it belongs to.
    expect(faults).toHaveLength(places.length);
    for (const fault of faults) expect(fault).toContain('is the same address as gateway.listen');
    if (!text.startsWith('gateway: {listen: "127.0.0.1:8081"}')) {
      expect(faults.map((fault) => fault.split(': ')[0])).toEqual(places);
    }
  });

  test('a limit limits something, and a back-off grows', async () => {
    const text = `${REALM}routes:\n${route('name: r, endpoint: /r, limit: {perIdentity: false}')}services: {local: {restartBackoff: {first: 2m, max: 1m}}}\n`;
    expect(await faultsOf(text)).toEqual([
      '3:60 routes[0].limit: limits nothing; it needs a rate, a concurrency, or both',
      '4:53 services.local.restartBackoff.max: is shorter than first',
    ]);
  });
});

describe('TLS', () => {
  const tls = (cert: string, key: string) =>
    `${REALM}gateway: {tls: {cert: test/config/tls/${cert}, key: test/config/tls/${key}}}\n`;

  test.each([
    [
      'server.crt',
      'other.key',
      'gateway.tls.key: "test/config/tls/other.key" is not the key of the certificate in gateway.tls.cert',
    ],
    [
      'server.key',
      'server.key',
      'gateway.tls.cert: "test/config/tls/server.key" holds no certificate; expected PEM',
    ],
    [
      'server.crt',
      'server.crt',
      'gateway.tls.key: "test/config/tls/server.crt" holds no private key; expected PEM without a passphrase',
    ],
    [
      'server.crt',
      'encrypted.key',
      'gateway.tls.key: "test/config/tls/encrypted.key" holds no private key; expected PEM without a passphrase',
    ],
    ['server.crt', '.', 'gateway.tls.key: "test/config/tls/." cannot be read: it is a directory'],
    [
      'weak.crt',
      'weak.key',
      'gateway.tls.cert: "test/config/tls/weak.crt" cannot be used for TLS: ERR_SSL_EE_KEY_TOO_SMALL',
    ],
  ])('%s with %s is refused', async (cert, key, expected) => {
    const [fault, ...others] = await faultsOf(tls(cert, key));
    expect(others).toEqual([]);
    expect(fault).toContain(expected);
  });

  test('a certificate with its key is accepted', async () => {
    expect(await faultsOf(tls('server.crt', 'server.key'))).toEqual([]);
  });
});

describe('secrets', () => {
  test('a value that came from the environment or a file is in no message', async () => {
    const file = join(scratch(), 'secret');
    writeFileSync(file, 'hunter2 from file');
    const text = `realms:
  - {name: "\${S}", url: "\${S}", clients: ["\${S}\\0"], clockSkew: "\${S}", algorithms: ["\${S}"]}
  - {name: "a", url: "http://u:\${S}@kc"}
gateway: {listen: "\${S}", workers: "\${S}", publicUrl: "\${file:${file}}", tls: {cert: "\${S}", key: "/\${S}"}}
admin: {listen: "x\${S}", realm: "\${REALM}"}
routes:
  - {name: "\${R}", endpoint: "/\${S}", upstream: ["http://a"], realm: a}
  - {name: "\${R}", endpoint: "\${S:-hunter2}", upstream: ["http://b"], realm: "\${NONE:-hunter2}", public: "\${S}"}
`;
    const faults = await faultsOf(text, { S: 'hunter2 ../', R: 'hunter2', REALM: 'hunter2' });
    expect(faults.length).toBeGreaterThan(12);
    expect(faults.join('\n')).not.toContain('hunter2');
    expect(faults.join('\n')).toContain('routes[1].name: the value of "${R}" is taken by routes[0]');
  });

  test('passwords in the file itself are in no message', async () => {
    const faults = await faultsOf(`realms:
  - {name: demo, url: "http://kc:hunter2@kc", introspection: {clientId: x, clientSecret: "hunter2\\0"}}
embeddedRealm: {users: [{username: u, password: [hunter2]}, {username: v, password: "\${PW_\${X:-hunter2}}"}]}
`);
    expect(faults).toHaveLength(4);
    expect(faults.join('\n')).not.toContain('hunter2');
  });
});

describe('references', () => {
  test.each([
    ['${NOPE}', 'needs the environment variable NOPE, which is not set'],
    ['${}', 'has a ${...} that is not ${NAME}, ${NAME:-default} or ${file:/path}'],
    ['${a b}', 'has a ${...} that is not ${NAME}, ${NAME:-default} or ${file:/path}'],
    ['${__proto__}', 'needs the environment variable __proto__, which is not set'],
    ['${toString}', 'needs the environment variable toString, which is not set'],
    ['x${A', 'has a ${ without its }; write $${ for a plain ${'],
    ['${A:-${B}}', 'has a ${...} inside of the default of ${A}'],
    ['${file:}', 'needs the file "": there is no such file'],
    ['${file:/dev/zero}', 'needs the file "/dev/zero": it is not a regular file'],
    ['${file:/}', 'needs the file "/": it is a directory'],
  ])('%s is refused', async (reference, message) => {
    expect(await faultsOf(`${REALM}dataDir: ${JSON.stringify(reference)}\n`)).toEqual([
      `2:10 dataDir: ${message}`,
    ]);
  });

  test('each missing variable of one string is named', async () => {
    expect(await faultsOf(`${REALM}dataDir: \${A}/\${B}\n`)).toEqual([
      '2:10 dataDir: needs the environment variable A, which is not set',
      '2:10 dataDir: needs the environment variable B, which is not set',
    ]);
  });

  test('a reference among other text stays text', async () => {
    expect(await faultsOf(`${REALM}gateway: {workers: "1\${W}"}\n`, { W: '2' })).toEqual([
      '2:20 gateway.workers: the value of "1${W}" is not auto or a whole number from 1 to 1024',
    ]);
  });
});

test('a file that is not there, a directory and binary data are each one fault at its start', async () => {
  const directory = scratch();
  const missing = join(directory, 'none.yaml');
  const faults = async (file: string) => {
    const loaded = await loadSettings(file, {});
    return loaded.ok ? [] : loaded.faults;
  };
  const [fault] = await faults(missing);
  expect(formatFault(fault!)).toBe(`${missing}:1:1: the file cannot be read: there is no such file`);
  expect((await faults(directory)).map(line)).toEqual(['1:1 : the file cannot be read: it is a directory']);
  expect((await faults('a\0b')).map(line)).toEqual([
    '1:1 : the file cannot be read: the path has a NUL character',
  ]);
  expect(await faultsOf(new Uint8Array([0x61, 0xff, 0xfe]))).toEqual([
    '1:1 : the file cannot be read: it is not UTF-8 text',
  ]);
});

test('a fault is formatted as file, line, column, path and message', async () => {
  const loaded = await load(`${REALM}gateway:\n  listen: 8080x\n`);
  if (loaded.ok) throw new Error('accepted');
  const fault = { ...loaded.faults[0]!, file: 'config/x.yaml' };
  expect(formatFault(fault)).toBe(
    `config/x.yaml:3:11: gateway.listen: "8080x" is not an address; ${ADDRESS}`,
  );
});
