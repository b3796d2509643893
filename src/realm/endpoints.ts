import type { PassthroughEndpoint } from '../contracts/settings.ts';

/** Keycloak's own paths under a realm's URL, where its discovery document says nothing better. */
export const KEYCLOAK_PATHS = {
  discovery: '/.well-known/openid-configuration',
  certs: '/protocol/openid-connect/certs',
  introspection: '/protocol/openid-connect/token/introspect',
} as const;

const EXACT: ReadonlyMap<string, PassthroughEndpoint> = new Map([
  ['/protocol/openid-connect/token', 'token'],
  [KEYCLOAK_PATHS.certs, 'certs'],
  [KEYCLOAK_PATHS.discovery, 'openid-configuration'],
  ['/protocol/openid-connect/userinfo', 'userinfo'],
  ['/protocol/openid-connect/auth', 'auth'],
  // Other entrances to the same pages: registration and a forgotten password.
  ['/protocol/openid-connect/registrations', 'auth'],
  ['/protocol/openid-connect/forgot-credentials', 'auth'],
  // What Keycloak's browser adapter opens in hidden frames during a login.
  ['/protocol/openid-connect/login-status-iframe.html', 'auth'],
  ['/protocol/openid-connect/login-status-iframe.html/init', 'auth'],
  ['/protocol/openid-connect/3p-cookies/step1.html', 'auth'],
  ['/protocol/openid-connect/3p-cookies/step2.html', 'auth'],
  ['/broker/after-first-broker-login', 'auth'],
  ['/broker/after-post-broker-login', 'auth'],
  ['/protocol/openid-connect/logout', 'logout'],
  ['/protocol/openid-connect/logout/logout-confirm', 'logout'],
  ['/protocol/openid-connect/logout/backchannel-logout', 'logout'],
  ['/protocol/openid-connect/auth/device', 'device'],
  ['/device', 'device'],
  ['/device/status', 'device'],
]);

/** The pages of a login: `/login-actions/authenticate`, `/login-actions/required-action`, ... */
const LOGIN_ACTIONS = /^\/login-actions\/[a-z][a-z-]*$/;

/**
 * A login by way of another identity provider: the way out and the provider's answer. Not `/broker/{alias}/token`
 * and `/link`, which are no part of a login and hand out or change what is stored for an account.
 */
const BROKER = /^\/broker\/[^/]+\/(?:login|endpoint(?:\/[^/]+)*)$/;

/**
 * Which passthrough endpoint a path belongs to.
 *
 * @param pathAfterRealm canonical path without query, after `/auth/realms/{realm}`; starts with `/`
 * @returns null for everything else, which is never passed through. Case and a trailing slash matter, as they do
 *   to Keycloak.
 */
export function passthroughTarget(pathAfterRealm: string): PassthroughEndpoint | null {
  const endpoint = EXACT.get(pathAfterRealm);
  if (endpoint !== undefined) return endpoint;
  return LOGIN_ACTIONS.test(pathAfterRealm) || BROKER.test(pathAfterRealm) ? 'auth' : null;
}

const RESOURCES = '/auth/resources/';

/**
 * Where Keycloak serves the theme files of its login pages. They lie outside any realm's folder, so a public
 * `/auth/resources/...` names no realm.
 *
 * @param path canonical public path without query
 * @param realmUrl `RealmSettings.url`
 * @returns the URL at that Keycloak; null when the path is none of a theme file, or when `realmUrl` does not end
 *   in `/realms/{realm}`, so that its Keycloak's root cannot be told
 */
export function resourcesTarget(path: string, realmUrl: string): string | null {
  const root = /^(.+)\/realms\/[^/]+$/.exec(realmUrl)?.[1];
  if (root === undefined || !path.startsWith(RESOURCES) || path === RESOURCES) return null;
  return `${root}/resources/${path.slice(RESOURCES.length)}`;
}
