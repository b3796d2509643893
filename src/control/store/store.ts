import { join } from 'node:path';
import type { AuditPage } from '../../contracts/control-api.ts';
import type { ServiceEvent, ServiceRevision, ServiceSpec } from '../../contracts/service.ts';
import { Refusal } from '../../errors.ts';
import { Claims } from './claims.ts';
import { Database } from './database.ts';
import { auditDifference } from './difference.ts';
import { EnvironmentTable } from './environment-table.ts';
import { Journal } from './journal.ts';
import { SecretTable } from './secret-table.ts';

/** A service as it is kept. */
export interface StoredService {
  readonly id: string;
  /** Of the revision that is in force; where none is, of the pending one, or else of the last. */
  readonly spec: ServiceSpec;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly clonedFrom: string | null;
  /** null = it is current. */
  readonly cancelledAt: string | null;
  /** null = none was ready yet. */
  readonly activeRevision: number | null;
  /** Being rolled out; null = none. */
  readonly pendingRevision: number | null;
  /** Of the revision that `spec` is of. */
  readonly resolvedCommit: string | null;
  /** How many deployments it has had. */
  readonly deployments: number;
}

interface ServiceRow extends Omit<StoredService, 'spec'> {
  readonly spec: string;
}

interface RevisionRow extends Omit<ServiceRevision, 'spec'> {
  readonly spec: string;
}

const SERVICE = `
  SELECT service.id, shown.spec, service.created_at AS createdAt, service.created_by AS createdBy,
    service.cloned_from AS clonedFrom, service.cancelled_at AS cancelledAt, active.number AS activeRevision,
    pending.number AS pendingRevision, shown.resolved_commit AS resolvedCommit, service.deployments
  FROM service
  LEFT JOIN revision AS active ON active.service = service.id AND active.state = 'active'
  LEFT JOIN revision AS pending ON pending.service = service.id AND pending.state = 'pending'
  JOIN revision AS shown ON shown.service = service.id AND shown.number = COALESCE(active.number, pending.number,
    (SELECT MAX(number) FROM revision WHERE service = service.id))`;

const REVISION = `
  SELECT number AS revision, created_at AS createdAt, created_by AS createdBy, reason, state, failure,
    resolved_commit AS resolvedCommit, spec
  FROM revision WHERE service = ?`;

/**
 * The state of the control plane: services with their revisions and events, secrets, environments and the audit.
 * Every change is one transaction, together with its entries in the audit and among the events; it is on the disk when
 * the call returns. Calls refuse with `not_found` and `conflict`.
 */
export class Store {
  readonly secrets: SecretTable;
  readonly environments: EnvironmentTable;
  readonly #db: Database;
  readonly #claims: Claims;
  readonly #journal: Journal;
  readonly #now: () => Date;

  /** Throws `StoreBusy` where another process has the state of this directory open, and `StoreError`. */
  constructor(dataDir: string, now: () => Date = () => new Date()) {
    this.#db = new Database(join(dataDir, 'realmgate.db'));
    this.#claims = new Claims(this.#db);
    this.#journal = new Journal(this.#db, now);
    this.#now = now;
    this.secrets = new SecretTable(this.#db, this.#journal, now);
    this.environments = new EnvironmentTable(this.#db, this.#journal);
  }

  close(): void {
    this.#db.close();
  }

  /** Every service, current and past, in the order in which they were created. */
  services(): StoredService[] {
    return this.#db.all<ServiceRow>(`${SERVICE} ORDER BY service.position`).map(readService);
  }

  service(id: string): StoredService | null {
    const row = this.#db.get<ServiceRow>(`${SERVICE} WHERE service.id = ?`, id);
    return row === undefined ? null : readService(row);
  }

  /** The current service that has this name or endpoint, or will have it once its pending revision is in force. */
  holder(field: 'name' | 'endpoint', value: string): StoredService | null {
    const holder = this.#claims.holder(field, value);
    return holder === null ? null : this.service(holder);
  }

  /** With its first revision, which is pending until `activateRevision`. */
  createService(wanted: {
    readonly id: string;
    readonly spec: ServiceSpec;
    readonly actor: string;
    /** `create` or `clone`. */
    readonly reason: string;
    readonly clonedFrom: string | null;
  }): StoredService {
    const { id, spec, actor, reason, clonedFrom } = wanted;
    return this.#db.change(() => {
      this.#db.run(
        'INSERT INTO service (id, created_at, created_by, cloned_from) VALUES (?, ?, ?, ?)',
        id,
        this.#time(),
        actor,
        clonedFrom,
      );
      this.#insertRevision(id, 1, { spec, actor, reason });
      this.#claim(id);
      const origin = clonedFrom === null ? {} : { clonedFrom };
      this.#journal.record(
        actor,
        `service.${reason}`,
        spec.name,
        auditDifference({}, { id, ...origin, ...spec }),
      );
      this.#journal.happened(
        id,
        'created',
        `${clonedFrom === null ? 'Created' : 'Cloned'} by ${actor}`,
        origin,
      );
      return this.#existing(id);
    });
  }

  /**
   * Adds a pending revision, and returns its number. One that was still pending has failed with that. Name and
   * endpoint belong to the service from now on, beside those in force.
   */
  addRevision(
    id: string,
    wanted: { readonly spec: ServiceSpec; readonly actor: string; readonly reason: string },
  ): number {
    return this.#db.change(() => {
      const service = this.#current(id);
      const number = this.#lastRevision(id) + 1;
      this.#endPending(id, `Revision ${number} took its place`);
      this.#insertRevision(id, number, wanted);
      this.#claim(id);
      const action = `service.${wanted.reason.split(' ', 1).join('')}`;
      this.#journal.record(
        wanted.actor,
        action,
        service.spec.name,
        auditDifference(service.spec, wanted.spec),
      );
      this.#journal.happened(id, 'revision', `Revision ${number} by ${wanted.actor}: ${wanted.reason}`, {
        revision: number,
      });
      return number;
    });
  }

  /**
   * Puts a revision in force that is pending, or has failed while none is in force; the one before is superseded.
   * Anything else, as after a cancel, is left as it is.
   */
  activateRevision(id: string, revision: number, commit: string | null): void {
    this.#db.change(() => {
      const service = this.#existing(id);
      if (service.cancelledAt !== null || service.activeRevision === revision) return;
      const state = this.#stateOf(id, revision);
      if (state !== 'pending' && !(state === 'failed' && service.activeRevision === null)) return;
      this.#db.run("UPDATE revision SET state = 'superseded' WHERE service = ? AND state = 'active'", id);
      this.#db.run(
        `UPDATE revision SET state = 'active', failure = NULL, resolved_commit = COALESCE(?, resolved_commit)
         WHERE service = ? AND number = ?`,
        commit,
        id,
        revision,
      );
      this.#claim(id);
    });
  }

  /** A pending revision did not become ready. Name and endpoint that only it had are free again. */
  failRevision(id: string, revision: number, why: string): void {
    this.#db.change(() => {
      if (this.#existing(id).pendingRevision !== revision) return;
      this.#endPending(id, why);
      this.#claim(id);
    });
  }

  setCommit(id: string, revision: number, commit: string): void {
    this.#db.change(() =>
      this.#db.run(
        'UPDATE revision SET resolved_commit = ? WHERE service = ? AND number = ?',
        commit,
        id,
        revision,
      ),
    );
  }

  /** A number, from 1 on, that no deployment of this service ever had. */
  nextDeployment(id: string): number {
    return this.#db.change(() => {
      this.#db.run('UPDATE service SET deployments = deployments + 1 WHERE id = ?', id);
      return this.#existing(id).deployments;
    });
  }

  /** Somebody asked for a restart. */
  noteRestart(id: string, { actor }: { readonly actor: string }): void {
    this.#db.change(() => {
      this.#journal.record(actor, 'service.restart', this.#current(id).spec.name, {});
      this.#journal.happened(id, 'restart', `Restart by ${actor}`);
    });
  }

  /** Its name and its endpoint are free at once; a pending revision has failed. */
  cancelService(id: string, { actor }: { readonly actor: string }): void {
    this.#db.change(() => {
      const { spec } = this.#current(id);
      const at = this.#time();
      this.#db.run('UPDATE service SET cancelled_at = ? WHERE id = ?', at, id);
      this.#endPending(id, 'The service was cancelled');
      this.#claim(id);
      this.#journal.record(actor, 'service.cancel', spec.name, { cancelledAt: [null, at] });
      this.#journal.happened(id, 'cancelled', `Cancelled by ${actor}`);
    });
  }

  /** The oldest first. */
  revisions(id: string): ServiceRevision[] {
    return this.#db.all<RevisionRow>(`${REVISION} ORDER BY number`, id).map(readRevision);
  }

  /** What current services are, and will be once their pending revisions are in force. */
  currentSpecs(): ServiceSpec[] {
    return this.#db
      .all<{ readonly spec: string }>(
        `SELECT shown.spec FROM (${SERVICE}) AS shown WHERE shown.cancelledAt IS NULL
         UNION ALL
         SELECT pending.spec FROM revision AS pending
         JOIN revision AS active ON active.service = pending.service AND active.state = 'active'
         WHERE pending.state = 'pending'`,
      )
      .map(({ spec }) => JSON.parse(spec) as ServiceSpec);
  }

  /** Of a service the newest 1,000 events are kept. They may be lost in a power failure, but not with the process. */
  addEvent(id: string, event: ServiceEvent): void {
    this.#db.note(() => this.#journal.addEvent(id, event));
  }

  /** The oldest first. */
  events(id: string): ServiceEvent[] {
    return this.#journal.events(id);
  }

  /** Removes all that is known of a past service; what the audit has of it stays there. A current one is left alone. */
  forgetService(id: string): void {
    this.#db.change(() => {
      if (this.#existing(id).cancelledAt === null) return;
      this.#journal.forgetEvents(id);
      this.#db.run('DELETE FROM revision WHERE service = ?', id);
      this.#db.run('DELETE FROM service WHERE id = ?', id);
    });
  }

  /** Removes the entries of before a time. Returns how many. */
  forgetAudit(before: string): number {
    return this.#db.change(() => this.#journal.forgetAudit(before));
  }

  /** The newest first; only those before the place that an earlier page ended with. */
  audit(page: { readonly limit: number; readonly before: number | null }): AuditPage {
    return this.#journal.audit(page);
  }

  #time(): string {
    return this.#now().toISOString();
  }

  #existing(id: string): StoredService {
    const service = this.service(id);
    if (service === null) throw new Refusal('not_found', 'There is no such service');
    return service;
  }

  #current(id: string): StoredService {
    const service = this.#existing(id);
    if (service.cancelledAt === null) return service;
    throw new Refusal('conflict', `The service ${service.spec.name} is cancelled`);
  }

  #insertRevision(
    id: string,
    number: number,
    { spec, actor, reason }: { readonly spec: ServiceSpec; readonly actor: string; readonly reason: string },
  ): void {
    this.#db.run(
      `INSERT INTO revision (service, number, created_at, created_by, reason, state, spec)
       VALUES (?, ?, ?, ?, ?, 'pending', ?)`,
      id,
      number,
      this.#time(),
      actor,
      reason,
      JSON.stringify(spec),
    );
  }

  #lastRevision(id: string): number {
    const row = this.#db.get<{ last: number }>(
      'SELECT MAX(number) AS last FROM revision WHERE service = ?',
      id,
    );
    return row?.last ?? 0;
  }

  #stateOf(id: string, revision: number): ServiceRevision['state'] | null {
    const row = this.#db.get<{ state: ServiceRevision['state'] }>(
      'SELECT state FROM revision WHERE service = ? AND number = ?',
      id,
      revision,
    );
    return row?.state ?? null;
  }

  #endPending(id: string, why: string): void {
    this.#db.run(
      "UPDATE revision SET state = 'failed', failure = ? WHERE service = ? AND state = 'pending'",
      why,
      id,
    );
  }

  /** Gives a service the names and endpoints of what it is and will be, and frees what it had beside them. */
  #claim(id: string): void {
    const { cancelledAt, pendingRevision, spec } = this.#existing(id);
    const pending = this.revisions(id).filter(({ revision }) => revision === pendingRevision);
    const specs = cancelledAt === null ? [spec, ...pending.map((revision) => revision.spec)] : [];
    const taken = this.#claims.replace(id, specs);
    if (taken === null) return;
    const { name } = this.#existing(taken.holder).spec;
    throw new Refusal('conflict', `${taken.field}: ${taken.value} is taken by the service ${name}`);
  }
}

function readService(row: ServiceRow): StoredService {
  return { ...row, spec: JSON.parse(row.spec) as ServiceSpec };
}

function readRevision(row: RevisionRow): ServiceRevision {
  return { ...row, spec: JSON.parse(row.spec) as ServiceSpec };
}
