import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { onTestFinished } from 'vitest';

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: object;
}

async function makeKey(kid: string): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}

const firstKey = await makeKey('key-1');

/** A realm `demo` that knows its keys and takes every password; it can go down and come back on its port. */
export class RealmServer {
  readonly url: string;
  readonly port: number;
  #server: Server | null = null;
  readonly #keys = [firstKey];

  private constructor(port: number) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}/auth/realms/demo`;
  }

  static async start(port = 0): Promise<RealmServer> {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    const realm = new RealmServer((server.address() as AddressInfo).port);
    realm.#use(server);
    onTestFinished(() => realm.stop());
    return realm;
  }

  /** One that is down so far. */
  static at(port: number): RealmServer {
    const realm = new RealmServer(port);
    onTestFinished(() => realm.stop());
    return realm;
  }

  async up(): Promise<void> {
    const server = createServer().listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.#use(server);
  }

  stop(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = null;
  }

  /** Adds a key, which signs from here on. */
  async addKey(): Promise<void> {
    this.#keys.push(await makeKey(`key-${this.#keys.length + 1}`));
  }

  /** A good token for alice, with `claims` over it. */
  token(claims: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const { kid, privateKey } = this.#keys.at(-1)!;
    return new SignJWT({
      iss: this.url,
      sub: 'alice-id',
      azp: 'istio',
      typ: 'Bearer',
      preferred_username: 'alice',
      iat: now,
      exp: now + 300,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid })
      .sign(privateKey);
  }

  /** As it stands in the configuration file. */
  get settings(): object {
    return { name: 'demo', url: this.url };
  }

  #use(server: Server): void {
    this.#server = server;
    server.on('request', (request, response) => {
      const path = request.url!.replace('/auth/realms/demo', '');
      const answer =
        path === '/.well-known/openid-configuration'
          ? {
              issuer: this.url,
              jwks_uri: `${this.url}/protocol/openid-connect/certs`,
              token_endpoint: `${this.url}/protocol/openid-connect/token`,
            }
          : path === '/protocol/openid-connect/certs'
            ? { keys: this.#keys.map(({ jwk }) => jwk) }
            : path === '/protocol/openid-connect/token'
              ? { access_token: 'opaque', token_type: 'Bearer' }
              : null;
      request.resume();
      response.writeHead(answer === null ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
    });
  }
}
