import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, expect, test } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/contracts/settings.ts';
import { REALM, load, scratch, settingsOf } from './support.ts';

const ROUTE = 'routes: [{name: hello, endpoint: /hello, upstream: ["http://127.0.0.1:8787"]}]\n';

const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA'.split(' ');

const DEFAULTS: Settings = {
  dataDir: '.realmgate',
  gateway: {
    listen: { host: '127.0.0.1', port: 8080 },
    publicUrl: null,
    workers: availableParallelism(),
    trustedProxies: [],
    tls: null,
    limits: { headerBytes: 32768, tokenBytes: 16384, bodyBytes: null, connections: 10000 },
    timeouts: { header: 10_000, connect: 2000, response: 60_000, idle: 300_000, drain: 30_000 },
    accessLog: true,
  },
  admin: {
    listen: { host: '127.0.0.1', port: 8081 },
    realm: 'demo',
    roles: { admin: 'realmgate-admin', developer: 'realmgate-developer', viewer: 'realmgate-viewer' },
  },
  realms: [
    {
      name: 'demo',
      url: 'http://127.0.0.1:8082/auth/realms/demo',
      issuers: null,
      clients: null,
      algorithms: ALGORITHMS,
      clockSkew: 30_000,
      jwks: { refresh: 600_000, cooldown: 30_000, staleFor: 86_400_000, timeout: 5000 },
      introspection: null,
      revocation: { backchannelLogout: false },
      passthrough: {
        endpoints: ['token', 'certs', 'openid-configuration'],
        grants: ['password', 'refresh_token'],
        limit: { perUser: { count: 10, window: 60_000 }, perAddress: { count: 60, window: 60_000 } },
      },
    },
  ],
  routes: [
    {
      name: 'hello',
      endpoint: '/hello',
      host: null,
      upstream: ['http://127.0.0.1:8787'],
      stripPrefix: true,
      realm: 'demo',
      access: { roles: [], scopes: [], clients: [] },
      public: false,
      forwardToken: false,
      cors: null,
      limit: null,
      health: null,
      holdFor: 0,
    },
  ],
  embeddedRealm: null,
  services: {
    driver: 'local',
    secretsKey: null,
    readyTimeout: 120_000,
    scale: { target: 10, window: 30_000, idle: 300_000, firstRequestWait: 30_000 },
    retention: { past: 7_776_000_000, audit: 31_536_000_000, logs: 2_147_483_648 },
    local: {
      portRange: { first: 20_000, last: 20_999 },
      restartBackoff: { first: 1000, max: 60_000, resetAfter: 600_000 },
    },
  },
  example: null,
};

test('a file with one realm and one route has every other value by default', async () => {
  expect(await settingsOf(REALM + ROUTE)).toStrictEqual(DEFAULTS);
});

test('JSON is read as YAML is, tabs and all', async () => {
  const json = JSON.stringify(
    {
      realms: [{ name: 'demo', url: 'http://127.0.0.1:8082/auth/realms/demo' }],
      routes: [{ name: 'hello', endpoint: '/hello', upstream: ['http://127.0.0.1:8787'] }],
    },
    null,
    '\t',
  );
  expect(await settingsOf(json)).toStrictEqual(DEFAULTS);
});

test('a byte order mark and CRLF line ends change nothing', async () => {
  expect(await settingsOf(`\ufeff${(REALM + ROUTE).replaceAll('\n', '\r\n')}`)).toStrictEqual(DEFAULTS);
});

test('an embedded realm alone is the realm that everything uses', async () => {
  const users = 'users: [{username: alice, password: alice}]';
  const settings = await settingsOf(`embeddedRealm: {${users}}\n${ROUTE}`);
  expect(settings).toStrictEqual({
    ...DEFAULTS,
    embeddedRealm: {
      listen: { host: '127.0.0.1', port: 8082 },
      name: 'demo',
      users: [{ username: 'alice', password: 'alice', roles: [] }],
    },
  });
  const other = await settingsOf(`embeddedRealm: {listen: "[::1]:9000", name: dev, ${users}}\n`);
  expect(other.realms[0]).toStrictEqual({
    ...DEFAULTS.realms[0],
    name: 'dev',
    url: 'http://[::1]:9000/auth/realms/dev',
  });
  expect(other.admin.realm).toBe('dev');
});

/** Section 2 of the contract, word for word. */
const CONTRACT = `dataDir: .realmgate
gateway:
  listen: 127.0.0.1:8080
  publicUrl: https://services.example.com     # optional; what clients see
  workers: auto                                # processes; auto = the number of cores
  trustedProxies: [127.0.0.0/8]                # default none: whose X-Forwarded-* are believed
  tls: {cert: tls.crt, key: tls.key}           # optional; HTTP/2 and 1.1 by ALPN; reloaded when the files change
  limits: {headerBytes: 32KiB, tokenBytes: 16KiB, bodyBytes: unlimited, connections: 10000}
  timeouts: {header: 10s, connect: 2s, response: 60s, idle: 5m, drain: 30s}   # response: from the request's last byte to the answer's first; idle: no byte either way. There is no total limit
  accessLog: true
admin:
  listen: 127.0.0.1:8081
  realm: demo                                  # whose tokens administer
  roles: {admin: realmgate-admin, developer: realmgate-developer, viewer: realmgate-viewer}   # realm roles
realms:
  - name: demo                                 # public paths: /auth/realms/demo/...
    url: http://keycloak:8080/auth/realms/demo # how the gateway reaches it
    issuers: [https://services.example.com/auth/realms/demo]  # accepted iss; default: the discovery document's issuer
    clients: [istio]                           # accepted azp, or member of aud; default: any client of the realm
    algorithms: [RS256, PS256, ES256, EdDSA]   # default: RS/PS/ES 256-512 and EdDSA; never none, never HS*
    clockSkew: 30s
    jwks: {refresh: 10m, cooldown: 30s, staleFor: 24h, timeout: 5s}
    introspection: {clientId: gateway, clientSecret: "\${KC_SECRET}", cache: 30s}  # optional: opaque and lightweight tokens
    revocation: {backchannelLogout: true}      # optional
    passthrough:                               # default: as here
      endpoints: [token, certs, openid-configuration]   # also: auth, logout, userinfo, device, resources
      grants: [password, refresh_token]
      limit: {perUser: 10/m, perAddress: 60/m}
routes:                                        # static routes; the service registry adds its own
  - name: hello
    endpoint: /hello                           # path prefix, whole segments; longest wins. Or \`host: hello.example.com\`
    upstream: [http://10.96.0.12:8787]         # ClusterIP:port; several are balanced by least outstanding requests
    stripPrefix: true                          # default
    realm: demo                                # default: the only realm
    access: {roles: ["realm:admin", "client:api/editor"], scopes: [read], clients: [istio]}  # every list given must match, one member each; none = any valid token
    public: false                              # true = a token is optional; one that is shown must still be valid (401), and then counts as identity
    forwardToken: false                        # true = the service sees Authorization
    cors: {origins: [https://app.example.com]} # optional: preflight answered at the edge
    limit: {rate: 100/s, perIdentity: true, concurrency: 200}   # optional
    health: {path: /healthz, interval: 5s}     # optional
embeddedRealm:                                 # optional, for development: a Keycloak-shaped realm inside the process
  listen: 127.0.0.1:8082                       # refused on any address but loopback
  name: demo
  users: [{username: alice, password: alice, roles: []}, {username: admin, password: admin, roles: [realmgate-admin]}]
services:
  driver: local                                # local | kubernetes | none
  readyTimeout: 2m                             # a new revision not ready by then has failed
  scale: {target: 10, window: 30s, idle: 5m, firstRequestWait: 30s}   # outstanding requests per replica; down after window; to 0 after idle
  local: {portRange: 20000-20999, restartBackoff: {first: 1s, max: 60s, resetAfter: 10m}}
  kubernetes: {namespace: services, kubeconfig: null, image: realmgate}
`;

test('the example of the contract is accepted as it is written', async () => {
  const directory = scratch();
  const home = process.cwd();
  copyFileSync('test/config/tls/server.crt', join(directory, 'tls.crt'));
  copyFileSync('test/config/tls/server.key', join(directory, 'tls.key'));
  writeFileSync(join(directory, 'realmgate.yaml'), CONTRACT);
  process.chdir(directory);
  onTestFinished(() => process.chdir(home));

  const loaded = await loadSettings('realmgate.yaml', { KC_SECRET: 's3cret' });
  const files = new Map(
    ['realmgate.yaml', 'tls.crt', 'tls.key'].map((file) => [join(process.cwd(), file), readFileSync(file)]),
  );
  expect(loaded).toStrictEqual({
    ok: true,
    files,
    settings: {
      ...DEFAULTS,
      gateway: {
        ...DEFAULTS.gateway,
        publicUrl: 'https://services.example.com',
        trustedProxies: ['127.0.0.0/8'],
        tls: { cert: readFileSync('tls.crt', 'utf8'), key: readFileSync('tls.key', 'utf8') },
      },
      realms: [
        {
          ...DEFAULTS.realms[0],
          url: 'http://keycloak:8080/auth/realms/demo',
          issuers: ['https://services.example.com/auth/realms/demo'],
          clients: ['istio'],
          algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
          introspection: { clientId: 'gateway', clientSecret: 's3cret', cache: 30_000 },
          revocation: { backchannelLogout: true },
        },
      ],
      routes: [
        {
          ...DEFAULTS.routes[0],
          upstream: ['http://10.96.0.12:8787'],
          access: { roles: ['realm:admin', 'client:api/editor'], scopes: ['read'], clients: ['istio'] },
          cors: { origins: ['https://app.example.com'] },
          limit: { rate: { count: 100, window: 1000 }, perIdentity: true, concurrency: 200 },
          health: { path: '/healthz', interval: 5000 },
        },
      ],
      embeddedRealm: {
        listen: { host: '127.0.0.1', port: 8082 },
        name: 'demo',
        users: [
          { username: 'alice', password: 'alice', roles: [] },
          { username: 'admin', password: 'admin', roles: ['realmgate-admin'] },
        ],
      },
    },
  });
});

test('the files in config/ are valid', async () => {
  const local = await loadSettings('config/local.yaml', {});
  expect(local).toMatchObject({ ok: true, settings: { realms: [{ name: 'demo', clients: ['istio'] }] } });
  const keycloak = await loadSettings('config/examples/keycloak.yaml', { KC_SECRET: 'x' });
  // Its certificate is not on this machine.
  expect(keycloak.ok ? [] : keycloak.faults.map((fault) => fault.path)).toEqual([
    'gateway.tls.cert',
    'gateway.tls.key',
  ]);
});

test('anchors give a value that several places use', async () => {
  const settings = await settingsOf(
    `${REALM}routes:
  - {name: a, endpoint: /a, upstream: &u ["http://127.0.0.1:1"], access: &who {roles: ["realm:x"]}}
  - {name: b, endpoint: /b, upstream: *u, access: *who}
`,
  );
  expect(settings.routes[1]?.access.roles).toEqual(['realm:x']);
  expect(settings.routes[1]?.upstream).toEqual(['http://127.0.0.1:1']);
});

test('with several realms each route and the admin side name theirs', async () => {
  const settings = await settingsOf(`realms: [{name: a, url: "http://kc/a/"}, {name: b, url: "http://kc/b"}]
admin: {realm: b}
routes: [{name: r, host: R.Example.com, upstream: ["http://[::1]:80/"], realm: a}]
`);
  expect(settings.admin.realm).toBe('b');
  expect(settings.realms[0]?.url).toBe('http://kc/a');
  expect(settings.routes[0]).toMatchObject({ host: 'r.example.com', endpoint: null, realm: 'a' });
  expect(settings.routes[0]?.upstream).toEqual(['http://[::1]']);
});

test('variables and files are put into strings, and one reference alone may be a number or a boolean', async () => {
  const directory = scratch();
  const secret = join(directory, 'secret');
  writeFileSync(secret, 'from file\n\n');
  const loaded = await load(
    `realms:
  - name: demo
    url: "http://\${KC_HOST}:\${KC_PORT:-8080}/auth/realms/\${KC_REALM:-demo}"
    introspection: {clientId: "a$\${b}", clientSecret: "\${file:${secret}}"}
gateway:
  listen: \${LISTEN}
  workers: \${WORKERS}
  accessLog: \${ACCESS_LOG:-false}
  limits: {connections: "\${CONNECTIONS}"}
dataDir: \${EMPTY:-fallback}/\${KC_HOST}
services: {driver: "\${DRIVER}"}
`,
    { KC_HOST: 'kc', LISTEN: ':0', WORKERS: '3', CONNECTIONS: '5', EMPTY: '', KC_PORT: '', DRIVER: 'none' },
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const { settings, files } = loaded;
  expect(settings.realms[0]?.url).toBe('http://kc:8080/auth/realms/demo');
  expect(settings.realms[0]?.introspection).toMatchObject({ clientId: 'a${b}', clientSecret: 'from file\n' });
  expect(settings.gateway).toMatchObject({ workers: 3, accessLog: false, limits: { connections: 5 } });
  expect(['::', '0.0.0.0']).toContain(settings.gateway.listen.host);
  expect(settings.dataDir).toBe('fallback/kc');
  expect(files.get(secret)).toEqual(readFileSync(secret));
});

test('a variable cannot add to the YAML', async () => {
  const value = 'x"\nadmin: {listen: "0.0.0.0:1"}\n#';
  const settings = await settingsOf(
    `realms: [{name: demo, url: "http://kc", introspection: {clientId: a, clientSecret: "\${S}"}}]\n`,
    { S: value },
  );
  expect(settings.realms[0]?.introspection?.clientSecret).toBe(value);
  expect(settings.admin.listen.host).toBe('127.0.0.1');
});
