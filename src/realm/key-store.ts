import { join } from 'node:path';
import type { PublicJwk } from '../contracts/snapshot.ts';
import type { RealmSettings } from '../contracts/settings.ts';
import { RealmFault } from './fault.ts';
import { usableKeys } from './jwks.ts';
import { createStateFile } from './state-file.ts';

/** What a realm last said, good enough to start from while it is down. */
export interface StoredKeys {
  readonly keys: readonly PublicJwk[];
  /** Milliseconds since the epoch. */
  readonly fetchedAt: number;
  /** The discovery document's issuer; null when it was never read. */
  readonly issuer: string | null;
}

export interface KeyStore {
  /** null = nothing there, or what is there belongs to another URL or other issuers. Rejects when unreadable. */
  load(): Promise<StoredKeys | null>;
  save(): Promise<void>;
  settled(): Promise<void>;
}

/** The path of one of a realm's files. The name is a user's: escaped, it is one segment, and never `.` or `..`. */
export function realmFile(dataDir: string, realm: string, kind: 'keys' | 'revocations'): string {
  return join(dataDir, 'realms', `${encodeURIComponent(realm)}.${kind}.json`);
}

export function createKeyStore(
  settings: RealmSettings,
  dataDir: string,
  current: () => StoredKeys | null,
): KeyStore {
  // Keys stand for the realm they came from and for the issuers they were trusted to speak for.
  const source = { version: 1, url: settings.url, issuers: settings.issuers };
  const file = createStateFile(realmFile(dataDir, settings.name, 'keys'), () => ({
    ...source,
    ...current(),
  }));
  return {
    async load() {
      const stored = await file.read();
      if (stored === null) return null;
      if (typeof stored !== 'object') throw new RealmFault('not a key file');
      const { version, url, issuers, fetchedAt, issuer } = stored as Record<string, unknown>;
      if (JSON.stringify({ version, url, issuers }) !== JSON.stringify(source)) return null;
      if (typeof fetchedAt !== 'number' || (issuer !== null && typeof issuer !== 'string')) {
        throw new RealmFault('not a key file');
      }
      return { keys: usableKeys(stored).keys, fetchedAt, issuer };
    },
    save: () => file.write(),
    settled: () => file.settled(),
  };
}
