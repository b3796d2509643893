/** Who a verified token speaks for. Built once per token by `realm/claims.ts`, then shared by its requests. */
export interface Principal {
  readonly realm: string;
  /** `sub`. */
  readonly subject: string;
  /** `preferred_username`, or null. */
  readonly username: string | null;
  readonly email: string | null;
  /** Realm roles as they stand in `realm_access.roles`. */
  readonly groups: readonly string[];
  /** `realm:NAME` and `client:CLIENT/NAME`. */
  readonly roles: ReadonlySet<string>;
  readonly scopes: ReadonlySet<string>;
  /** `azp` (or `client_id`), and every member of `aud`. */
  readonly clients: ReadonlySet<string>;
  /** How many roles, scopes and clients there may be: what they weigh, without making sets of them. */
  readonly members: number;
  readonly sessionId: string | null;
  /** `iat`, in ms since the epoch; 0 when absent. */
  readonly issuedAt: number;
  /** `exp` plus the realm's clock skew, in ms since the epoch: the instant from which nothing is served. */
  readonly notAfter: number;
}
