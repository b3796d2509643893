import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Socket } from 'node:net';
import { endMarked, GUARD_VARIABLE } from './leftovers.ts';

const GUARD = readFileSync(new URL('guard.sh', import.meta.url), 'utf8');

/** Seconds between TERM and KILL. */
const GRACE = 10;

/** ms after which a guard that should have ended everything by then is ended itself. */
const PATIENCE = (GRACE + 5) * 1000;

/** How the guard is started, and what stands between it and the service. */
export interface Confinement {
  readonly bash: string;
  /** Commands that run what follows them in a PID namespace, and out of the user namespace that this took. */
  readonly namespace: { readonly enter: readonly string[]; readonly leave: readonly string[] } | null;
}

/** A report of a guard that has ended is read in less time, in ms. */
const LAST_REPORT = 500;

export type SecretFiles = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface RunOptions {
  readonly confinement: Confinement;
  readonly command: readonly string[];
  /** Folder of the run, which it sees whatever is hidden. */
  readonly folder: string;
  /** Working directory, in that folder. */
  readonly directory: string;
  /** Folders that it sees empty; needs a namespace. */
  readonly hidden: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Unlike that of any other run: instance/replica/run. */
  readonly marker: string;
  /** Where the secret files go, as `guard.sh` takes it. */
  readonly place: string;
  readonly secrets: SecretFiles;
  /** Control groups to enter. */
  readonly groups: readonly string[];
  /** Bytes that each process may allocate; null = unlimited. */
  readonly dataLimit: number | null;
  /** Takes standard output and standard error. */
  readonly output: number | 'ignore';
}

export interface RunEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** Where the end was not the program's own. */
  readonly reason: string | null;
}

/** One run of a service with all that it starts. It ends whole, and with this process in any case. */
export class GuardedProcess {
  /** The service's own process has ended; others of its tree may still be about to. */
  readonly ended: Promise<RunEnd>;
  /** Nothing of it is left. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #lifeline: NodeJS.WritableStream;

  constructor(options: RunOptions) {
    const { confinement, marker, hidden, groups } = options;
    const { enter, leave } = confinement.namespace ?? { enter: [], leave: [] };
    const mode = confinement.namespace === null ? 'group' : 'namespace';
    const dataKib = options.dataLimit === null ? 'unlimited' : Math.ceil(options.dataLimit / 1024);
    const { early, late } = apart(options.environment);
    const settings = [
      ...[mode, options.place, GRACE, marker, dataKib, options.folder],
      ...[hidden.length, ...hidden, groups.length, ...groups],
    ];
    const [program, ...args] = [
      ...enter,
      ...[confinement.bash, '-p', '-s', '--', ...settings.map(String)],
      ...[...leave, ...late, ...options.command],
    ];
    this.#child = spawn(program!, args, {
      cwd: options.directory,
      detached: true, // Ctrl-C in a terminal is for Realmgate alone, which then ends its services
      stdio: ['pipe', options.output, options.output, 'pipe'],
      env: { ...early, [GUARD_VARIABLE]: marker },
    });
    this.#lifeline = this.#child.stdin!;
    this.#lifeline.on('error', () => undefined); // it ended before it had read all
    this.#lifeline.write(GUARD + secretLines(options.place === 'none' ? null : options.secrets));
    const exit = exitOf(this.#child);
    this.ended = endOf(this.#child.stdio[3] as Socket, exit);
    this.gone = exit.then(async ({ code, error }) => {
      // Something ended the guard, which would have ended the rest.
      if (code !== 0 && error === null) await endMarked(marker, 0);
    });
  }

  /** Of the guard; undefined = it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** TERM to all of it; KILL to what is left after 10 s. */
  stop(): void {
    this.#lifeline.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE);
    void this.gone.then(() => clearTimeout(timer));
  }
}

/**
 * Variables by which a service makes any program load its own code: those of the dynamic linker and of iconv. Only
 * programs within its confinement may get them.
 */
const LOADS_CODE = /^(?:LD_|GLIBC_TUNABLES$|GCONV_PATH$)/;

/** What all of a run is started with, and words that give the rest to the service alone. */
function apart(environment: Readonly<Record<string, string>>): {
  readonly early: Readonly<Record<string, string>>;
  readonly late: readonly string[];
} {
  const early: Record<string, string> = {};
  const late: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (LOADS_CODE.test(name)) late.push(`${name}=${value}`);
    else early[name] = value;
  }
  return { early, late: late.length === 0 ? [] : ['env', ...late] };
}

interface Exit {
  readonly code: number | null;
  readonly error: string | null;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve({ code, error: null }));
    child.once('error', ({ message }) => {
      if (child.pid === undefined) resolve({ code: null, error: message });
    });
  });
}

async function endOf(report: Socket, exit: Promise<Exit>): Promise<RunEnd> {
  const status = await statusOf(report, exit);
  if (status !== null) return fromStatus(status);
  const { code, error } = await exit;
  if (error !== null) return { code: null, signal: null, reason: `it could not be started: ${error}` };
  if (code === 125)
    return { code, signal: null, reason: 'it could not be prepared: the end of its log says why' };
  return { code: null, signal: 'SIGKILL', reason: 'killed together with the process that watches over it' };
}

/** What the guard reports; null = it ended without. */
function statusOf(report: Socket, exit: Promise<Exit>): Promise<number | null> {
  return new Promise((resolve) => {
    report.setEncoding('latin1').once('data', (text: string) => {
      const status = /^exit ([0-9]+)$/m.exec(text)?.[1];
      resolve(status === undefined ? null : Number(status));
    });
    report.on('error', () => undefined); // `close` follows
    report.once('close', () => resolve(null));
    void exit.then(() => setTimeout(() => report.destroy(), LAST_REPORT));
  });
}

/** A shell's status: 128 and the number of the signal for a process that one ended. */
function fromStatus(status: number): RunEnd {
  const signal = Object.entries(constants.signals).find(([, number]) => number === status - 128)?.[0];
  return signal === undefined
    ? { code: status, signal: null, reason: null }
    : { code: null, signal, reason: signal === 'SIGKILL' ? 'killed' : null };
}

/** Secret, key and value, each ended by NUL; an empty secret ends it all. */
function secretLines(secrets: SecretFiles | null): string {
  if (secrets === null) return '';
  const fields = Object.entries(secrets).flatMap(([secret, keys]) =>
    Object.entries(keys).flatMap(([key, value]) => [secret, key, value]),
  );
  return [...fields, ''].map((field) => `${field}\0`).join('');
}
