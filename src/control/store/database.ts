import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { MIGRATIONS } from './migrations.ts';

/** The state cannot be used: the message says why and what to do, and names the file. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError';
}

/** Another process has the state open. */
export class StoreBusy extends StoreError {
  override readonly name = 'StoreBusy';
}

/** The first row of an answer, where there is one. */
type Found<Row> = Row | undefined;

/** `RLMG`: tells our file from any other SQLite database. */
const APPLICATION_ID = 0x524c4d47;

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
const SQLITE = { busy: 5, corrupt: 11, cannotOpen: 14, notADatabase: 26 } as const;

/**
 * An SQLite file that this process alone has open, for as long as it is open: the lock goes with the process, however
 * that ends. Everything committed survives the end of the process; what `change` committed also a power failure.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Makes the file where there is none, readable by its owner only. Throws `StoreBusy` or `StoreError`. */
  constructor(path: string) {
    let db: DatabaseSync | null = null;
    try {
      // SQLite gives its other files the permissions of this one.
      closeSync(openSync(path, 'a', 0o600));
      chmodSync(path, 0o600);
      db = new DatabaseSync(path, { timeout: 0 });
      prepare(db, path);
    } catch (error) {
      db?.close();
      throw explained(error, path);
    }
    this.#db = db;
  }

  /** A transaction that is on the disk when it returns, or never was. */
  change<T>(work: () => T): T {
    this.#db.exec('PRAGMA synchronous = FULL');
    try {
      return this.#transaction(work);
    } finally {
      this.#db.exec('PRAGMA synchronous = NORMAL');
    }
  }

  /** A transaction that need not survive a power failure: eighty times as fast. */
  note<T>(work: () => T): T {
    return this.#transaction(work);
  }

  /** Returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Found<Row> {
    return this.#statement(sql).get(...values) as Found<Row>;
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  close(): void {
    this.#db.close();
  }

  #transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk has SQLite roll back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }
}

function prepare(db: DatabaseSync, path: string): void {
  // Before anything is read: WAL then needs no memory that is shared with other processes, and the first transaction
  // takes the lock for good.
  db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys = ON');
  const version = versionOf(db, path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
  for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
}

/** How many migrations the database has had. Throws where it is not ours to change. */
function versionOf(db: DatabaseSync, path: string): number {
  const version = pragma(db, 'user_version');
  const ours = pragma(db, 'application_id') === APPLICATION_ID;
  if (!ours && db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined) {
    throw new StoreError(`${path} is a database of another program: move it away, or give another dataDir`);
  }
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      `${path} was written by a newer Realmgate (version ${version} of its tables, ${MIGRATIONS.length} is known ` +
        'here): run that one, or give another dataDir',
    );
  }
  return version;
}

function pragma(db: DatabaseSync, name: 'user_version' | 'application_id'): number {
  const row = db.prepare(`PRAGMA ${name}`).get() as Record<string, number> | undefined;
  return row?.[name] ?? 0;
}

function explained(error: unknown, path: string): unknown {
  if (error instanceof StoreError) return error;
  const { code = '', errcode, message } = error as NodeJS.ErrnoException & { readonly errcode?: number };
  switch (errcode === undefined ? code : errcode & 0xff) {
    case SQLITE.busy:
      return new StoreBusy(
        `${path} is in use: another Realmgate runs with this data directory. Stop it first, or give another dataDir`,
        { cause: error },
      );
    case SQLITE.corrupt:
    case SQLITE.notADatabase:
      return new StoreError(
        `${path} is damaged or no database: put back a copy, or move it away to begin with nothing (${message})`,
        { cause: error },
      );
    default:
      return new StoreError(
        `${path} cannot be opened: ${message}; this user has to be able to read and write it, and its directory`,
        { cause: error },
      );
  }
}
