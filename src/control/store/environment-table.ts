import type { Environment } from '../../contracts/service.ts';
import type { Database } from './database.ts';
import { auditDifference } from './difference.ts';
import type { Journal } from './journal.ts';

/** Environment configurations of the store, each change with its entry in the audit. */
export class EnvironmentTable {
  readonly #db: Database;
  readonly #journal: Journal;

  constructor(db: Database, journal: Journal) {
    this.#db = db;
    this.#journal = journal;
  }

  /** Those that were written, in the order of their names. */
  list(): Environment[] {
    return this.#db
      .all<{ readonly content: string }>('SELECT content FROM environment ORDER BY name')
      .map(({ content }) => JSON.parse(content) as Environment);
  }

  get(name: string): Environment | null {
    const row = this.#db.get<{ readonly content: string }>(
      'SELECT content FROM environment WHERE name = ?',
      name,
    );
    return row === undefined ? null : (JSON.parse(row.content) as Environment);
  }

  put(environment: Environment, { actor }: { readonly actor: string }): void {
    const { name } = environment;
    this.#db.change(() => {
      const before = this.get(name) ?? {};
      this.#db.run(
        'INSERT OR REPLACE INTO environment (name, content) VALUES (?, ?)',
        name,
        JSON.stringify(environment),
      );
      this.#journal.record(actor, 'environment.put', name, auditDifference(before, environment));
    });
  }

  delete(name: string, { actor }: { readonly actor: string }): void {
    this.#db.change(() => {
      const before = this.get(name) ?? {};
      this.#db.run('DELETE FROM environment WHERE name = ?', name);
      this.#journal.record(actor, 'environment.delete', name, auditDifference(before, {}));
    });
  }
}
