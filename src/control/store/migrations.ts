/*
 * What each version of the database adds to the one before. A published one never changes.
 *
 * claim: names and endpoints that current services have, or will have once their pending revision is in force.
 * event: numbered in each service, so that the oldest are found without a search.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE service (
     position INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     created_at TEXT NOT NULL,
     created_by TEXT NOT NULL,
     cloned_from TEXT,
     cancelled_at TEXT,
     deployments INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE revision (
     service TEXT NOT NULL REFERENCES service (id),
     number INTEGER NOT NULL,
     created_at TEXT NOT NULL,
     created_by TEXT NOT NULL,
     reason TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('active', 'pending', 'superseded', 'failed')),
     failure TEXT,
     resolved_commit TEXT,
     spec TEXT NOT NULL,
     PRIMARY KEY (service, number)
   ) STRICT;
   CREATE UNIQUE INDEX active_revision ON revision (service) WHERE state = 'active';
   CREATE UNIQUE INDEX pending_revision ON revision (service) WHERE state = 'pending';
   CREATE TABLE claim (
     field TEXT NOT NULL,
     value TEXT NOT NULL,
     service TEXT NOT NULL REFERENCES service (id),
     PRIMARY KEY (field, value)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX claim_of_service ON claim (service);
   CREATE TABLE event (
     service TEXT NOT NULL REFERENCES service (id),
     number INTEGER NOT NULL,
     at TEXT NOT NULL,
     kind TEXT NOT NULL,
     message TEXT NOT NULL,
     replica TEXT,
     data TEXT NOT NULL,
     PRIMARY KEY (service, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE audit (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     at TEXT NOT NULL,
     actor TEXT NOT NULL,
     action TEXT NOT NULL,
     target TEXT NOT NULL,
     difference TEXT NOT NULL
   ) STRICT;
   CREATE TABLE secret (
     name TEXT PRIMARY KEY,
     keys TEXT NOT NULL,
     sealed BLOB NOT NULL,
     updated_at TEXT NOT NULL,
     updated_by TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE environment (
     name TEXT PRIMARY KEY,
     content TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (
     name TEXT PRIMARY KEY,
     value BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];
