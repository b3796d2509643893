import { ERRORS, type ErrorCode } from './errors.ts';

/** Media type of every error body (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';

/**
 * The one form of an error body: `type`, `title`, `status`, `detail` (RFC 9457 section 3.1), `code` and `requestId`.
 * `detail` is for the client to read: no token, no secret, no internal address.
 */
export function problemBody(code: ErrorCode, detail: string, requestId: string): string {
  const { status, title } = ERRORS[code];
  return JSON.stringify({ type: `urn:realmgate:error:${code}`, title, status, detail, code, requestId });
}
