import type { CustomFetch } from 'openid-client';
import type { RealmSettings } from '../contracts/settings.ts';
import { KEYCLOAK_PATHS } from './endpoints.ts';
import { RealmFault } from './fault.ts';
import type { RealmHttp } from './http.ts';
import { backstop } from './timer.ts';

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
 * Reads the realm's discovery document. Rejects with RealmFault, a system error, an error of openid-client or the
 * signal's reason.
 *
 * The issuer in it need not be the URL it was read from: behind a gateway it hardly ever is. Which issuers are
 * accepted is decided by the configuration, or else by this document, read over the way that the operator chose.
 */
export async function discover(
  settings: RealmSettings,
  http: RealmHttp,
  signal: AbortSignal,
): Promise<RealmMetadata> {
  // Loaded here and not at the top: it takes longer than everything else in this folder together.
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to be noticed; the operator chose http
  const { allowInsecureRequests, customFetch, discovery } = await import('openid-client');
  const fetchDocument: CustomFetch = async (url, { headers }) => {
    const response = await http.request(url, { method: 'GET', headers, body: null, signal });
    if (response.status === 200) return response;
    throw new RealmFault(`discovery document: the realm answered with status ${response.status}`);
  };
  const configuration = await discovery(
    // openid-client compares no issuer where it is given the document's own address.
    new URL(settings.url + KEYCLOAK_PATHS.discovery),
    'realmgate',
    undefined,
    undefined,
    {
      execute: settings.url.startsWith('http:') ? [allowInsecureRequests] : [],
      timeout: backstop(settings.jwks.timeout),
      [customFetch]: fetchDocument,
    },
  );
  const document = configuration.serverMetadata();
  const issuer = checkedIssuer(document.issuer);
  const own = keycloakMetadata(settings.url);
  const methods = document.introspection_endpoint_auth_methods_supported;
  return {
    issuer,
    jwksUri: rebase(document.jwks_uri, issuer, settings.url) ?? own.jwksUri,
    introspectionEndpoint:
      rebase(document.introspection_endpoint, issuer, settings.url) ?? own.introspectionEndpoint,
    basicOnly:
      Array.isArray(methods) &&
      methods.includes('client_secret_basic') &&
      !methods.includes('client_secret_post'),
  };
}

function checkedIssuer(issuer: string): string {
  const url = issuer.length <= ISSUER_LIMIT ? URL.parse(issuer) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new RealmFault('discovery document: the issuer is not an http or https URL');
  }
  return issuer;
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
