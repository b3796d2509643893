import type { Driver } from '../../contracts/driver.ts';
import type { RetentionSettings } from '../../contracts/settings.ts';
import type { Store } from '../store/store.ts';

/** How often what is too old is looked for, in ms. */
const LOOK_EVERY = 3_600_000;

export interface RetentionDependencies {
  readonly store: Store;
  readonly driver: Pick<Driver, 'forget' | 'logBytes'>;
  /** In force now. */
  readonly settings: () => RetentionSettings;
  /** Something of the service runs or may still do so, and writes to its log. */
  readonly isHeld: (id: string) => boolean;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/** Forgets what is known of past services and of who did what, once the configuration says that it was kept for long. */
export class Retention {
  readonly #deps: RetentionDependencies;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(deps: RetentionDependencies) {
    this.#deps = deps;
  }

  /** Looks now, and from time to time. */
  begin(): void {
    if (this.#closed) return;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY);
    this.#timer.unref();
    void this.look();
  }

  /** Resolves once nothing is being forgotten any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Never rejects. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(async () => {
      try {
        await this.#forgetOld();
        await this.#forgetLogs();
      } catch (err) {
        this.#deps.log.error({ err }, 'What is too old to be kept could not be removed');
      }
    });
    return this.#looking;
  }

  async #forgetOld(): Promise<void> {
    const { store, driver, settings, log } = this.#deps;
    const { past, audit } = settings();
    const ids = past === null ? [] : this.#past(before(past)).map(({ id }) => id);
    for (const id of ids) {
      if (this.#closed) return;
      await driver.forget(id); // first: without its service nobody would ever come back for the log
      store.forgetService(id);
    }
    const entries = audit === null ? 0 : store.forgetAudit(before(audit));
    if (ids.length + entries === 0) return;
    log.info({ event: 'forgotten', services: ids.length, auditEntries: entries }, 'What was too old is gone');
  }

  /** The logs of the services that were cancelled first go first; everything else that is known of them stays. */
  async #forgetLogs(): Promise<void> {
    const { store, driver, settings } = this.#deps;
    const most = settings().logs;
    if (most === null) return;
    const sizes: { readonly id: string; readonly bytes: number }[] = [];
    for (const { id } of this.#past(new Date().toISOString())) {
      if (this.#closed) return;
      sizes.push({ id, bytes: await driver.logBytes(id) });
    }
    let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { id, bytes } of sizes) {
      if (total <= most || this.#closed) return;
      if (bytes === 0) continue;
      await driver.forget(id);
      total -= bytes;
      const message = 'Its log was removed: the logs of past services took more than services.retention.logs';
      store.addEvent(id, {
        at: new Date().toISOString(),
        kind: 'log-removed',
        message,
        replica: null,
        data: { bytes },
      });
    }
  }

  /** Services that were cancelled before a time, the first one first. */
  #past(time: string): { readonly id: string; readonly cancelledAt: string }[] {
    return this.#deps.store
      .services()
      .flatMap(({ id, cancelledAt }) => (cancelledAt === null ? [] : [{ id, cancelledAt }]))
      .filter(({ id, cancelledAt }) => cancelledAt < time && !this.#deps.isHeld(id))
      .sort((a, b) => (a.cancelledAt < b.cancelledAt ? -1 : 1));
  }
}

function before(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}
