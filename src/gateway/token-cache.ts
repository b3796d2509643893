import { LRUCache } from 'lru-cache';
import type { Principal } from '../contracts/principal.ts';
import type { VerificationKey } from './verification-keys.ts';

/** A token that was good, and what has to hold for it to be good still. */
export interface VerifiedToken {
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

function sizeOf({ principal }: VerifiedToken, token: string): number {
  const members = principal.roles.size + principal.scopes.size + principal.clients.size;
  return token.length + ENTRY_BYTES + MEMBER_BYTES * members;
}

/**
 * Verified tokens, by the whole compact token: two tokens can never share an entry, and nothing enters that was
 * not verified. The least recently used ones go when `bytes` is reached.
 */
export class TokenCache {
  readonly #entries: LRUCache<string, VerifiedToken>;

  constructor(bytes: number) {
    this.#entries = new LRUCache({ maxSize: bytes, sizeCalculation: sizeOf });
  }

  get(token: string): VerifiedToken | undefined {
    return this.#entries.get(token);
  }

  set(token: string, entry: VerifiedToken): void {
    this.#entries.set(token, entry);
  }

  delete(token: string): void {
    this.#entries.delete(token);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Estimated, of the same kind as the bound. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }
}
