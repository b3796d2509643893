import * as Type from 'typebox';
import type { Static, TArray, TObject, TProperties, TSchema, TUnsafe } from 'typebox';
import type { PassthroughEndpoint } from '../contracts/settings.ts';
import { FORMATS, INTERPOLATED } from './formats.ts';
import type { Format } from './formats.ts';

/*
 * The single source of what a configuration file may say. `write-schema.ts` writes it to config/schema.json, which
 * editors read and the checker too: to load typebox would cost a tenth of a second at every start.
 *
 * The static types are those of the decoded file: a duration is a number, and a key with a default is never absent.
 */

interface Notes {
  readonly description: string;
  /** As it would stand in the file. */
  readonly default?: unknown;
}

const INTERPOLATION = { type: 'string', pattern: INTERPOLATED };

function text<T>(format: Format<T>, notes: Notes & { readonly writeOnly?: true }): TUnsafe<T> {
  return Type.Unsafe<T>({ type: 'string', pattern: format.pattern, ...notes });
}

function integer(minimum: number, maximum: number, notes: Notes): TUnsafe<number> {
  return Type.Unsafe<number>({ anyOf: [{ type: 'integer', minimum, maximum }, INTERPOLATION], ...notes });
}

function flag(notes: Notes): TUnsafe<boolean> {
  return Type.Unsafe<boolean>({ anyOf: [{ type: 'boolean' }, INTERPOLATION], ...notes });
}

function oneOf<const T extends string>(values: readonly T[], notes: Notes): TUnsafe<T> {
  return Type.Unsafe<T>({ anyOf: [{ type: 'string', enum: values }, INTERPOLATION], ...notes });
}

function list<T extends TSchema>(items: T, notes: Notes & { minItems?: 1 }): TArray<T> {
  return Type.Array(items, { ...notes });
}

function section<T extends TProperties>(properties: T, notes: Notes): TObject<T> {
  return Type.Object(properties, { additionalProperties: false, ...notes });
}

/** May be left out of the file and has its default then, so that the decoded file always has it. */
function withDefault<T extends TSchema>(value: unknown, schema: T): T {
  return Type.Optional({ ...schema, default: value });
}

const role = text(FORMATS.role, { description: '`realm:ROLE` or `client:CLIENT/ROLE`.' });
const client = text(FORMATS.line, { description: 'A client ID of the realm.' });

const gateway = section(
  {
    listen: withDefault(
      '127.0.0.1:8080',
      text(FORMATS.address, {
        description: 'Where clients connect: `host:port`, `[::1]:8080`, or `:8080` for every address.',
      }),
    ),
    publicUrl: Type.Optional(
      text(FORMATS.origin, {
        description:
          'What clients see, such as `https://services.example.com`. Without it, what the request says.',
      }),
    ),
    workers: withDefault(
      'auto',
      Type.Unsafe<number | 'auto'>({
        anyOf: [
          { type: 'string', const: 'auto' },
          { type: 'integer', minimum: 1, maximum: 1024 },
          INTERPOLATION,
        ],
        description: 'Worker processes. `auto` is the number of cores. A change needs a restart.',
      }),
    ),
    trustedProxies: withDefault(
      [],
      list(text(FORMATS.cidr, { description: 'An address or a CIDR block.' }), {
        description:
          'Whose `X-Forwarded-*` headers are believed, such as `[10.0.0.0/8]`. Nobody’s by default.',
      }),
    ),
    tls: Type.Optional(
      section(
        {
          cert: text(FORMATS.path, { description: 'PEM file: the certificate, then its intermediates.' }),
          key: text(FORMATS.path, { description: 'PEM file: the private key, not encrypted.' }),
        },
        { description: 'Serve HTTPS, with HTTP/2 and 1.1 by ALPN. Read again when the files change.' },
      ),
    ),
    limits: withDefault(
      {},
      section(
        {
          headerBytes: withDefault(
            '32KiB',
            text(FORMATS.headerSize, {
              description: 'Largest request header; above it 431 `headers_too_large`.',
            }),
          ),
          tokenBytes: withDefault(
            '16KiB',
            text(FORMATS.headerSize, { description: 'Longest token that is looked at.' }),
          ),
          bodyBytes: withDefault(
            'unlimited',
            text(FORMATS.bodySize, {
              description: 'Largest request body, or `unlimited`; above it 413 `body_too_large`.',
            }),
          ),
          connections: withDefault(
            10_000,
            integer(1, 10_000_000, { description: 'Connections of clients at the same time.' }),
          ),
        },
        { description: 'What one request, and all connections together, may take.' },
      ),
    ),
    timeouts: withDefault(
      {},
      section(
        {
          header: withDefault(
            '10s',
            text(FORMATS.duration, { description: 'How long a request header may take to arrive.' }),
          ),
          connect: withDefault(
            '2s',
            text(FORMATS.duration, { description: 'How long a connection to a service may take.' }),
          ),
          response: withDefault(
            '60s',
            text(FORMATS.duration, { description: 'From the request’s last byte to the answer’s first.' }),
          ),
          idle: withDefault(
            '5m',
            text(FORMATS.duration, { description: 'No byte either way for this long.' }),
          ),
          drain: withDefault(
            '30s',
            text(FORMATS.durationOrZero, { description: 'How long requests may still take after SIGTERM.' }),
          ),
        },
        { description: 'There is no limit on the whole of a request: streams may last.' },
      ),
    ),
    accessLog: withDefault(true, flag({ description: 'One log line per request.' })),
  },
  { description: 'The edge that clients talk to.' },
);

const admin = section(
  {
    listen: withDefault(
      '127.0.0.1:8081',
      text(FORMATS.address, { description: 'Where the admin API, the console and the metrics are.' }),
    ),
    realm: Type.Optional(
      text(FORMATS.realmName, { description: 'Whose tokens administer. Default: the only realm.' }),
    ),
    roles: withDefault(
      {},
      section(
        {
          admin: withDefault(
            'realmgate-admin',
            text(FORMATS.line, { description: 'The realm role that may do everything.' }),
          ),
          developer: withDefault(
            'realmgate-developer',
            text(FORMATS.line, { description: 'The realm role that manages services and writes secrets.' }),
          ),
          viewer: withDefault(
            'realmgate-viewer',
            text(FORMATS.line, { description: 'The realm role that reads.' }),
          ),
        },
        { description: 'Which realm roles mean what.' },
      ),
    ),
  },
  { description: 'The admin side.' },
);

const ENDPOINTS: readonly PassthroughEndpoint[] = [
  'token',
  'certs',
  'openid-configuration',
  'auth',
  'logout',
  'userinfo',
  'device',
  'resources',
];

const passthrough = section(
  {
    endpoints: withDefault(
      ['token', 'certs', 'openid-configuration'],
      list(oneOf(ENDPOINTS, { description: 'An endpoint of the realm.' }), {
        description:
          'Endpoints of the realm that clients reach through the gateway, under `/auth/realms/NAME`.',
      }),
    ),
    grants: withDefault(
      ['password', 'refresh_token'],
      list(text(FORMATS.grant, { description: 'A value of `grant_type`.' }), {
        description: 'Grants that the token endpoint lets through.',
      }),
    ),
    limit: withDefault(
      {},
      section(
        {
          perUser: withDefault(
            '10/m',
            text(FORMATS.rate, { description: 'Token requests for one username, such as `10/m`.' }),
          ),
          perAddress: withDefault(
            '60/m',
            text(FORMATS.rate, { description: 'Token requests from one address, such as `60/m`.' }),
          ),
        },
        { description: 'Slows down the guessing of passwords.' },
      ),
    ),
  },
  { description: 'What of the realm is reachable through the gateway.' },
);

const realm = section(
  {
    name: text(FORMATS.realmName, { description: 'Its public paths are `/auth/realms/NAME/...`.' }),
    url: text(FORMATS.realmUrl, {
      description: 'How the gateway reaches it, such as `http://keycloak:8080/auth/realms/demo`.',
    }),
    issuers: Type.Optional(
      list(text(FORMATS.issuer, { description: 'Compared with `iss` exactly as it stands.' }), {
        minItems: 1,
        description: 'Accepted `iss`. Default: the issuer of the discovery document.',
      }),
    ),
    clients: Type.Optional(
      list(client, {
        minItems: 1,
        description: 'Accepted `azp`, or member of `aud`. Default: any client of the realm.',
      }),
    ),
    algorithms: withDefault(
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
      list(
        oneOf(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'], {
          description: 'A JWS algorithm.',
        }),
        {
          minItems: 1,
          description: 'Accepted signatures. Never `none`, and never `HS*`, which the checker could forge.',
        },
      ),
    ),
    clockSkew: withDefault(
      '30s',
      text(FORMATS.durationOrZero, { description: 'How far clocks may differ, for `exp`, `nbf` and `iat`.' }),
    ),
    jwks: withDefault(
      {},
      section(
        {
          refresh: withDefault(
            '10m',
            text(FORMATS.duration, { description: 'How often the keys are fetched.' }),
          ),
          cooldown: withDefault(
            '30s',
            text(FORMATS.duration, { description: 'At most one fetch for unknown keys in this time.' }),
          ),
          staleFor: withDefault(
            '24h',
            text(FORMATS.duration, {
              description: 'How long the last keys are used while the realm is down.',
            }),
          ),
          timeout: withDefault('5s', text(FORMATS.duration, { description: 'How long one fetch may take.' })),
        },
        { description: 'The keys of the realm.' },
      ),
    ),
    introspection: Type.Optional(
      section(
        {
          clientId: text(FORMATS.line, { description: 'A confidential client of the realm.' }),
          clientSecret: text(FORMATS.secret, {
            writeOnly: true,
            description: 'Its secret: best `"${NAME}"` or `"${file:/path}"`.',
          }),
          cache: withDefault(
            '30s',
            text(FORMATS.durationOrZero, { description: 'How long an answer is believed.' }),
          ),
        },
        { description: 'For opaque and lightweight tokens (RFC 7662).' },
      ),
    ),
    revocation: withDefault(
      {},
      section(
        {
          backchannelLogout: withDefault(
            false,
            flag({
              description:
                'Take logout tokens (OpenID Connect Back-Channel Logout) and refuse the session then.',
            }),
          ),
        },
        { description: 'How sessions end before their tokens do.' },
      ),
    ),
    passthrough: withDefault({}, passthrough),
  },
  { description: 'A Keycloak realm whose tokens are accepted.' },
);

const route = section(
  {
    name: text(FORMATS.routeName, { description: 'Unique. Stands in logs and metrics.' }),
    endpoint: Type.Optional(
      text(FORMATS.endpoint, {
        description: 'Path prefix of whole segments; the longest wins. Either this or `host`.',
      }),
    ),
    host: Type.Optional(
      text(FORMATS.host, {
        description: 'A whole host name, such as `hello.example.com`. Either this or `endpoint`.',
      }),
    ),
    upstream: list(text(FORMATS.origin, { description: 'An origin, such as `http://10.96.0.12:8787`.' }), {
      minItems: 1,
      description: 'Where requests go. Several are balanced by least outstanding requests.',
    }),
    stripPrefix: withDefault(true, flag({ description: 'The service sees the path without the endpoint.' })),
    realm: Type.Optional(
      text(FORMATS.realmName, { description: 'Whose tokens are accepted. Default: the only realm.' }),
    ),
    access: withDefault(
      {},
      section(
        {
          roles: withDefault([], list(role, { description: 'One of these roles is needed.' })),
          scopes: withDefault(
            [],
            list(text(FORMATS.scope, { description: 'A scope.' }), {
              description: 'One of these scopes is needed.',
            }),
          ),
          clients: withDefault([], list(client, { description: 'One of these clients is needed.' })),
        },
        { description: 'Every list given must match, one member each. None means any valid token.' },
      ),
    ),
    public: withDefault(
      false,
      flag({ description: 'A token is optional. One that is shown must be valid, and counts as identity.' }),
    ),
    forwardToken: withDefault(false, flag({ description: 'The service sees the `Authorization` header.' })),
    cors: Type.Optional(
      section(
        {
          origins: list(text(FORMATS.origin, { description: 'Such as `https://app.example.com`.' }), {
            minItems: 1,
            description: 'Origins whose scripts may call.',
          }),
        },
        { description: 'Preflight requests are answered at the edge.' },
      ),
    ),
    limit: Type.Optional(
      section(
        {
          rate: Type.Optional(
            text(FORMATS.rate, { description: 'Requests, such as `100/s`; above it 429.' }),
          ),
          perIdentity: withDefault(true, flag({ description: 'The rate counts for each caller alone.' })),
          concurrency: Type.Optional(
            integer(1, 10_000_000, { description: 'Requests at the same time; above it 503 `overloaded`.' }),
          ),
        },
        { description: 'Counted across all workers.' },
      ),
    ),
    health: Type.Optional(
      section(
        {
          path: text(FORMATS.healthPath, { description: 'Answered with 2xx by an upstream that works.' }),
          interval: withDefault(
            '5s',
            text(FORMATS.duration, { description: 'How often each upstream is asked.' }),
          ),
        },
        { description: 'Upstreams that do not answer get no requests.' },
      ),
    ),
  },
  { description: 'A published service at a fixed address.' },
);

const embeddedRealm = section(
  {
    listen: withDefault(
      '127.0.0.1:8082',
      text(FORMATS.loopbackAddress, { description: 'Refused on any address but loopback.' }),
    ),
    name: withDefault('demo', text(FORMATS.realmName, { description: 'The name of the realm.' })),
    users: list(
      section(
        {
          username: text(FORMATS.line, { description: 'The name to sign in with.' }),
          password: text(FORMATS.secret, { writeOnly: true, description: 'The password to sign in with.' }),
          roles: withDefault(
            [],
            list(text(FORMATS.line, { description: 'A realm role.' }), {
              description: 'Realm roles of the user.',
            }),
          ),
        },
        { description: 'A user.' },
      ),
      { minItems: 1, description: 'Everybody in the realm.' },
    ),
  },
  {
    description:
      'A Keycloak-shaped realm inside the process, for development only. Without `realms`, it is the one that is used.',
  },
);

const services = section(
  {
    driver: withDefault(
      'local',
      oneOf(['local', 'kubernetes', 'none'], {
        description: 'Where services run: here, in a cluster, or not at all.',
      }),
    ),
    secretsKey: Type.Optional(
      text(FORMATS.path, {
        description:
          'File with the key that secrets are encrypted with: 32 bytes as base64. Default: one made in `dataDir`.',
      }),
    ),
    readyTimeout: withDefault(
      '2m',
      text(FORMATS.duration, { description: 'A new revision that is not ready by then has failed.' }),
    ),
    scale: withDefault(
      {},
      section(
        {
          target: withDefault(
            10,
            integer(1, 1_000_000, { description: 'Outstanding requests per replica that are aimed at.' }),
          ),
          window: withDefault(
            '30s',
            text(FORMATS.duration, {
              description: 'How long less must be enough before there are fewer replicas.',
            }),
          ),
          idle: withDefault(
            '5m',
            text(FORMATS.duration, {
              description: 'Without a request for this long, down to none where that is allowed.',
            }),
          ),
          firstRequestWait: withDefault(
            '30s',
            text(FORMATS.duration, { description: 'How long a request waits for the first replica.' }),
          ),
        },
        { description: 'How the number of replicas follows the load.' },
      ),
    ),
    retention: withDefault(
      {},
      section(
        {
          past: withDefault(
            '90d',
            text(FORMATS.period, {
              description:
                'How long a service is known after it was cancelled, with its revisions, events and logs.',
            }),
          ),
          audit: withDefault(
            '365d',
            text(FORMATS.period, { description: 'How long it is known who did what.' }),
          ),
          logs: withDefault(
            '2GiB',
            text(FORMATS.bodySize, {
              description: 'What the logs of all past services may take. The one cancelled first goes first.',
            }),
          ),
        },
        { description: 'What is kept of what is over.' },
      ),
    ),
    local: withDefault(
      {},
      section(
        {
          portRange: withDefault(
            '20000-20999',
            text(FORMATS.portRange, {
              description: 'Ports for replicas that cannot have the configured one.',
            }),
          ),
          restartBackoff: withDefault(
            {},
            section(
              {
                first: withDefault(
                  '1s',
                  text(FORMATS.duration, {
                    description: 'Before the first restart; doubled for each one after.',
                  }),
                ),
                max: withDefault('60s', text(FORMATS.duration, { description: 'The longest wait.' })),
                resetAfter: withDefault(
                  '10m',
                  text(FORMATS.duration, {
                    description: 'Running this long makes the next wait the first again.',
                  }),
                ),
              },
              { description: 'The waits between restarts.' },
            ),
          ),
        },
        { description: 'Services as processes beside the gateway.' },
      ),
    ),
    kubernetes: withDefault(
      {},
      section(
        {
          namespace: withDefault(
            'services',
            text(FORMATS.namespace, { description: 'The namespace for everything that is made.' }),
          ),
          kubeconfig: withDefault(
            null,
            Type.Unsafe<string | null>({
              anyOf: [{ type: 'null' }, { type: 'string', pattern: FORMATS.path.pattern }],
              description: 'A kubeconfig file. `null` = the pod’s own account, or the usual file of kubectl.',
            }),
          ),
          image: withDefault(
            'realmgate',
            text(FORMATS.line, { description: 'The image of the init container: this program.' }),
          ),
        },
        { description: 'Services as Deployments of a cluster.' },
      ),
    ),
  },
  { description: 'How services from git run.' },
);

const example = section(
  {
    directory: text(FORMATS.path, {
      description: 'Where its `run.sh` is, relative to the working directory.',
    }),
    name: withDefault('hello', text(FORMATS.namespace, { description: 'Name of the service.' })),
    endpoint: withDefault('/hello', text(FORMATS.endpoint, { description: 'Endpoint of the service.' })),
  },
  {
    description:
      'A service for a first try: a git repository is made from a directory, and a service from that, unless there is one of its name or endpoint. Needs the local driver.',
  },
);

export const CONFIG_FILE = Type.Object(
  {
    dataDir: withDefault(
      '.realmgate',
      text(FORMATS.path, {
        description: 'Everything that must survive a restart. A change needs a restart.',
      }),
    ),
    gateway: withDefault({}, gateway),
    admin: withDefault({}, admin),
    realms: Type.Optional(
      list(realm, { minItems: 1, description: 'Whose tokens are accepted. Default: the embedded realm.' }),
    ),
    routes: withDefault(
      [],
      list(route, { description: 'Static routes. The registry of services adds its own.' }),
    ),
    embeddedRealm: Type.Optional(embeddedRealm),
    services: withDefault({}, services),
    example: Type.Optional(example),
  },
  {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Realmgate configuration',
    description:
      'Strings may hold `${NAME}`, `${NAME:-default}` and `${file:/path}`; `$${` stands for a plain `${`.',
    additionalProperties: false,
  },
);

/** A configuration file, checked and decoded, before anything is derived from it. */
export type ConfigFile = Static<typeof CONFIG_FILE>;
export type RealmEntry = NonNullable<ConfigFile['realms']>[number];
export type RouteEntry = ConfigFile['routes'][number];
