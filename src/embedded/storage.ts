import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Adapter, AdapterPayload } from 'oidc-provider';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entries (
    model TEXT NOT NULL,
    id TEXT NOT NULL,
    payload TEXT NOT NULL,
    grant_id TEXT,
    user_code TEXT,
    uid TEXT,
    expires_at INTEGER,
    PRIMARY KEY (model, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_by_grant ON entries (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL;
`;

// Keycloak lets a refresh token be used again unless "Revoke Refresh Token" is switched on.
const REUSABLE = new Set(['RefreshToken']);

/** Sessions, grants and tokens of the realm in one SQLite file, as `oidc-provider` wants to keep them. */
export class RealmStorage {
  readonly #db: DatabaseSync;
  readonly #sweeper: NodeJS.Timeout;

  /** Opens or creates `file`, readable by its owner only, and forgets what expired while the realm was down. */
  constructor(file: string) {
    // SQLite gives its journal the mode of the database, so the mode has to be right before it opens it.
    closeSync(openSync(file, 'a', 0o600));
    this.#db = new DatabaseSync(file);
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;');
    this.#db.exec(SCHEMA);
    this.sweep();
    this.#sweeper = setInterval(() => this.sweep(), 60_000).unref();
  }

  /** Removes every expired entry; returns how many there were. */
  sweep(): number {
    return Number(this.#db.prepare('DELETE FROM entries WHERE expires_at <= ?').run(now()).changes);
  }

  /** Entries that are kept at this moment, expired ones included until the next sweep. */
  count(): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM entries').get()?.['n']);
  }

  /** Ends a session: its grant with every token of it, and the browser session `sessionUid` behind it, if any. */
  endSession(grantId: string, sessionUid: string | undefined): void {
    this.#db.prepare('DELETE FROM entries WHERE grant_id = ?').run(grantId);
    this.#db.prepare("DELETE FROM entries WHERE model = 'Grant' AND id = ?").run(grantId);
    if (sessionUid !== undefined) {
      this.#db.prepare("DELETE FROM entries WHERE model = 'Session' AND uid = ?").run(sessionUid);
    }
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#db.close();
  }

  /** The adapter of one of the provider's models (`AccessToken`, `Session`, ...). */
  adapter(model: string): Adapter {
    const db = this.#db;
    const upsert = db.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)');
    const select = (column: 'id' | 'user_code' | 'uid') => {
      const statement = db.prepare(
        `SELECT payload, expires_at FROM entries WHERE model = ? AND ${column} = ?`,
      );
      return (value: string): Promise<AdapterPayload | undefined> => {
        const row = statement.get(model, value);
        if (row === undefined || isExpired(row['expires_at'])) return Promise.resolve(undefined);
        return Promise.resolve(JSON.parse(String(row['payload'])) as AdapterPayload);
      };
    };
    const change = (sql: string) => {
      const statement = db.prepare(sql);
      return (...values: (string | number)[]): Promise<void> => {
        statement.run(...values);
        return Promise.resolve();
      };
    };
    const remove = change('DELETE FROM entries WHERE model = ? AND id = ?');
    const removeByGrant = change('DELETE FROM entries WHERE model = ? AND grant_id = ?');
    const markConsumed = change(
      "UPDATE entries SET payload = json_set(payload, '$.consumed', ?) WHERE model = ? AND id = ?",
    );
    return {
      upsert: (id, payload, expiresIn) => {
        const expiresAt = expiresIn === undefined ? null : now() + expiresIn;
        const { grantId = null, userCode = null, uid = null } = payload;
        upsert.run(model, id, JSON.stringify(payload), grantId, userCode, uid, expiresAt);
        return Promise.resolve();
      },
      find: select('id'),
      findByUserCode: select('user_code'),
      findByUid: select('uid'),
      consume: (id) => (REUSABLE.has(model) ? Promise.resolve() : markConsumed(now(), model, id)),
      destroy: (id) => remove(model, id),
      revokeByGrantId: (grantId) => removeByGrant(model, grantId),
    };
  }
}

/** Seconds since the epoch, as in tokens. */
function now(): number {
  return Math.floor(Date.now() / 1000);
}

function isExpired(expiresAt: unknown): boolean {
  return typeof expiresAt === 'number' && expiresAt <= now();
}
