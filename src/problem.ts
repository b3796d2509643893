import { ERRORS, type ErrorCode, type InvalidRequest } from './errors.ts';

/** Media type of every error body (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';

/**
 * The one form of an error body: `type`, `title`, `status`, `detail` (RFC 9457 section 3.1), `code` and `requestId`,
 * and of `invalid_request` the wrong fields as `errors`. All of it is for the client to read: no token, no secret, no
 * internal address.
 */
export function problemBody(
  code: ErrorCode,
  detail: string,
  requestId: string,
  errors?: InvalidRequest['errors'],
): string {
  const { status, title } = ERRORS[code];
  // `JSON.stringify` leaves out what is undefined.
  return JSON.stringify({
    type: `urn:realmgate:error:${code}`,
    title,
    status,
    detail,
    code,
    requestId,
    errors,
  });
}
