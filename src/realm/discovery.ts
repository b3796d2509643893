import type { RealmSettings } from '../contracts/settings.ts';
import { KEYCLOAK_PATHS } from './endpoints.ts';
import { RealmFault } from './fault.ts';
import { jsonOf, type RealmHttp } from './http.ts';

/** What the gateway needs of a discovery document (OpenID Connect Discovery 1.0 section 3), fit to be used. */
export interface RealmMetadata {
  /** null = the document was not read yet. */
  readonly issuer: string | null;
  readonly jwksUri: string;
  readonly introspectionEndpoint: string;
  /** Whether client authentication by HTTP Basic is the only form with a secret that the realm takes. */
  readonly basicOnly: boolean;
}

const ISSUER_LIMIT = 2048;

const WHAT = 'discovery document';

/** Where a Keycloak has everything, as long as its document could not be read. */
export function keycloakMetadata(url: string): RealmMetadata {
  return {
    issuer: null,
    jwksUri: url + KEYCLOAK_PATHS.certs,
    introspectionEndpoint: url + KEYCLOAK_PATHS.introspection,
    basicOnly: false,
  };
}

/**
 * Reads the realm's discovery document. Rejects with RealmFault, a system error or the signal's reason. Not through
 * openid-client: to read one document it would load itself and `fetch`, 40 ms and 15 MiB of every start.
 *
 * The issuer in it need not be the URL it was read from: behind a gateway it hardly ever is. Which issuers are
 * accepted is decided by the configuration, or else by this document, read over the way that the operator chose.
 */
export async function discover(
  settings: RealmSettings,
  http: RealmHttp,
  signal: AbortSignal,
): Promise<RealmMetadata> {
  const request = { method: 'GET', headers: { accept: 'application/json' }, body: null, signal } as const;
  const answer = await http.request(settings.url + KEYCLOAK_PATHS.discovery, request);
  const document = jsonOf(answer, WHAT);
  if (!isObject(document)) throw new RealmFault(`${WHAT}: it is not a JSON object`);
  const issuer = checkedIssuer(document['issuer']);
  const own = keycloakMetadata(settings.url);
  const methods = document['introspection_endpoint_auth_methods_supported'];
  return {
    issuer,
    jwksUri: rebase(document['jwks_uri'], issuer, settings.url) ?? own.jwksUri,
    introspectionEndpoint:
      rebase(document['introspection_endpoint'], issuer, settings.url) ?? own.introspectionEndpoint,
    basicOnly:
      Array.isArray(methods) &&
      methods.includes('client_secret_basic') &&
      !methods.includes('client_secret_post'),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkedIssuer(issuer: unknown): string {
  if (typeof issuer === 'string' && issuer.length <= ISSUER_LIMIT) {
    const url = URL.parse(issuer);
    if (url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') return issuer;
  }
  throw new RealmFault(`${WHAT}: the issuer is not an http or https URL`);
}

/**
 * An endpoint as the gateway reaches it: the document names the public one, which would lead through the gateway
 * itself, or nowhere. null where it does not lie under the realm.
 */
export function rebase(endpoint: unknown, issuer: string, url: string): string | null {
  if (typeof endpoint !== 'string') return null;
  const base = new URL(url).href;
  for (const prefix of [issuer.replace(/\/$/, ''), url]) {
    if (!endpoint.startsWith(`${prefix}/`)) continue;
    const target = URL.parse(url + endpoint.slice(prefix.length));
    // Dot segments are resolved by now, and must not have led out of the realm.
    if (target?.href.startsWith(`${base}/`) === true && target.hash === '') return target.href;
  }
  return null;
}
