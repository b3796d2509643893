import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { onTestFinished, vi } from 'vitest';
import type { RealmSettings } from '../../src/contracts/settings.ts';
import type { RealmSnapshot } from '../../src/contracts/snapshot.ts';
import { createRealmKeeper, type RealmKeeper } from '../../src/realm/realm-keeper.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
type Endpoint = 'discovery' | 'certs' | 'introspect';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

export function ecKey(kid: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
  return { kid, privateKey, jwk };
}

export function json(value: unknown, status = 200): Handler {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
}

export function text(value: string, contentType = 'application/json'): Handler {
  return (_request, response) => response.writeHead(200, { 'content-type': contentType }).end(value);
}

/** Never answers. */
export const silent: Handler = () => undefined;
/** Hangs up instead of answering. */
export const hangUp: Handler = (request) => request.socket.destroy();

/** A realm that does as it is told, and counts what it is asked. */
export interface TestRealm {
  readonly url: string;
  readonly counts: Record<Endpoint, number>;
  readonly requests: {
    readonly endpoint: Endpoint;
    readonly request: IncomingMessage;
    readonly body: string;
  }[];
  readonly handlers: Record<Endpoint, Handler>;
  /** Holds every answer of the key endpoint back until the function returned is called. */
  holdCerts(): () => void;
  /** Resolves with the next request to an endpoint. */
  asked(endpoint: Endpoint): Promise<void>;
}

export async function startRealm(keys: readonly SigningKey[], issuer?: string): Promise<TestRealm> {
  const waiting: { endpoint: Endpoint; resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    const path = request.url!.slice('/auth/realms/demo'.length);
    const endpoint: Endpoint | undefined = (
      {
        '/.well-known/openid-configuration': 'discovery',
        '/protocol/openid-connect/certs': 'certs',
        '/protocol/openid-connect/token/introspect': 'introspect',
      } as const
    )[path];
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (endpoint === undefined) {
        response.writeHead(404).end();
        return;
      }
      realm.counts[endpoint] += 1;
      realm.requests.push({ endpoint, request, body });
      for (const entry of waiting.splice(0)) {
        if (entry.endpoint === endpoint) entry.resolve();
        else waiting.push(entry);
      }
      realm.handlers[endpoint](request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/realms/demo`;
  const realm: TestRealm = {
    url,
    counts: { discovery: 0, certs: 0, introspect: 0 },
    requests: [],
    handlers: {
      discovery: json(discoveryDocument(issuer ?? url)),
      certs: json({ keys: keys.map(({ jwk }) => jwk) }),
      introspect: json({ active: false }),
    },
    holdCerts() {
      const held: (() => void)[] = [];
      const handler = realm.handlers.certs;
      realm.handlers.certs = (...exchange) => held.push(() => handler(...exchange));
      return () => {
        realm.handlers.certs = handler;
        for (const answer of held) answer();
      };
    },
    asked: (endpoint) => new Promise((resolve) => waiting.push({ endpoint, resolve })),
  };
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return realm;
}

export function discoveryDocument(issuer: string): Record<string, unknown> {
  return {
    issuer,
    jwks_uri: `${issuer}/protocol/openid-connect/certs`,
    introspection_endpoint: `${issuer}/protocol/openid-connect/token/introspect`,
  };
}

export function realmSettings(url: string, changes: Partial<RealmSettings> = {}): RealmSettings {
  return {
    name: 'demo',
    url,
    issuers: null,
    clients: null,
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    clockSkew: 30_000,
    jwks: { refresh: 600_000, cooldown: 30_000, staleFor: 86_400_000, timeout: 5000 },
    introspection: null,
    revocation: { backchannelLogout: true },
    passthrough: {
      endpoints: ['token'],
      grants: ['password'],
      limit: { perUser: { count: 10, window: 60_000 }, perAddress: { count: 60, window: 60_000 } },
    },
    ...changes,
  };
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'realm-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface Kept {
  readonly keeper: RealmKeeper;
  readonly dataDir: string;
  readonly published: RealmSnapshot[];
  readonly logged: { readonly level: string; readonly details: object; readonly message: string }[];
  readonly kids: () => (string | undefined)[];
  /** Resolves with the next snapshot published. */
  readonly next: () => Promise<RealmSnapshot>;
}

export async function keep(
  settings: RealmSettings,
  extra: { dataDir?: string; publicUrl?: string } = {},
): Promise<Kept> {
  const dataDir = extra.dataDir ?? (await temporaryFolder());
  const published: RealmSnapshot[] = [];
  const logged: Kept['logged'] = [];
  const waiting: ((snapshot: RealmSnapshot) => void)[] = [];
  const level = (name: string) => (details: object, message: string) => {
    logged.push({ level: name, details, message });
  };
  const keeper = createRealmKeeper(settings, {
    dataDir,
    publicUrl: extra.publicUrl ?? null,
    publish(snapshot) {
      published.push(snapshot);
      for (const resolve of waiting.splice(0)) resolve(snapshot);
    },
    log: { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') },
  });
  onTestFinished(() => keeper.stop());
  return {
    keeper,
    dataDir,
    published,
    logged,
    kids: () => keeper.snapshot().keys.jwks.map(({ kid }) => kid),
    next: () => new Promise((resolve) => waiting.push(resolve)),
  };
}

/** Time stands still until it is moved. Sockets are not concerned. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: 1_800_000_000_000 });
  onTestFinished(() => {
    vi.useRealTimers();
  });
}

export const advance = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

export function sign(
  key: SigningKey,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: key.kid, ...header })
    .sign(key.privateKey, { crit: { custom: true } });
}
