import type { ServerResponse } from 'node:http';

/** An answer in the form of Keycloak's REST layer: `error`, and `error_description` where OAuth has one. */
export interface Answer {
  readonly status: number;
  readonly error: string;
  readonly description?: string;
}

/** For what no cache may keep, an old one of HTTP/1.0 included (RFC 6749 section 5.1). */
export const NOT_KEPT = { 'cache-control': 'no-store', pragma: 'no-cache' } as const;

const CREDENTIALS = 'Invalid client or Invalid client credentials';

export const ANSWERS = {
  noRealm: { status: 404, error: 'Realm does not exist' },
  noEndpoint: { status: 404, error: 'HTTP 404 Not Found' },
  noResource: { status: 404, error: 'Unable to find matching target resource method' },
  wrongMethod: { status: 405, error: 'HTTP 405 Method Not Allowed' },
  wrongType: { status: 415, error: 'HTTP 415 Unsupported Media Type' },
  tooLarge: { status: 413, error: 'HTTP 413 Request Entity Too Large' },
  failed: { status: 500, error: 'unknown_error' },
  noGrantType: invalidRequest('Missing form parameter: grant_type'),
  unknownGrantType: {
    status: 400,
    error: 'unsupported_grant_type',
    description: 'Unsupported grant_type',
  },
  duplicate: invalidRequest('duplicated parameter'),
  noUsername: { status: 401, error: 'invalid_request', description: 'Missing parameter: username' },
  wrongPassword: { status: 400, error: 'invalid_grant', description: 'Invalid user credentials' },
  unknownClient: { status: 401, error: 'invalid_client', description: CREDENTIALS },
  wrongClientSecret: { status: 401, error: 'unauthorized_client', description: CREDENTIALS },
  wrongIntrospectionSecret: {
    status: 401,
    error: 'invalid_client',
    description: 'Client authentication failed.',
  },
  noServiceAccount: {
    status: 401,
    error: 'unauthorized_client',
    description: 'Public client not allowed to retrieve service account',
  },
  grantNotAllowed: {
    status: 400,
    error: 'unauthorized_client',
    description: 'Client not allowed for this grant',
  },
  introspectionNotAllowed: { status: 403, error: 'invalid_request', description: 'Client not allowed.' },
  noRefreshToken: invalidRequest('No refresh token'),
  wrongRefreshToken: { status: 400, error: 'invalid_grant', description: 'Invalid refresh token' },
  foreignRefreshToken: {
    status: 400,
    error: 'invalid_grant',
    description: "Invalid refresh token. Token client and authorized client don't match",
  },
  expiredRefreshToken: { status: 400, error: 'invalid_grant', description: 'Token is not active' },
  noSession: { status: 400, error: 'invalid_grant', description: 'Session not active' },
} as const satisfies Record<string, Answer>;

/** A request is refused. Inside the provider too, which passes on what has these fields as it is. */
export class AnswerError extends Error {
  readonly expose = true;
  readonly answer: Answer;
  readonly status: number;
  readonly statusCode: number;
  readonly error_description: string | undefined;

  constructor(answer: Answer) {
    super(answer.error);
    this.answer = answer;
    this.status = this.statusCode = answer.status;
    this.error_description = answer.description;
  }
}

function invalidRequest(description: string): Answer {
  return { status: 400, error: 'invalid_request', description };
}

export function invalidScopes(scopes: string): Answer {
  return { status: 400, error: 'invalid_scope', description: `Invalid scopes: ${scopes}` };
}

export function answerBody({ error, description }: Answer): Record<string, string> {
  return description === undefined ? { error } : { error, error_description: description };
}

export function sendAnswer(res: ServerResponse, { answer }: AnswerError): void {
  // Whatever is left of a body that is too large is not worth reading.
  if (answer.status === ANSWERS.tooLarge.status) res.setHeader('connection', 'close');
  sendJson(res, answer.status, answerBody(answer));
}

/** Sends JSON that no cache may keep. */
export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json', ...NOT_KEPT });
  res.end(JSON.stringify(body));
}

/** What the provider reports as failed, by the field names of its errors. */
export interface ProviderFailure {
  readonly error?: string | undefined;
  readonly error_description?: string | undefined;
  readonly error_detail?: string | undefined;
  readonly scope?: string | undefined;
}

/** Keycloak's answer for what the provider refused at the token endpoints; null = the provider's answer will do. */
export function keycloakAnswer(failure: ProviderFailure): Answer | null {
  const { error, error_description: description = '', error_detail: detail = '' } = failure;
  switch (error) {
    case 'invalid_client':
      return detail === 'client not found' ? ANSWERS.unknownClient : ANSWERS.wrongClientSecret;
    case 'unsupported_grant_type':
      return ANSWERS.unknownGrantType;
    case 'invalid_scope':
      return invalidScopes(failure.scope ?? '');
    case 'invalid_request':
      if (description === 'no client authentication mechanism provided') return ANSWERS.unknownClient;
      if (description.startsWith('requested grant type is not allowed')) return ANSWERS.grantNotAllowed;
      return null;
    case 'invalid_grant':
      if (detail === 'client mismatch') return ANSWERS.foreignRefreshToken;
      if (/^(grant|refresh token) (not found|is expired)$/.test(detail)) return ANSWERS.noSession;
      return null;
    default:
      return null;
  }
}
