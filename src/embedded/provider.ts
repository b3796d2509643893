import type { EventEmitter } from 'node:events';
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { ANSWERS, AnswerError } from './answers.ts';
import { sendJsonAsText } from './json-bodies.ts';
import { isLoopback } from './loopback.ts';
import { escapeHtml, page } from './pages.ts';
import { CONFIDENTIAL_CLIENT, PUBLIC_CLIENT, ROUTES, SIGN_IN } from './paths.ts';
import { registerPasswordGrant } from './password-grant.ts';
import { shapeAnswers } from './shape.ts';
import type { ShapeOptions } from './shape.ts';
import type { RealmSecrets } from './secrets.ts';
import { addSignInPage } from './sign-in.ts';
import type { RealmStorage } from './storage.ts';
import { KNOWN_SCOPES } from './tokens.ts';

/** Seconds; Keycloak's defaults: Access Token Lifespan, SSO Session Idle and Max, Offline Session Idle. */
const ACCESS = 300;
const IDLE = 1800;
const MAX = 36_000;
const OFFLINE = 2_592_000;
const SHORT = 600;

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export interface ProviderOptions extends ShapeOptions {
  readonly issuer: string;
  readonly basePath: string;
  readonly secrets: RealmSecrets;
  readonly storage: RealmStorage;
}

/** The OpenID provider behind one set of secrets. It keeps nothing itself, so another one can take its place. */
export async function createProvider(options: ProviderOptions): Promise<Provider> {
  // Loaded only here: whoever has no embedded realm does not pay for it.
  const { Provider } = await import('oidc-provider/lib/provider.js');
  const provider = new Provider(options.issuer, configurationOf(options));
  sendJsonAsText(provider);
  // Any page of this machine may be the one that signs in: its port is not known beforehand.
  provider.Client.prototype.redirectUriAllowed = isLoopbackUrl;
  provider.Client.prototype.postLogoutRedirectUriAllowed = isLoopbackUrl;
  registerPasswordGrant(provider, options.users);
  shapeAnswers(provider, options);
  addSignInPage(provider, options.users, options.realm);
  const report = (error: Error) => {
    options.log.error({ err: error.stack }, 'the embedded realm failed to answer a request');
  };
  const events: EventEmitter = provider;
  events.on('error', report);
  provider.on('server_error', (_ctx, error) => report(error));
  return provider;
}

function configurationOf(options: ProviderOptions): Configuration {
  const { secrets, storage, users, basePath } = options;
  const lifetime = (scopes: ReadonlySet<string>, online: number) =>
    scopes.has('offline_access') ? OFFLINE : online;
  return {
    adapter: (model) => storage.adapter(model),
    jwks: { keys: [{ ...secrets.signingKey }] },
    cookies: {
      keys: [secrets.cookieSecret],
      names: { session: 'KEYCLOAK_SESSION', interaction: 'AUTH_SESSION_ID', resume: 'KC_RESTART' },
      long: { signed: true, httpOnly: true, sameSite: 'lax' },
      short: { signed: true, httpOnly: true, sameSite: 'lax' },
    },
    clients: [
      {
        client_id: PUBLIC_CLIENT,
        token_endpoint_auth_method: 'none',
        grant_types: ['password', 'refresh_token', 'authorization_code', DEVICE_GRANT],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/'],
      },
      {
        client_id: CONFIDENTIAL_CLIENT,
        client_secret: secrets.clientSecret,
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: [],
        response_types: [],
        redirect_uris: [],
      },
    ],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    extraClientMetadata: { properties: [] },
    responseTypes: ['code'],
    scopes: [...KNOWN_SCOPES],
    claims: {
      openid: ['sub'],
      profile: ['name', 'given_name', 'family_name', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    routes: ROUTES,
    // Keycloak hands out a fresh refresh token with every use; the storage keeps the used one good, as Keycloak does.
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Answered for every origin here; `shapeAnswers` takes the permission back from those that may not have it.
    clientBasedCORS: () => true,
    findAccount: (_ctx, id) => {
      const user = users.byId(id);
      return user && { accountId: user.id, claims: () => ({ sub: user.id, ...user.profile }) };
    },
    interactions: { url: (_ctx, interaction) => `${basePath}${SIGN_IN}/${interaction.uid}` },
    loadExistingGrant: grantWithoutConsent,
    ttl: {
      AccessToken: (ctx) => Math.min(ACCESS, grantTimeLeft(ctx)),
      AuthorizationCode: 60,
      DeviceCode: SHORT,
      Grant: (ctx) => lifetime(ctx.oidc.requestParamScopes, MAX),
      IdToken: ACCESS,
      Interaction: SHORT,
      RefreshToken: (ctx, token) => Math.min(lifetime(token.scopes, IDLE), grantTimeLeft(ctx)),
      Session: MAX,
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => client.clientId === token.clientId,
      },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx, client) => {
          if (client.clientAuthMethod === 'none') throw new AnswerError(ANSWERS.introspectionNotAllowed);
          return true;
        },
      },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (ctx, form, _out, error) => {
          const hint =
            error === undefined ? 'Enter the code shown on your device.' : 'That code is not valid.';
          ctx.body = page(
            'Sign in a device',
            `<p>${hint}</p>${form}${button('op.deviceInputForm', 'Continue')}`,
          );
        },
        userCodeConfirmSource: (ctx, form, _client, _info, code) => {
          const question = `<p>Is <code>${escapeHtml(code)}</code> the code on your device?</p>`;
          ctx.body = page('Sign in a device', `${question}${form}${button('op.deviceConfirmForm', 'Yes')}`);
        },
        successSource: (ctx) => {
          ctx.body = page('Device signed in', '<p>You can close this page.</p>');
        },
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          const yes = button('op.logoutForm', 'Sign out', ' name="logout" value="yes"');
          ctx.body = page('Sign out', `<p>Do you want to sign out?</p>${form}${yes}`);
        },
        postLogoutSuccessSource: (ctx) => {
          ctx.body = page('Signed out', '<p>You are signed out.</p>');
        },
      },
    },
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = page('We are sorry...', `<p>${escapeHtml(out.error_description ?? out.error)}</p>`);
    },
  };
}

/** Every client of a development realm is trusted, so signing in grants what was asked for. */
async function grantWithoutConsent(ctx: KoaContextWithOIDC) {
  const { provider, client, session, requestParamOIDCScopes } = ctx.oidc;
  if (client === undefined || session?.accountId === undefined) return undefined;
  const known = session.grantIdFor(client.clientId);
  const grant =
    (known === undefined ? undefined : await provider.Grant.find(known)) ??
    new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(requestParamOIDCScopes);
  await grant.save();
  return grant;
}

/** Seconds until the session must end, whatever is refreshed meanwhile. */
function grantTimeLeft(ctx: KoaContextWithOIDC): number {
  return Math.max(1, ctx.oidc.entities.Grant?.remainingTTL ?? MAX);
}

function isLoopbackUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return false;
  if (url.username !== '' || url.password !== '' || value.includes('#')) return false;
  return url.hostname === 'localhost' || isLoopback(url.hostname.replace(/^\[|\]$/g, ''));
}

function button(form: string, label: string, extra = ''): string {
  return `<p><button form="${form}"${extra}>${label}</button></p>`;
}
