import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { onTestFinished } from 'vitest';

import type { ControlChannel, RateBucket, RateVerdict } from '../../src/contracts/control-channel.ts';
import type { GatewaySettings, Route } from '../../src/contracts/settings.ts';
import type { PublicJwk, RealmSnapshot, Snapshot } from '../../src/contracts/snapshot.ts';
import { ConcurrencyLedger, RateLedger } from '../../src/control/limits.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import { GatewayServer } from '../../src/gateway/server.ts';
import { AccessLog } from '../../src/telemetry/access-log.ts';
import { WorkerMetrics } from '../../src/telemetry/metrics.ts';

/** Issuer of the tokens that `issueToken` makes. */
export const ISSUER = 'http://keycloak.test/auth/realms/demo';

const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
const JWK: PublicJwk = { ...((await exportJWK(publicKey)) as PublicJwk), kid: 'test-key', alg: 'RS256' };

/** A good token of Keycloak's form for alice by the client istio, with `claims` over it; undefined removes one. */
export async function issueToken(claims: Record<string, unknown> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    iss: ISSUER,
    sub: 'alice-id',
    aud: 'account',
    azp: 'istio',
    typ: 'Bearer',
    sid: 'session-1',
    iat: now,
    exp: now + 300,
    preferred_username: 'alice',
    email: 'alice@example.com',
    scope: 'profile email',
    realm_access: { roles: ['user'] },
    ...claims,
  };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: 'test-key' })
    .sign(privateKey);
}

export function realmSnapshot(
  settings: Partial<RealmSnapshot['settings']> = {},
  changes: Partial<RealmSnapshot> = {},
): RealmSnapshot {
  const published: RealmSnapshot['settings'] = {
    name: 'demo',
    url: 'http://127.0.0.1:9/auth/realms/demo',
    issuers: null,
    clients: ['istio'],
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    clockSkew: 0,
    jwks: { refresh: 600_000, cooldown: 30_000, staleFor: 86_400_000, timeout: 5_000 },
    revocation: { backchannelLogout: false },
    passthrough: {
      endpoints: ['token', 'certs', 'openid-configuration'],
      grants: ['password', 'refresh_token'],
      limit: { perUser: { count: 10, window: 60_000 }, perAddress: { count: 60, window: 60_000 } },
    },
    ...settings,
  };
  return {
    settings: published,
    introspectionCache: null,
    issuers: [ISSUER],
    keys: { jwks: [JWK], fetchedAt: Date.now(), cooldownUntil: Date.now() + 30_000 },
    revocations: [],
    ...changes,
  };
}

export function route(changes: Partial<Route> & Pick<Route, 'upstream'>): Route {
  return {
    name: 'hello',
    endpoint: '/hello',
    host: null,
    stripPrefix: true,
    realm: 'demo',
    access: { roles: [], scopes: [], clients: [] },
    public: false,
    forwardToken: false,
    cors: null,
    limit: null,
    health: null,
    holdFor: 0,
    ...changes,
  };
}

/** Everything that the settings of a gateway say, with short time-outs left as they are in production. */
export function gatewaySettings(changes: Partial<GatewaySettings> = {}): GatewaySettings {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    publicUrl: null,
    workers: 1,
    trustedProxies: [],
    tls: null,
    limits: { headerBytes: 32 * 1024, tokenBytes: 16 * 1024, bodyBytes: null, connections: 10_000 },
    timeouts: { header: 10_000, connect: 2_000, response: 60_000, idle: 300_000, drain: 30_000 },
    accessLog: true,
    ...changes,
  };
}

/** The primary's part, in this process: real limits, and the realm's answers as the test wants them. */
export class LocalControl implements ControlChannel {
  readonly rates = new RateLedger();
  readonly places = new ConcurrencyLedger();
  onRefresh: (realm: string) => Promise<void> = () => Promise.resolve();
  onIntrospect: (token: string) => Promise<Record<string, unknown> | null> = () => Promise.resolve(null);
  /** Whether a route has an upstream by now. */
  onAwait: ControlChannel['awaitUpstream'] = () => Promise.resolve(false);
  onLogout: (token: string) => Promise<boolean> = () => Promise.resolve(false);

  refreshKeys(realm: string): Promise<void> {
    return this.onRefresh(realm);
  }

  introspect(_realm: string, token: string): Promise<Record<string, unknown> | null> {
    return this.onIntrospect(token);
  }

  takeRate(buckets: readonly RateBucket[]): Promise<RateVerdict> {
    return Promise.resolve(this.rates.take(buckets));
  }

  enter(key: string, limit: number): Promise<boolean> {
    return Promise.resolve(this.places.enter(1, key, limit));
  }

  leave(key: string): void {
    this.places.leave(1, key);
  }

  awaitUpstream(route: string, refused: string | null, signal: AbortSignal): Promise<boolean> {
    return this.onAwait(route, refused, signal);
  }

  backchannelLogout(_realm: string, logoutToken: string): Promise<boolean> {
    return this.onLogout(logoutToken);
  }
}

export interface TestGateway {
  readonly port: number;
  readonly gateway: Gateway;
  readonly server: GatewayServer;
  readonly control: LocalControl;
  /** The access log's lines so far, parsed. */
  accessLog(): Record<string, unknown>[];
  /** What was logged at warn and error. */
  readonly logged: { readonly fields: Record<string, unknown>; readonly message: string }[];
}

export interface TestGatewayOptions {
  readonly routes?: readonly Route[];
  readonly services?: readonly Route[];
  readonly realms?: readonly RealmSnapshot[];
  readonly settings?: Partial<GatewaySettings>;
}

/** A worker's gateway on a port of its own, in this process; it is drained at the end of the test. */
export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const settings = gatewaySettings(options.settings);
  const snapshot: Snapshot = {
    gateway: settings,
    routes: options.routes ?? [],
    services: options.services ?? [],
    realms: options.realms ?? [realmSnapshot()],
    unhealthy: [],
  };
  const lines: string[] = [];
  const keep = (line: string): void => void lines.push(line);
  const control = new LocalControl();
  const logged: TestGateway['logged'] = [];
  const note = (fields: object, message: string): void =>
    void logged.push({ fields: fields as Record<string, unknown>, message });
  const gateway = new Gateway(snapshot, {
    control,
    metrics: new WorkerMetrics('worker-1'),
    accessLog: new AccessLog({ write: keep, buffer: keep, flush: () => undefined }, 'worker-1'),
    log: { debug: () => undefined, warn: note, error: note },
  });
  const server = new GatewayServer(gateway);
  const port = await server.listen(settings.listen);
  onTestFinished(async () => {
    gateway.apply({ gateway: { ...gateway.settings, timeouts: { ...gateway.settings.timeouts, drain: 0 } } });
    await server.drain();
    gateway.deadlines.stop();
    gateway.client.close();
  });
  return {
    port,
    gateway,
    server,
    control,
    logged,
    accessLog: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Flat, as on the wire. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly rawTrailers: readonly string[];
}

export interface TestUpstream {
  readonly origin: string;
  readonly port: number;
  /** Every complete request that arrived. */
  readonly seen: SeenRequest[];
}

/** A service that notes every request and answers 200 `ok`, or as `answer` says. */
export async function startUpstream(answer?: RequestListener): Promise<TestUpstream> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', rawHeaders, headers, rawTrailers } = request;
      seen.push({
        method,
        url,
        rawHeaders,
        headers,
        rawTrailers,
        body: Buffer.concat(chunks).toString('latin1'),
      });
    });
    if (answer === undefined) request.once('end', () => response.end('ok'));
    else answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port, seen };
}

/** A service that does with each connection what the test wants. */
export async function startRawUpstream(
  handle: (socket: Socket) => void,
): Promise<{ origin: string; port: number }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    handle(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port };
}
