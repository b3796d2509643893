import type { SecretView } from '../../contracts/service.ts';
import type { Database } from './database.ts';
import { auditDifference } from './difference.ts';
import type { Journal } from './journal.ts';

/** A secret as it is kept: what `sealed` says, only `services/secrets.ts` can read. */
export interface SealedSecret extends SecretView {
  readonly sealed: Uint8Array;
}

interface Row extends Omit<SealedSecret, 'keys'> {
  readonly keys: string;
}

/** Secrets of the store, each change with its entry in the audit, which has the keys only. */
export class SecretTable {
  readonly #db: Database;
  readonly #journal: Journal;
  readonly #now: () => Date;

  constructor(db: Database, journal: Journal, now: () => Date) {
    this.#db = db;
    this.#journal = journal;
    this.#now = now;
  }

  /** In the order of their names. */
  list(): SecretView[] {
    return this.#db
      .all<Omit<Row, 'sealed'>>(
        'SELECT name, keys, updated_at AS updatedAt, updated_by AS updatedBy FROM secret ORDER BY name',
      )
      .map((row) => ({ ...row, keys: JSON.parse(row.keys) as string[] }));
  }

  get(name: string): SealedSecret | null {
    const row = this.#db.get<Row>(
      'SELECT name, keys, sealed, updated_at AS updatedAt, updated_by AS updatedBy FROM secret WHERE name = ?',
      name,
    );
    return row === undefined ? null : { ...row, keys: JSON.parse(row.keys) as string[] };
  }

  /** `changed`: those of the keys whose values are others than before. */
  put(
    secret: { readonly name: string; readonly keys: readonly string[]; readonly sealed: Uint8Array },
    { actor, changed }: { readonly actor: string; readonly changed: readonly string[] },
  ): void {
    const { name, keys, sealed } = secret;
    this.#db.change(() => {
      const before = this.#keysOf(name);
      this.#db.run(
        'INSERT OR REPLACE INTO secret (name, keys, sealed, updated_at, updated_by) VALUES (?, ?, ?, ?, ?)',
        name,
        JSON.stringify(keys),
        sealed,
        this.#now().toISOString(),
        actor,
      );
      this.#journal.record(actor, 'secret.put', name, {
        ...auditDifference(before, { keys }),
        ...(changed.length > 0 && { changed: [null, changed] }),
      });
    });
  }

  delete(name: string, { actor }: { readonly actor: string }): void {
    this.#db.change(() => {
      const before = this.#keysOf(name);
      this.#db.run('DELETE FROM secret WHERE name = ?', name);
      this.#journal.record(actor, 'secret.delete', name, auditDifference(before, {}));
    });
  }

  /** What tells whether a key is the one that the secrets are sealed with; null = none was kept yet. */
  keyCheck(): Uint8Array | null {
    return (
      this.#db.get<{ value: Uint8Array }>("SELECT value FROM meta WHERE name = 'key-check'")?.value ?? null
    );
  }

  setKeyCheck(value: Uint8Array): void {
    this.#db.change(() =>
      this.#db.run("INSERT OR REPLACE INTO meta (name, value) VALUES ('key-check', ?)", value),
    );
  }

  #keysOf(name: string): { readonly keys?: readonly string[] } {
    const secret = this.get(name);
    return secret === null ? {} : { keys: secret.keys };
  }
}
