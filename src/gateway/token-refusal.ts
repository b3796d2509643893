import type { Principal } from '../contracts/principal.ts';
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

/** Who a token speaks for, or why it is not accepted. */
export type Verdict = Principal | Refusal;

/** A refusal that a step ended with by way of an error. Throws what is none. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  throw error;
}

/** By check and detail. One serves all tokens: what a flood of bad ones throws is made once. */
const INVALID = new Map<TokenCheck, Map<string, TokenRefusal>>();

/** `detail` is one of the few texts in this folder. */
export function invalidToken(check: TokenCheck, detail: string): TokenRefusal {
  let ofCheck = INVALID.get(check);
  if (ofCheck === undefined) INVALID.set(check, (ofCheck = new Map<string, TokenRefusal>()));
  let refusal = ofCheck.get(detail);
  if (refusal === undefined) {
    refusal = withoutStack(() => new TokenRefusal(check, 'token_invalid', detail));
    ofCheck.set(detail, refusal);
  }
  return refusal;
}

const EXPIRED = withoutStack(() => new TokenRefusal('time', 'token_expired', 'the token has expired'));

export function expiredToken(): TokenRefusal {
  return EXPIRED;
}
