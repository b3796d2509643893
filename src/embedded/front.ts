import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ANSWERS, AnswerError, sendAnswer, sendJson } from './answers.ts';
import { readForm, withForm } from './forms.ts';
import { PUBLIC_CLIENT, ROUTES, SIGN_IN } from './paths.ts';
import type { Log } from './shape.ts';
import type { RealmStorage } from './storage.ts';
import type { OpenedToken, TokenForm } from './tokens.ts';

export interface FrontOptions {
  readonly realm: string;
  readonly issuer: URL;
  readonly storage: RealmStorage;
  readonly log: Log;
  readonly opened: WeakMap<IncomingMessage, OpenedToken | null>;
  current(): CurrentKeys;
}

/** What a key rotation replaces. */
export interface CurrentKeys {
  readonly provider: RequestListener;
  readonly tokens: TokenForm;
  readonly info: object;
}

interface ProgramRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The path below the realm's own. */
  readonly rest: string;
  readonly field: string | null;
}

const REALMS = '/auth/realms/';
const READ = ['GET', 'HEAD', 'OPTIONS'];
/** Paths below the realm's own, and their methods. Everything else the provider offers stays unreachable. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  '/.well-known/openid-configuration': READ,
  [ROUTES.jwks]: READ,
  [ROUTES.authorization]: ['GET', 'HEAD'],
  [ROUTES.device_authorization]: ['POST', 'OPTIONS'],
  [ROUTES.token]: ['POST', 'OPTIONS'],
  [ROUTES.introspection]: ['POST', 'OPTIONS'],
  [ROUTES.revocation]: ['POST', 'OPTIONS'],
  [ROUTES.userinfo]: [...READ, 'POST'],
  [ROUTES.end_session]: ['GET', 'POST'],
  [`${ROUTES.end_session}/confirm`]: ['POST'],
  [`${ROUTES.end_session}/success`]: ['GET'],
  [ROUTES.code_verification]: ['GET', 'POST'],
};
/** Steps of a sign-in: one more segment. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  [ROUTES.authorization]: ['GET'],
  [ROUTES.code_verification]: ['GET'],
  [SIGN_IN]: ['GET', 'POST'],
};
/** Where a program asks, so that a failure is JSON whatever it accepts; with the form fields that hold a token. */
const TOKEN_FIELDS: Readonly<Record<string, string | null>> = {
  [ROUTES.token]: 'refresh_token',
  [ROUTES.introspection]: 'token',
  [ROUTES.revocation]: 'token',
  [ROUTES.userinfo]: 'access_token',
  [ROUTES.end_session]: 'refresh_token',
  [ROUTES.device_authorization]: null,
};
/** Names no token. */
const NO_HANDLE = 'invalid';

/** Keycloak's paths in front of the provider: finds the realm, opens tokens, and lets nothing else through. */
export function createFront(options: FrontOptions): RequestListener {
  return (req, res) => {
    serve(options, req, res).catch((error: unknown) => {
      if (error instanceof AnswerError) {
        sendAnswer(res, error);
        return;
      }
      const stack = error instanceof Error ? error.stack : 'unknown';
      options.log.error({ err: stack }, 'the embedded realm failed to answer a request');
      if (res.headersSent) res.destroy();
      else sendAnswer(res, new AnswerError(ANSWERS.failed));
    });
  };
}

async function serve(options: FrontOptions, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const target = req.url ?? '/';
  const [path = '', ...query] = target.split('?');
  if (!path.startsWith(REALMS)) throw new AnswerError(ANSWERS.noResource);
  const name = path.slice(REALMS.length).split('/', 1)[0] ?? '';
  const rest = path.slice(REALMS.length + name.length);
  if (decoded(name) !== options.realm) throw new AnswerError(ANSWERS.noRealm);
  const { provider, info } = options.current();
  if (rest === '' || rest === '/') {
    if (!READ.includes(req.method ?? '')) throw new AnswerError(ANSWERS.wrongMethod);
    sendJson(res, 200, info);
    return;
  }
  const allowed = METHODS[rest] ?? STEPS[rest.replace(/\/[\w-]+$/, '')];
  if (allowed === undefined) throw new AnswerError(ANSWERS.noEndpoint);
  if (!allowed.includes(req.method ?? '')) throw new AnswerError(ANSWERS.wrongMethod);

  Object.assign(req, { originalUrl: target });
  req.url = [rest, ...query].join('?');
  addressedToIssuer(req, options.issuer);
  const field = TOKEN_FIELDS[rest];
  if (field === undefined) provider(req, res);
  else await serveProgram(options, { req, res, rest, field });
}

/** A request that may carry a token: the provider gets the handle in its place. */
async function serveProgram(options: FrontOptions, request: ProgramRequest): Promise<void> {
  const { req, res, rest, field } = request;
  const { provider, tokens } = options.current();
  if (rest !== ROUTES.end_session) req.headers.accept = 'application/json';
  await openBearer(options, tokens, req);
  if (req.method !== 'POST' || (rest === ROUTES.userinfo && !hasBody(req))) {
    provider(req, res);
    return;
  }
  const form = await readForm(req);
  const grantType = form.get('grant_type');
  if (rest === ROUTES.token) refuseGrant(form);
  if (form.get('client_id') === PUBLIC_CLIENT) {
    if (rest === ROUTES.introspection) throw new AnswerError(ANSWERS.introspectionNotAllowed);
    // Keycloak does not look at the secret of a public client, and some programs always send one.
    form.delete('client_secret');
  }
  const presented = field === null ? null : form.get(field);
  if (grantType === 'refresh_token' && !presented) throw new AnswerError(ANSWERS.noRefreshToken);
  const opened = presented === null ? null : await tokens.open(presented);
  if (rest === ROUTES.end_session && presented !== null) {
    await endSession(options, form, opened);
    res.writeHead(204, { 'cache-control': 'no-store' }).end();
    return;
  }
  if (field !== null && presented !== null) form.set(field, opened?.handle ?? NO_HANDLE);
  const rewritten = withForm(req, form);
  if (presented !== null) options.opened.set(rewritten, opened);
  provider(rewritten, res);
}

/** What the provider, to which an empty parameter is a missing one, would answer in another way. */
function refuseGrant(form: URLSearchParams): void {
  const grantType = form.get('grant_type');
  if (grantType === null) throw new AnswerError(ANSWERS.noGrantType);
  if (grantType === '') throw new AnswerError(ANSWERS.unknownGrantType);
  if (grantType === 'password' && form.get('username') === '') throw new AnswerError(ANSWERS.wrongPassword);
  if (grantType === 'client_credentials' && form.get('client_id') === PUBLIC_CLIENT) {
    throw new AnswerError(ANSWERS.noServiceAccount);
  }
}

/** Who the request was addressed to, in any header, says nothing here: the issuer is always the same. */
function addressedToIssuer(req: IncomingMessage, issuer: URL): void {
  for (const name of Object.keys(req.headers)) {
    if (name.startsWith('x-forwarded-') || name === 'forwarded') Reflect.deleteProperty(req.headers, name);
  }
  req.headers.host = issuer.host;
}

async function openBearer(options: FrontOptions, tokens: TokenForm, req: IncomingMessage): Promise<void> {
  const match = /^Bearer +([^ ]+)$/i.exec(req.headers.authorization ?? '');
  if (match?.[1] === undefined) return;
  const opened = await tokens.open(match[1]);
  const handle = opened?.kind === 'access' ? opened.handle : NO_HANDLE;
  req.headers.authorization = `Bearer ${handle}`;
  options.opened.set(req, opened);
}

/** Keycloak's logout for programs: a refresh token in a form ends its session. */
async function endSession(
  { storage }: FrontOptions,
  form: URLSearchParams,
  opened: OpenedToken | null,
): Promise<void> {
  if (opened?.kind !== 'refresh') throw new AnswerError(ANSWERS.wrongRefreshToken);
  if (opened.claims['azp'] !== form.get('client_id')) throw new AnswerError(ANSWERS.foreignRefreshToken);
  const kept = await storage.adapter('RefreshToken').find(opened.handle);
  if (kept?.grantId !== undefined) storage.endSession(kept.grantId, kept.sessionUid);
}

function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
