import { type ErrorCode, Refusal } from '../errors.ts';
import { withoutStack } from './without-stack.ts';

/** The parts of a token check, for who wants to know which one failed. */
export type TokenCheck =
  | 'token'
  | 'issuer'
  | 'algorithm'
  | 'time'
  | 'type'
  | 'client'
  | 'subject'
  | 'signature'
  | 'introspection'
  | 'session';

/** A token is not accepted, or nothing can be said of it. */
export class TokenRefusal extends Refusal {
  readonly check: TokenCheck;

  constructor(check: TokenCheck, code: ErrorCode, detail: string, retryAfter?: number) {
    super(code, detail, retryAfter === undefined ? {} : { retryAfter });
    this.check = check;
  }
}

export function invalidToken(check: TokenCheck, detail: string): TokenRefusal {
  return withoutStack(() => new TokenRefusal(check, 'token_invalid', detail));
}

export function expiredToken(): TokenRefusal {
  return withoutStack(() => new TokenRefusal('time', 'token_expired', 'the token has expired'));
}
