import { type Attack, hostHeader, type Site } from './attack.ts';

/** More than the 64 KiB that a token request may have. It is only announced. */
const LARGE_FORM = 1024 * 1024;

/** What a gateway that publishes a realm's token endpoint must not publish with it. */
export function realmAttacks(site: Site): Attack[] {
  const { name, published } = site.realm;
  const host = hostHeader(site);
  const realm = `/auth/realms/${name}`;
  const oidc = `${realm}/protocol/openid-connect`;
  const attack = (
    what: string,
    bytes: string,
    expected: readonly string[] = ['404 no_such_service'],
  ): Attack => ({ kind: 'realm', name: what, advisory: null, bytes, expected, closes: false });
  const get = (target: string): string => `GET ${target} HTTP/1.1\r\n${host}\r\n`;
  const form = 'Content-Type: application/x-www-form-urlencoded\r\n';
  const attacks = [
    attack('the root of Keycloak', get('/auth/')),
    attack('the admin console', get('/auth/admin/master/console/')),
    attack('the admin API', get(`/auth/admin/realms/${name}/users`)),
    attack('the metrics of Keycloak', get('/auth/metrics')),
    attack('the account console', get(`${realm}/account/`)),
    attack('the registration of clients', get(`${realm}/clients-registrations/default`)),
    attack('introspection', `POST ${oidc}/token/introspect HTTP/1.1\r\n${host}${form}Content-Length: 0\r\n\r\n`),
    attack('a token of another identity provider', get(`${realm}/broker/x/token`)),
    attack('a realm that is not configured', get('/auth/realms/no-such-realm/protocol/openid-connect/token')),
    attack('the admin API by dot segments', get(`${oidc}/../../../../admin/realms/${name}/users`), ['400 ambiguous_path']),
    attack('the admin API by encoded dot segments', get(`${oidc}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/admin/`), ['400 ambiguous_path']),
    attack('the admin API by encoded slashes', get(`${oidc}%2f..%2f..%2f..%2f..%2fadmin%2f`), ['400 ambiguous_path']),
  ]; // prettier-ignore
  if (!published) return attacks;
  const token = `POST ${oidc}/token HTTP/1.1\r\n${host}`;
  return [
    ...attacks,
    attack(
      'a token request that is no form',
      `${token}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
      ['415 unsupported_media_type'],
    ),
    attack('a token request of 1 MiB', `${token}${form}Content-Length: ${LARGE_FORM}\r\n\r\n`, [
      '413 body_too_large',
    ]),
  ];
}
