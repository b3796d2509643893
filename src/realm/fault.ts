/** Something about the realm is not as it must be. The message may stand in a log: it repeats nothing received. */
export class RealmFault extends Error {
  override readonly name = 'RealmFault';
}

/**
 * One line about an error, fit for a log and the admin API. Messages of foreign errors may quote what was sent or
 * received (a token, a body), so only those known to be constant are used.
 */
export function reasonOf(error: unknown): string {
  if (error instanceof RealmFault) return error.message;
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as { code?: unknown };
  // openid-client wraps what it does not know.
  if (code === undefined && error.cause !== undefined) return reasonOf(error.cause);
  if (typeof code !== 'string') return error.name;
  // The messages of openid-client are constants; what they are about stands in `cause`.
  return code.startsWith('OAUTH_') ? error.message : code;
}

/** What this folder logs with; pino's methods fit. */
export interface RealmLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}
