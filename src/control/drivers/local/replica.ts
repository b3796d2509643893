import { setTimeout as delay } from 'node:timers/promises';
import type { DeployedReplica, Deployment, DriverEvent } from '../../../contracts/driver.ts';
import type { ReplicaExit, ReplicaState } from '../../../contracts/service.ts';
import { Backoff } from './backoff.ts';
import type { DriverContext } from './context.ts';
import type { RunEnd } from './guarded-process.ts';
import { type PreparedRun, prepareRun, replicaFolder } from './prepare-run.ts';
import { HOST } from './probe.ts';
import type { ReplicaLog } from './replica-log.ts';
import { Run } from './run.ts';
import { removeTree } from './run-folder.ts';

/** Lines of the log that tell of an end. */
const LAST_LINES = 50;

/** ms that the rest of a process tree may take before its end is told without its last words. */
const LAST_WORDS = 500;

/** What a replica is one of. */
export interface ReplicaOwner {
  readonly context: DriverContext;
  readonly deployment: Deployment;
  /** Values that no log may show. */
  readonly secrets: readonly string[];
  /** The commit that all replicas run. Rejects when it cannot be had now. */
  commit(): Promise<string>;
  changed(): void;
  happened(event: DriverEvent): void;
}

/** One replica of a deployment: prepared, run, and run again after a pause whenever it ends, until it is stopped. */
export class Replica {
  readonly id: string;
  readonly number: number;
  /** Nothing of it is left. */
  readonly ended: Promise<void>;
  readonly #owner: ReplicaOwner;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  #state: ReplicaState = 'preparing';
  #attempts = 0;
  #lastExit: ReplicaExit | null = null;
  #port: number | null = null;
  #log: ReplicaLog | null = null;
  #run: Run | null = null;
  readonly #warned = new Set<string>();

  constructor(number: number, owner: ReplicaOwner) {
    this.id = `${owner.deployment.id}-${number}`;
    this.number = number;
    this.#owner = owner;
    this.#backoff = new Backoff(owner.context.settings.restartBackoff);
    this.ended = this.#live();
  }

  get view(): DeployedReplica {
    return {
      id: this.id,
      state: this.#state,
      restarts: Math.max(this.#attempts - 1, 0),
      lastExit: this.#lastExit,
      origin: this.#run === null ? null : this.#origin(),
    };
  }

  get stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  stop(): void {
    if (this.stopping) return;
    this.#stop.abort();
    this.#set('stopping');
    this.#run?.stop();
  }

  async suspect(): Promise<void> {
    await this.#run?.suspect();
  }

  async #live(): Promise<void> {
    await Promise.resolve(); // whoever makes it has it first
    for (let retryAt = 0; await this.#until(retryAt);) {
      this.#attempts++;
      retryAt = await this.#attempt();
    }
    const { context, deployment } = this.#owner;
    await removeTree(replicaFolder(context.system, this.id)).catch((error: unknown) => {
      this.#warn(`What its runs have left cannot be removed: ${messageOf(error)}`);
    });
    if (this.#port !== null) context.ports.release(this.#port, this.id);
    if (this.#log !== null) {
      this.#log.note('Stopped');
      await context.logs.close(deployment.serviceId, this.#log);
    }
    this.#tell('stopped', 'It has ended, and nothing of it is left');
  }

  /** Resolves to false as soon as it is stopped. */
  async #until(time: number): Promise<boolean> {
    const { signal } = this.#stop;
    const rest = Math.max(time - performance.now(), 0);
    if (rest > 0) await delay(rest, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }

  /** One run, or the failure to get so far. Resolves to the time of the next, as `performance.now()` has it. */
  async #attempt(): Promise<number> {
    const startedAt = performance.now();
    let prepared: PreparedRun | null = null;
    try {
      this.#set('preparing');
      prepared = await this.#prepare();
      return await this.#runOnce(prepared, startedAt);
    } catch (error) {
      return this.stopping ? 0 : this.#failed(error, startedAt);
    } finally {
      await prepared?.discard().catch((error: unknown) => {
        this.#warn(`What a run has left cannot be removed: ${messageOf(error)}`);
      });
    }
  }

  async #prepare(): Promise<PreparedRun> {
    const { context, deployment } = this.#owner;
    const { signal } = this.#stop;
    this.#log ??= await context.logs.open(deployment.serviceId, this.id);
    this.#tell('preparing', 'The repository is fetched and cloned');
    const commit = await unlessAborted(this.#owner.commit(), signal);
    const port = await this.#takePort();
    const place = { replica: this.id, run: this.#attempts, commit, port };
    const prepared = await prepareRun(context, deployment, place, signal);
    this.#tell('prepared', `Cloned at commit ${commit}`, { commit });
    for (const warning of prepared.warnings) this.#warn(warning);
    return prepared;
  }

  /** The first replica tries the configured port each time; apart from that the one that it had before is best. */
  async #takePort(): Promise<number> {
    const { ports } = this.#owner.context;
    const { port, fixedPort } = this.#owner.deployment.spec;
    const held = this.#port === null ? [] : [this.#port];
    const wished = this.number === 1 ? [port, ...held] : held;
    const taken = fixedPort ? await ports.takeFixed(port, this.id) : await ports.take(wished, this.id);
    for (const before of held) if (before !== taken) ports.release(before, this.id);
    this.#port = taken;
    return taken;
  }

  async #runOnce(prepared: PreparedRun, startedAt: number): Promise<number> {
    const { deployment, secrets } = this.#owner;
    const log = this.#log!;
    const port = this.#port!;
    this.#stop.signal.throwIfAborted();
    const healthPath = deployment.spec.health?.path ?? null;
    const readyChanged = (ready: boolean): void => this.#readyChanged(ready);
    const begun = new Date().toISOString();
    log.note(`Starts on port ${port}`);
    const strangerFound = (who: string): void =>
      this.#warn(`Port ${port} is in use by ${who}, which does not belong to it`);
    const run = await Run.start({
      ...{ prepared, log, secrets, port, healthPath, readyChanged, strangerFound },
    });
    try {
      this.#run = run;
      if (this.stopping) run.stop();
      else {
        this.#set('starting');
        this.#tell('starting', `It runs, and has to listen on port ${port} of ${HOST}`, { port });
      }
      const end = await run.ended;
      if (this.stopping) return 0;
      return await this.#ended(end, { prepared, run, begun, startedAt });
    } finally {
      await run.gone;
      this.#run = null;
    }
  }

  #readyChanged(ready: boolean): void {
    if (this.stopping) return;
    this.#set(ready ? 'ready' : 'starting');
    const origin = this.#origin();
    if (ready) this.#tell('ready', `Ready on ${origin}`, { origin });
    else this.#tell('warning', 'It no longer answers, and gets no requests until it does', { origin });
  }

  async #ended(
    { code, signal, reason: known }: RunEnd,
    {
      prepared,
      run,
      begun,
      startedAt,
    }: { prepared: PreparedRun; run: Run; begun: string; startedAt: number },
  ): Promise<number> {
    const { context, deployment } = this.#owner;
    const at = new Date();
    const ranFor = performance.now() - startedAt;
    const pause = this.#backoff.after(ranFor);
    const retryAt = performance.now() + pause;
    const reason = (await prepared.groups.ranOutOfMemory()) ? 'out of memory' : known;
    this.#lastExit = { code, signal, at: at.toISOString(), reason };
    this.#set('waiting');
    const how = code === null ? `was ended by ${signal ?? 'something'}` : `exited with code ${code}`;
    const what = `It ${how} after ${seconds(ranFor)}${reason === null ? '' : `: ${reason}`}`;
    await Promise.race([run.gone, delay(LAST_WORDS)]);
    const { logs } = context;
    const lastLines = await logs.lastLines(deployment.serviceId, this.#log!, LAST_LINES, begun);
    this.#log!.note(what);
    if (this.stopping) return 0;
    const data = {
      exitCode: code,
      signal,
      reason,
      lastLines,
      commit: await this.#owner.commit(),
      ranFor: Math.round(ranFor),
      nextRetry: new Date(at.getTime() + pause).toISOString(),
    };
    this.#tell('exited', `${what}; it is run again after ${seconds(pause)}`, data, what);
    return retryAt;
  }

  #failed(error: unknown, startedAt: number): number {
    const pause = this.#backoff.after(performance.now() - startedAt);
    const message = messageOf(error);
    const at = new Date();
    this.#lastExit = {
      code: null,
      signal: null,
      at: at.toISOString(),
      reason: `preparation failed: ${message}`,
    };
    this.#set('waiting');
    this.#log?.note(`It cannot be started: ${message}`);
    const nextRetry = new Date(at.getTime() + pause).toISOString();
    this.#tell('prepare-failed', `${message}; tried again after ${seconds(pause)}`, { nextRetry }, message);
    return performance.now() + pause;
  }

  #origin(): string {
    return `http://${HOST}:${this.#port!}`;
  }

  #set(state: ReplicaState): void {
    if (this.stopping && state !== 'stopping') return;
    this.#state = state;
    this.#owner.changed();
  }

  /** Once for all of its runs. */
  #warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#tell('warning', message);
  }

  #tell(kind: string, message: string, data: Readonly<Record<string, unknown>> = {}, cause?: string): void {
    const told = { kind, message, replica: this.id, data };
    this.#owner.happened(cause === undefined ? told : { ...told, cause });
  }
}

/** `value`, or a rejection as soon as the signal aborts. */
async function unlessAborted<T>(value: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([value, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function seconds(ms: number): string {
  return `${ms < 10_000 ? Math.round(ms / 100) / 10 : Math.round(ms / 1000)} s`;
}
