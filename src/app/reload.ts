import { formatFault, loadSettings } from '../config/load.ts';
import type { KnownFiles } from '../config/read-file.ts';
import type { Settings } from '../contracts/settings.ts';
import type { Logger } from '../telemetry/log.ts';
import { changesNeedingRestart, keepingRestartOnly } from './restart-only.ts';

export interface ReloadDependencies {
  readonly configFile: string;
  readonly log: Logger;
  /** Told of the files that the last configuration was read from, valid or not: a change of one is worth a reload. */
  readonly read: (files: KnownFiles) => void;
  /** Puts the settings in force. When it throws, what was in force before has to be so still. */
  readonly apply: (settings: Settings) => Promise<void>;
}

/** Reads the configuration again when asked to, one time after the other, and puts what is valid in force. */
export class Reloads {
  /** The settings in force. */
  current: Settings;
  /** So far, for the metrics. */
  readonly counts = { applied: 0, refused: 0 };
  readonly #deps: ReloadDependencies;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  readonly #begun = Promise.withResolvers<undefined>();
  #closed = false;

  constructor(settings: Settings, deps: ReloadDependencies) {
    this.current = settings;
    this.#deps = deps;
  }

  /**
   * Resolves once a configuration that was read after this call is in force, or was refused. Calls during a reload
   * share one more. Never rejects.
   */
  request(): Promise<void> {
    if (this.#running === null) {
      return (this.#running = this.#reload().finally(() => (this.#running = null)));
    }
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.request();
    });
    return this.#next;
  }

  /** From now on reloads are done; those that were requested before as well. */
  begin(): void {
    this.#begun.resolve(undefined);
  }

  /** Nothing is applied any more. Resolves when a reload in progress has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.begin();
    await this.#running;
  }

  async #reload(): Promise<void> {
    await this.#begun.promise;
    if (this.#closed) return;
    const { log } = this.#deps;
    try {
      const loaded = await loadSettings(this.#deps.configFile);
      this.#deps.read(loaded.files);
      if (loaded.ok) await this.#apply(loaded.settings);
      else {
        this.counts.refused++;
        log.error(
          { event: 'reload-refused', faults: loaded.faults.map(formatFault) },
          'The changed configuration is invalid; the running one stays',
        );
      }
    } catch (err) {
      this.counts.refused++;
      log.error(
        { event: 'reload-failed', err },
        'The changed configuration cannot be put in force; the running one stays',
      );
    }
  }

  async #apply(changed: Settings): Promise<void> {
    if (this.#closed) return;
    const { log, apply } = this.#deps;
    const restart = changesNeedingRestart(this.current, changed);
    if (restart.length > 0)
      log.warn({ event: 'restart-needed', settings: restart }, 'These settings change with a restart only');
    const settings = keepingRestartOnly(this.current, changed);
    await apply(settings);
    this.current = settings;
    this.counts.applied++;
    log.info(
      { event: 'reloaded', routes: settings.routes.length, realms: settings.realms.length },
      'The changed configuration is in force',
    );
  }
}
