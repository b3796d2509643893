import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';

/** A realm that only publishes: its discovery document and its keys, in Keycloak's URL shapes. */
export interface PublishingRealm {
  readonly url: string;
  close(): Promise<void>;
}

/** The path of a realm of the bench; its name is `bench`. */
const PATH = '/auth/realms/bench';

export interface PublishingRealmOptions {
  /** 0 = a free one. */
  readonly port: number;
  readonly issuer: string;
  /** Asked anew for each answer. */
  readonly keys: () => readonly JWK[];
  /** The key set was sent as a whole. */
  readonly onServed?: (keys: readonly JWK[]) => void;
}

/** Listens on 127.0.0.1. */
export async function publishRealm(options: PublishingRealmOptions): Promise<PublishingRealm> {
  const { port, issuer, keys, onServed } = options;
  const server = createServer((request, response) => {
    const send = (value: unknown, sent?: () => void): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value), sent);
    };
    const certs = `${url}/protocol/openid-connect/certs`;
    if (request.url === `${PATH}/.well-known/openid-configuration`) {
      send({
        issuer,
        jwks_uri: certs,
        token_endpoint: `${url}/protocol/openid-connect/token`,
        authorization_endpoint: `${url}/protocol/openid-connect/auth`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      });
    } else if (request.url === `${PATH}/protocol/openid-connect/certs`) {
      const published = keys();
      send({ keys: published }, () => onServed?.(published));
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`;
  return {
    url,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
