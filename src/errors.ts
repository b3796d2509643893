/**
 * The one table of what the gateway and the admin API refuse: code → status and title (RFC 9457 `title`: the same
 * for every occurrence). Steps throw `Refusal`; `gateway/respond.ts` and `admin` turn it into a response.
 */
export const ERRORS = {
  malformed_request: { status: 400, title: 'The request is malformed' },
  ambiguous_path: { status: 400, title: 'The request target is ambiguous' },
  invalid_request: { status: 400, title: 'The request has wrong fields' },
  token_missing: { status: 401, title: 'A bearer token is required' },
  token_invalid: { status: 401, title: 'The bearer token is not valid' },
  token_expired: { status: 401, title: 'The bearer token has expired' },
  token_revoked: { status: 401, title: 'The bearer token was revoked' },
  access_denied: { status: 403, title: 'The token does not grant access' },
  no_such_service: { status: 404, title: 'There is no such service' },
  not_found: { status: 404, title: 'There is no such resource' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  conflict: { status: 409, title: 'The request conflicts with the current state' },
  body_too_large: { status: 413, title: 'The request body is too large' },
  unsupported_media_type: { status: 415, title: 'The content type is not supported' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  rollout_failed: { status: 422, title: 'The new revision did not become ready' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request header is too large' },
  internal_error: { status: 500, title: 'The gateway failed' },
  upstream_unreachable: { status: 502, title: 'The service could not be reached' },
  upstream_invalid: { status: 502, title: 'The service gave an invalid response' },
  keys_unavailable: { status: 503, title: 'The keys of the realm are not available' },
  service_unavailable: { status: 503, title: 'The service is not available' },
  overloaded: { status: 503, title: 'Too many requests at once' },
  upstream_timeout: { status: 504, title: 'The service did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** A request is refused, and the client may know `detail`. It never carries a token, a secret or an internal address. */
export class Refusal extends Error {
  readonly code: ErrorCode;
  /** Seconds, for `Retry-After`. */
  readonly retryAfter: number | undefined;
  /** Scopes that would have been needed (RFC 6750 section 3), for `access_denied` only. */
  readonly scope: string | undefined;
  /** Methods for `Allow` (RFC 9110 section 10.2.1), for `method_not_allowed` only. */
  readonly allow: string | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    extra: { retryAfter?: number; scope?: string; allow?: string } = {},
  ) {
    super(detail);
    this.name = 'Refusal';
    this.code = code;
    this.retryAfter = extra.retryAfter;
    this.scope = extra.scope;
    this.allow = extra.allow;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** A request with wrong fields: all of them at once, each a path such as `git.branch` with what would be right. */
export class InvalidRequest extends Refusal {
  readonly errors: readonly { readonly field: string; readonly message: string }[];

  constructor(errors: InvalidRequest['errors']) {
    super('invalid_request', errors.map(({ field, message }) => `${field}: ${message}`).join('; '));
    this.name = 'InvalidRequest';
    this.errors = errors;
  }
}
