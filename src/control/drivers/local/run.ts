import { close } from 'node:fs';
import type { PreparedRun } from './prepare-run.ts';
import { GuardedProcess, type RunEnd } from './guarded-process.ts';
import { pumpLog } from './log-pump.ts';
import { Masker } from './masker.ts';
import { strangerOn } from './port-owner.ts';
import { Readiness } from './readiness.ts';
import type { ReplicaLog } from './replica-log.ts';
import { makePipe } from './run-folder.ts';

export interface RunSettings {
  readonly prepared: PreparedRun;
  readonly log: ReplicaLog;
  /** Must not be seen in the log. */
  readonly secrets: readonly string[];
  readonly port: number;
  /** null = it is ready when its port accepts. */
  readonly healthPath: string | null;
  /** Told of each change until it ends or is stopped. */
  readonly readyChanged: (ready: boolean) => void;
  /** Told who it is, in words, each time that somebody else is found to listen on the port. */
  readonly strangerFound: (who: string) => void;
}

/** One run of a replica: its processes, what they write, and whether they may get requests. */
export class Run {
  /** As `GuardedProcess.ended`. */
  readonly ended: Promise<RunEnd>;
  /** Nothing of it is left, and all that it wrote is in the log. */
  readonly gone: Promise<void>;
  readonly #process: GuardedProcess;
  readonly #readiness: Readiness;

  private constructor(process: GuardedProcess, reader: number, settings: RunSettings) {
    const { log, secrets, port, healthPath: path, readyChanged: tell } = settings;
    const stopReading = new AbortController();
    const read = pumpLog(reader, log, new Masker(secrets), stopReading.signal);
    this.#process = process;
    this.#readiness = new Readiness({ port, path, tell, isOwn: () => this.#isOwn(settings) });
    this.ended = process.ended.finally(() => this.#readiness.stop());
    this.gone = process.gone.then(async () => {
      stopReading.abort();
      await read;
      await log.settled();
    });
  }

  /** Rejects when the system has no pipe or process to give. */
  static async start(settings: RunSettings): Promise<Run> {
    const { folder, options } = settings.prepared;
    const { reader, writer } = await makePipe(folder);
    try {
      const process = new GuardedProcess({ ...options, output: writer });
      return new Run(process, reader, settings);
    } catch (error) {
      close(reader);
      throw error;
    } finally {
      close(writer); // the process has its own
    }
  }

  /** No longer ready, and TERM to all of it; KILL to what is left after 10 s. */
  stop(): void {
    this.#readiness.stop();
    this.#process.stop();
  }

  async #isOwn({ port, prepared, strangerFound }: RunSettings): Promise<boolean> {
    const { pid: guard } = this.#process;
    if (guard === undefined) return true;
    const stranger = await strangerOn(port, { guard, marker: prepared.options.marker });
    if (stranger !== null) strangerFound(stranger);
    return stranger === null;
  }

  /** Looks at once whether it is still ready. */
  suspect(): Promise<void> {
    return this.#readiness.suspect();
  }
}
