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
  return endProblem(startProblem(code, detail), requestId, errors);
}

/** The part of a body that is the same for every request. */
export function startProblem(code: ErrorCode, detail: string): string {
  const { status, title } = ERRORS[code];
  const type = `urn:realmgate:error:${code}`;
  return JSON.stringify({ type, title, status, detail, code }).slice(0, -1);
}

export function endProblem(start: string, requestId: string, errors?: InvalidRequest['errors']): string {
  const list = errors === undefined ? '' : `,"errors":${JSON.stringify(errors)}`;
  return `${start},"requestId":${JSON.stringify(requestId)}${list}}`;
}
