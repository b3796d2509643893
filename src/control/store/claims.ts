import type { ServiceSpec } from '../../contracts/service.ts';
import type { Database } from './database.ts';

/** Fields of which no two current services may have the same value. */
const FIELDS = ['name', 'endpoint'] as const;

type Field = (typeof FIELDS)[number];

/** Which current service has a name or an endpoint. Writes only within a transaction of the caller. */
export class Claims {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Id of the service that has it, or null. */
  holder(field: Field, value: string): string | null {
    const row = this.#db.get<{ service: string }>(
      'SELECT service FROM claim WHERE field = ? AND value = ?',
      field,
      value,
    );
    return row?.service ?? null;
  }

  /** From now on the service has what `specs` say and nothing else. Returns what another one has already, or null. */
  replace(
    service: string,
    specs: readonly ServiceSpec[],
  ): { readonly field: Field; readonly value: string; readonly holder: string } | null {
    this.#db.run('DELETE FROM claim WHERE service = ?', service);
    for (const [field, value] of specs.flatMap((spec) => FIELDS.map((key) => [key, spec[key]] as const))) {
      const holder = this.holder(field, value);
      if (holder === service) continue;
      if (holder !== null) return { field, value, holder };
      this.#db.run('INSERT INTO claim (field, value, service) VALUES (?, ?, ?)', field, value, service);
    }
    return null;
  }
}
