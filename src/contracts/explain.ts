/** A request that nobody sends, to find out what the gateway would do with it. */
export interface ExplainQuestion {
  /** Compact JWT or opaque token; null = none. It is never kept. */
  readonly token: string | null;
  readonly method: string;
  /** Request target as it would stand on the wire, such as `/hello/x?y=1`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Explanation {
  readonly allowed: boolean;
  /** What the gateway itself would answer; 200 where it would forward. */
  readonly status: number;
  /** Of the error table; null where it would forward. */
  readonly code: string | null;
  /** In order, up to the first that fails. */
  readonly checks: readonly ExplainCheck[];
}

export interface ExplainCheck {
  /** `request`, `path`, `passthrough`, `token`, `signature`, `issuer`, `time`, `client`, `route`, `access`, `upstream` and the like. */
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}
