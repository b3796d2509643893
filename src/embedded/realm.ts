import { createPublicKey } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { EmbeddedRealmSettings } from '../contracts/settings.ts';
import { createFront } from './front.ts';
import type { CurrentKeys } from './front.ts';
import { resolveLoopback } from './loopback.ts';
import { CONFIDENTIAL_CLIENT } from './paths.ts';
import { createProvider } from './provider.ts';
import { generateSigningKey, loadSecrets, saveSecrets } from './secrets.ts';
import type { RealmSecrets } from './secrets.ts';
import type { Log } from './shape.ts';
import { RealmStorage } from './storage.ts';
import { TokenForm, publicPart } from './tokens.ts';
import type { OpenedToken } from './tokens.ts';
import { Users } from './users.ts';

export interface EmbeddedRealm {
  /** The realm's URL and its only issuer, such as `http://127.0.0.1:8082/auth/realms/demo`. */
  readonly url: string;
  /** The confidential client, which may introspect tokens (RFC 7662) and nothing else. */
  readonly introspection: { readonly clientId: string; readonly clientSecret: string };
  /** Signs with a new key from now on; the old one is no longer published, and its tokens are no longer good. */
  rotateKeys(): Promise<void>;
  /** Removes expired sessions and tokens, as it does by itself every minute; returns how many there were. */
  sweep(): number;
  /** Stops listening; requests in progress get a second to end. */
  close(): Promise<void>;
}

/**
 * Starts a Keycloak-shaped realm for development inside this process. Keys, sessions and refresh tokens are kept in
 * `dataDir/embedded` and survive a restart. `bound` is told as soon as the address is taken; requests wait until the
 * realm can answer. Rejects when the address is not a loopback address or not free.
 */
export async function startEmbeddedRealm(
  settings: EmbeddedRealmSettings,
  { dataDir, log, bound }: { dataDir: string; log: Log; bound?: () => void },
): Promise<EmbeddedRealm> {
  const address = await resolveLoopback(settings.listen.host);
  const users = new Users(settings.name, settings.users);
  const directory = join(dataDir, 'embedded');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // A new key takes a while, in another thread.
  const loading = loadSecrets(directory);
  loading.catch(() => undefined);

  const storage = new RealmStorage(join(directory, 'realm.sqlite'));

  // Requests wait for the provider, which waits for the listener's port: it is part of the issuer.
  const { promise: ready, resolve: answer } = Promise.withResolvers<RequestListener>();
  const server = createServer((req, res) => {
    void ready.then((front) => {
      front(req, res);
    });
  });
  const close = async () => {
    await closeServer(server);
    storage.close();
  };
  try {
    server.listen({ host: address, port: settings.listen.port });
    await once(server, 'listening');
    bound?.();
    let secrets = await loading;
    const url = `http://${authorityOf(server, settings)}${basePathOf(settings)}`;
    const opened = new WeakMap<IncomingMessage, OpenedToken | null>();
    const realm = settings.name;
    const build = async (): Promise<CurrentKeys> => {
      const tokens = new TokenForm(url, secrets);
      const basePath = basePathOf(settings);
      const shared = { issuer: url, basePath, realm, secrets, storage, users, tokens, opened, log };
      const provider = await createProvider(shared);
      const handle = provider.callback();
      return { provider: (req, res) => void handle(req, res), tokens, info: infoOf(realm, url, secrets) };
    };
    let current = await build();
    answer(createFront({ realm, issuer: new URL(url), storage, log, opened, current: () => current }));
    log.warn(
      { url, realm, users: settings.users.length },
      'EMBEDDED DEVELOPMENT REALM: never for production; its passwords stand in the configuration',
    );
    return {
      url,
      introspection: { clientId: CONFIDENTIAL_CLIENT, clientSecret: secrets.clientSecret },
      rotateKeys: async () => {
        const next = { ...secrets, signingKey: await generateSigningKey() };
        await saveSecrets(directory, next);
        secrets = next;
        current = await build();
      },
      sweep: () => storage.sweep(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function basePathOf({ name }: EmbeddedRealmSettings): string {
  return `/auth/realms/${encodeURIComponent(name)}`;
}

/** The configured host with the port that was really bound. */
function authorityOf(server: Server, { listen }: EmbeddedRealmSettings): string {
  const { port } = server.address() as AddressInfo;
  return `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`;
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), 1000);
  await closed;
  clearTimeout(cut);
}

/** What Keycloak says at the realm's own address. */
function infoOf(realm: string, url: string, secrets: RealmSecrets): object {
  const key = createPublicKey({ key: publicPart(secrets), format: 'jwk' });
  return {
    realm,
    public_key: key.export({ format: 'der', type: 'spki' }).toString('base64'),
    'token-service': `${url}/protocol/openid-connect`,
    'account-service': `${url}/account`,
    'tokens-not-before': 0,
  };
}
