import { afterEach, expect } from 'vitest';
import { type AdminDependencies, type AdminServer, startAdmin } from '../../../src/admin/server.ts';
import type { GatewayApi } from '../../../src/contracts/control-api.ts';
import type { Principal } from '../../../src/contracts/principal.ts';
import { Refusal } from '../../../src/errors.ts';
import { PROBLEM_TYPE } from '../../../src/problem.ts';
import { MemoryControl } from './memory-control.ts';

/** Tokens that the listener knows; each is named for the role of who brings it. */
export type Token = 'admin' | 'developer' | 'viewer' | 'nobody';

export interface StartedAdmin {
  readonly url: string;
  readonly server: AdminServer;
  readonly control: MemoryControl;
  /** Every line that was logged. */
  readonly logged: object[];
  /** Every token that was looked at. */
  readonly seen: string[];
  /** Sends a request; a body that is text goes out as it is. */
  readonly call: (token: Token | null, method: string, path: string, body?: unknown) => Promise<Response>;
}

const started: AdminServer[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});

const GATEWAY: GatewayApi = {
  routes: () => [
    {
      name: 'hello',
      source: 'static',
      endpoint: '/hello',
      host: null,
      upstream: ['http://127.0.0.1:9'],
      realm: 'demo',
      public: false,
      stripPrefix: true,
      access: { roles: [], scopes: [], clients: [] },
    },
  ],
  realms: () => [
    {
      name: 'demo',
      issuers: ['http://127.0.0.1/realms/demo'],
      keys: [{ kid: 'k', alg: null, kty: 'RSA' }],
      keysFetchedAt: new Date().toISOString(),
      keysAge: 1.5,
    },
  ],
  explain: (question) =>
    Promise.resolve({
      allowed: false,
      status: 401,
      code: 'token_missing',
      checks: [{ name: 'path', ok: true, detail: question.path }],
    }),
};

/** Starts the admin listener over a control plane in memory; it ends with the test. */
export async function start(overrides: Partial<AdminDependencies> = {}): Promise<StartedAdmin> {
  const control = new MemoryControl();
  const logged: object[] = [];
  const seen: string[] = [];
  const note = (fields: object): void => void logged.push(fields);
  const server = await startAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    log: { info: note, error: note },
    ready: () => ({ ok: true, problems: [] }),
    metrics: () => Promise.resolve('# HELP a b\n'),
    access: () => ({
      realm: 'demo',
      roles: { admin: 'boss', developer: 'maker', viewer: 'looker' },
      tokenBytes: 1000,
    }),
    authenticate: (token) => {
      seen.push(token);
      return Promise.resolve().then(() => principalOf(token));
    },
    control,
    gateway: GATEWAY,
    ...overrides,
  });
  started.push(server);
  const { url } = server;
  return {
    url,
    server,
    control,
    logged,
    seen,
    call: (token, method, path, body) =>
      fetch(url + path, {
        method,
        headers: {
          ...(token !== null && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
  };
}

const ROLES: Readonly<Record<Token, readonly string[]>> = {
  admin: ['realm:boss'],
  developer: ['realm:maker', 'client:x/boss'],
  viewer: ['realm:looker', 'realm:admin'],
  nobody: ['client:looker/looker'],
};

function principalOf(token: string): Principal {
  if (token === 'old') throw new Refusal('token_expired', 'the token has expired');
  if (token === 'broken') throw new Error('a bug');
  if (!Object.hasOwn(ROLES, token)) throw new Refusal('token_invalid', 'the issuer is not accepted');
  return {
    realm: 'demo',
    subject: `id-of-${token}`,
    username: token === 'viewer' ? null : token,
    email: null,
    groups: [],
    roles: new Set(ROLES[token as Token]),
    scopes: new Set(),
    clients: new Set(),
    members: 0,
    sessionId: null,
    issuedAt: 0,
    notAfter: Infinity,
  };
}

/** The problem details of an answer, whose form is checked. */
export async function problemOf(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get('content-type')).toBe(PROBLEM_TYPE);
  const { errors, ...body } = (await response.json()) as Record<string, unknown>;
  expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'requestId', 'status', 'title', 'type']);
  expect(body['status']).toBe(response.status);
  expect(body['requestId']).toBe(response.headers.get('x-request-id'));
  return errors === undefined ? body : { ...body, errors };
}

/** A service that can be created. */
export function service(name: string, more: object = {}): object {
  return {
    name,
    endpoint: `/${name}`,
    path: 'run.sh',
    git: { repository: 'https://git.example.com/team/app.git' },
    ...more,
  };
}
