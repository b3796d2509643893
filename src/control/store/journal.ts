import type { AuditPage } from '../../contracts/control-api.ts';
import type { AuditEntry, ServiceEvent } from '../../contracts/service.ts';
import type { Database } from './database.ts';
import type { Difference } from './difference.ts';

/** Events that are kept of each service. */
const KEPT_EVENTS = 1000;

/** Characters of a message, and of its data as JSON. A program must not fill the disk by what it prints. */
const LONGEST_MESSAGE = 8192;
const LONGEST_DATA = 65_536;

interface EventRow extends Omit<ServiceEvent, 'data'> {
  readonly data: string;
}

interface AuditRow extends Omit<AuditEntry, 'difference'> {
  readonly id: number;
  readonly difference: string;
}

/** What happened, and who did what. Writes only within a transaction of the caller. */
export class Journal {
  readonly #db: Database;
  readonly #now: () => Date;

  constructor(db: Database, now: () => Date) {
    this.#db = db;
    this.#now = now;
  }

  /** An event that begins here, with the change itself. */
  happened(service: string, kind: string, message: string, data: ServiceEvent['data'] = {}): void {
    this.addEvent(service, { at: this.#now().toISOString(), kind, message, replica: null, data });
  }

  addEvent(service: string, event: ServiceEvent): void {
    const { at, kind, replica } = event;
    const data = JSON.stringify(event.data);
    const { last } = this.#db.get<{ last: number }>(
      'SELECT COALESCE(MAX(number), 0) AS last FROM event WHERE service = ?',
      service,
    ) ?? { last: 0 };
    this.#db.run(
      'INSERT INTO event (service, number, at, kind, message, replica, data) VALUES (?, ?, ?, ?, ?, ?, ?)',
      service,
      last + 1,
      at,
      kind,
      event.message.slice(0, LONGEST_MESSAGE),
      replica,
      data.length > LONGEST_DATA ? `{"omitted":"${data.length} characters"}` : data,
    );
    this.#db.run('DELETE FROM event WHERE service = ? AND number <= ?', service, last + 1 - KEPT_EVENTS);
  }

  /** The oldest first. */
  events(service: string): ServiceEvent[] {
    return this.#db
      .all<EventRow>(
        'SELECT at, kind, message, replica, data FROM event WHERE service = ? ORDER BY number',
        service,
      )
      .map((row) => ({ ...row, data: JSON.parse(row.data) as ServiceEvent['data'] }));
  }

  forgetEvents(service: string): void {
    this.#db.run('DELETE FROM event WHERE service = ?', service);
  }

  /** Removes the entries of the audit of before a time. Returns how many. */
  forgetAudit(before: string): number {
    return this.#db.run('DELETE FROM audit WHERE at < ?', before);
  }

  /** Somebody changed something. */
  record(actor: string, action: string, target: string, difference: Difference): void {
    this.#db.run(
      'INSERT INTO audit (at, actor, action, target, difference) VALUES (?, ?, ?, ?, ?)',
      this.#now().toISOString(),
      actor,
      action,
      target,
      JSON.stringify(difference),
    );
  }

  audit({ limit, before }: { readonly limit: number; readonly before: number | null }): AuditPage {
    const rows = this.#db.all<AuditRow>(
      'SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?',
      before ?? Number.MAX_SAFE_INTEGER,
      limit + 1,
    );
    const shown = rows.slice(0, limit);
    return {
      items: shown.map(({ at, actor, action, target, difference }) => ({
        at,
        actor,
        action,
        target,
        difference: JSON.parse(difference) as Difference,
      })),
      next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null,
    };
  }
}
