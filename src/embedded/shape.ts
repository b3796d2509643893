import type { IncomingMessage } from 'node:http';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { ANSWERS, NOT_KEPT, answerBody, keycloakAnswer } from './answers.ts';
import type { ProviderFailure } from './answers.ts';
import { isLoopback } from './loopback.ts';
import type { OpenedToken, TokenFacts, TokenForm } from './tokens.ts';
import { scopeClaim } from './tokens.ts';
import type { Users } from './users.ts';

export interface Log {
  info(obj: object, msg: string): void;
  warn(obj: object, msg: string): void;
  error(obj: object, msg: string): void;
}

export interface ShapeOptions {
  readonly realm: string;
  readonly users: Users;
  readonly tokens: TokenForm;
  /** The token that came with a request, as it was before its handle took its place. */
  readonly opened: WeakMap<IncomingMessage, OpenedToken | null>;
  readonly log: Log;
}

/** Turns what the provider answers into what Keycloak would: bodies, claims and errors. */
export function shapeAnswers(provider: Provider, options: ShapeOptions): void {
  const failures = new WeakMap<object, ProviderFailure>();
  const note = (ctx: KoaContextWithOIDC, error: ProviderFailure) => void failures.set(ctx, error);
  provider.on('grant.error', note).on('introspection.error', note).on('revocation.error', note);
  provider.on('userinfo.error', note);
  provider.use(async (anyContext, next) => {
    await next();
    const ctx = anyContext as unknown as KoaContextWithOIDC;
    // Only a request that reached one of the provider's routes has this; the type cannot say so.
    const route = (ctx as { oidc?: { route: string } }).oidc?.route;
    if (route === undefined) return;
    withdrawFromStrangers(ctx, route);
    const failure = failures.get(ctx);
    if (failure === undefined) {
      if (ctx.status === 200) await shapeSuccess(ctx, route, options);
    } else if (route === 'userinfo') refuseUserinfo(ctx, failure, options.realm);
    else shapeFailure(ctx, route, failure, options);
    // The provider adds a charset, which JSON does not have (RFC 8259 section 11).
    if (ctx.response.is('json') !== false) ctx.set('Content-Type', 'application/json');
    if (route === 'token') ctx.set(NOT_KEPT);
  });
}

/** Cross-origin reading of what a client may ask is for pages of this machine; `certs` and discovery are for all. */
function withdrawFromStrangers(ctx: KoaContextWithOIDC, route: string): void {
  const origin = ctx.get('Origin');
  if (!['token', 'introspection', 'revocation', 'userinfo'].includes(route)) return;
  const host = URL.parse(origin)?.hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || (host !== undefined && isLoopback(host))) return;
  ctx.remove('Access-Control-Allow-Origin');
}

/** Keycloak says everything in the challenge (RFC 6750 section 3) and nothing in a body. */
function refuseUserinfo(ctx: KoaContextWithOIDC, failure: ProviderFailure, realm: string): void {
  const name = `Bearer realm="${encodeURIComponent(realm)}"`;
  const challenge =
    failure.error === 'insufficient_scope'
      ? `${name}, error="insufficient_scope", error_description="Missing openid scope"`
      : failure.error_description === 'no access token provided'
        ? name
        : `${name}, error="invalid_token", error_description="Token verification failed"`;
  ctx.set('WWW-Authenticate', challenge);
  ctx.type = 'text/plain';
  ctx.body = '';
}

function shapeFailure(
  ctx: KoaContextWithOIDC,
  route: string,
  failure: ProviderFailure,
  options: ShapeOptions,
): void {
  const invalid = failure.error === 'invalid_grant' && ctx.oidc.params?.['grant_type'] === 'refresh_token';
  const opened = options.opened.get(ctx.req);
  let answer = keycloakAnswer(failure);
  if (invalid && opened?.kind !== 'refresh') answer = ANSWERS.wrongRefreshToken;
  else if (invalid && opened?.expired === true) answer = ANSWERS.expiredRefreshToken;
  else if (route === 'introspection' && answer === ANSWERS.wrongClientSecret) {
    answer = ANSWERS.wrongIntrospectionSecret;
  }
  if (answer === null) return;
  ctx.remove('WWW-Authenticate');
  ctx.status = answer.status;
  ctx.body = answerBody(answer);
}

async function shapeSuccess(ctx: KoaContextWithOIDC, route: string, options: ShapeOptions): Promise<void> {
  if (route === 'token') {
    ctx.body = await tokenResponse(ctx, options);
  } else if (route === 'jwks') {
    ctx.type = 'application/json';
    ctx.set('Cache-Control', 'no-cache');
  } else if (route === 'discovery') {
    ctx.set('Cache-Control', 'no-cache, must-revalidate, no-transform, no-store');
  } else if (route === 'introspection') {
    const claims = options.opened.get(ctx.req)?.claims;
    const { active } = ctx.body as { active: boolean };
    const username = options.users.byId(claims?.sub ?? '')?.username;
    ctx.body =
      active && claims !== undefined && username !== undefined
        ? { ...claims, client_id: claims['azp'], username, token_type: claims['typ'], active }
        : { active: false };
  } else if (route === 'userinfo') {
    const user = options.users.byId(ctx.oidc.account?.accountId ?? '');
    ctx.body = { sub: user?.id, ...user?.profile };
  }
}

/** Keycloak's token response (`AccessTokenResponse`), for every grant. */
async function tokenResponse(ctx: KoaContextWithOIDC, { users, tokens }: ShapeOptions): Promise<object> {
  const { AccessToken: access, RefreshToken: refresh } = ctx.oidc.entities;
  const user = users.byId(access?.accountId ?? '');
  if (access === undefined || refresh === undefined || user === undefined || access.clientId === undefined) {
    throw new Error('the provider issued tokens without a grant');
  }
  const now = Math.floor(Date.now() / 1000);
  const sessionId = access.sid ?? access.grantId;
  const shared = {
    clientId: access.clientId,
    user,
    sessionId,
    scopes: access.scopes,
    authTime: refresh.authTime,
    nonce: refresh.nonce,
  };
  const facts: TokenFacts = { ...shared, handle: access.jti, expiresAt: now + access.expiration };
  const accessToken = await tokens.access(facts);
  const offline = refresh.scopes.has('offline_access');
  return {
    access_token: accessToken,
    expires_in: access.expiration,
    refresh_expires_in: offline ? 0 : refresh.expiration,
    refresh_token: await tokens.refresh({
      ...shared,
      scopes: refresh.scopes,
      handle: refresh.jti,
      expiresAt: now + refresh.expiration,
    }),
    token_type: 'Bearer',
    ...(access.scopes.has('openid') ? { id_token: await tokens.id(facts, accessToken) } : {}),
    'not-before-policy': 0,
    session_state: sessionId,
    scope: scopeClaim(access.scopes),
  };
}
