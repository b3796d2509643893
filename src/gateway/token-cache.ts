import { LRUCache } from 'lru-cache';
import type { Principal } from '../contracts/principal.ts';
import { placeOf } from './by-text.ts';
import type { VerificationKey } from './verification-keys.ts';

/** A token that was good, and what has to hold for it to be good still. */
export interface VerifiedToken {
  /** All of it. */
  readonly token: string;
  readonly principal: Principal;
  /** Ms since the epoch: the token's end, or the end of what introspection said of it. */
  readonly validUntil: number;
  /** The key that verified it; null for a token that only introspection vouches for. */
  readonly key: VerificationKey | null;
  /** The rules it was checked by. */
  readonly rules: object;
  /** The state of all realms against which it was last found good. */
  revision: number;
}

/** Heap bytes of an entry beside its token, and of each member of its sets: measured, and rounded up. */
const ENTRY_BYTES = 1024;
const MEMBER_BYTES = 96;

function sizeOf({ token, principal }: VerifiedToken): number {
  return token.length + ENTRY_BYTES + MEMBER_BYTES * principal.members;
}

/**
 * Verified tokens, found by the whole compact token: two tokens can never share an entry, and nothing enters that was
 * not verified. The least recently used ones go when `bytes` is reached. `ByText` says why its keys are numbers; a
 * token that takes the place of another costs that one a check.
 */
export class TokenCache {
  readonly #entries: LRUCache<number, VerifiedToken>;

  constructor(bytes: number) {
    this.#entries = new LRUCache({ maxSize: bytes, sizeCalculation: sizeOf });
  }

  get(token: string): VerifiedToken | undefined {
    const entry = this.#entries.get(placeOf(token));
    return entry?.token === token ? entry : undefined;
  }

  set(entry: VerifiedToken): void {
    this.#entries.set(placeOf(entry.token), entry);
  }

  delete({ token }: VerifiedToken): void {
    this.#entries.delete(placeOf(token));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Estimated, of the same kind as the bound. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }
}
