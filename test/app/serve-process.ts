import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAUNCHER = join(ROOT, 'src/launch.js');

export type LogLine = Readonly<Record<string, unknown>>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'realmgate-app-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface ServeOptions {
  /** What survives the process lies here; by default in a folder of its own. */
  readonly folder?: string;
  readonly env?: Record<string, string>;
  /** The program that runs it; by default this Node. */
  readonly node?: string;
  /** How many files each of its processes may have open. */
  readonly openFiles?: number;
}

/** `realmgate serve`, started as users start it. What it leaves behind is ended with the test. */
export class ServeProcess {
  readonly folder: string;
  readonly configFile: string;
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  /** Lines of standard output, as they are. */
  readonly lines: string[] = [];
  stderr = '';
  readonly #watchers = new Set<() => void>();

  /** `config` without listeners gets free ports, and the data folder is the test's. */
  constructor(
    config: object | string,
    { folder = temporaryFolder(), env = {}, node = process.execPath, openFiles }: ServeOptions = {},
  ) {
    this.folder = folder;
    this.configFile = join(folder, 'realmgate.json');
    this.configure(config);
    const command = [node, LAUNCHER, 'serve', '--config', this.configFile];
    const limited = ['bash', '-c', `ulimit -n ${openFiles}; exec "$@"`, 'bash', ...command];
    const [program, ...args] = openFiles === undefined ? command : limited;
    this.child = spawn(program!, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface(this.child.stdout!).on('line', (line) => {
      this.lines.push(line);
      for (const watcher of this.#watchers) watcher();
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      for (const watcher of this.#watchers) watcher();
    });
    // `close`: standard output has ended, and with it every process that shared it.
    this.exited = (once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>).then(
      ([code, signal]) => ({ code, signal }),
    );
    onTestFinished(async () => {
      const { pid } = this;
      const workers = existsSync(`/proc/${pid}`) ? this.workers() : [];
      this.child.kill('SIGCONT');
      this.child.kill('SIGKILL');
      for (const worker of workers) signal(worker, 'SIGKILL');
      await this.exited;
    });
  }

  /** Puts another configuration in the file's place, in one step, as an editor does. */
  configure(config: object | string): void {
    const written = `${this.configFile}.new`;
    writeFileSync(written, typeof config === 'string' ? config : complete(config, this.folder));
    renameSync(written, this.configFile);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Standard output so far, each line parsed; throws when one is no JSON object. */
  log(): LogLine[] {
    return this.lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** The first line after `from` lines that fits; rejects when the process ends without one. */
  async logged(event: string | ((line: LogLine) => boolean), from = 0): Promise<LogLine> {
    const fits = typeof event === 'string' ? (line: LogLine) => line['event'] === event : event;
    return this.when(() => this.log().slice(from).find(fits));
  }

  /** Resolves to the first value that `look` finds, looked at with every output. */
  async when<T>(look: () => T | undefined): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const watcher = (): void => {
      try {
        const value = look();
        if (value !== undefined) resolve(value);
      } catch (error) {
        reject(error);
      }
    };
    this.#watchers.add(watcher);
    watcher();
    const end = this.exited.then(({ code, signal }) => {
      throw new Error(
        `serve ended with ${code ?? signal}:\n${this.stderr}\n${this.lines.slice(-20).join('\n')}`,
      );
    });
    end.catch(() => undefined);
    try {
      return await Promise.race([promise, end]);
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  /** Resolves to the URLs once the gateway listens. */
  async listening(): Promise<{ gateway: string; admin: string }> {
    const line = await this.logged('listening');
    return { gateway: String(line['gateway']), admin: String(line['admin']) };
  }

  /** Process ids of the workers. */
  workers(): number[] {
    return childrenOf(this.pid).filter((pid) => commandOf(pid).includes('gateway/worker'));
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** SIGTERM, and how it ended. */
  async stop(): Promise<Exit> {
    this.kill('SIGTERM');
    return this.exited;
  }
}

function complete(config: object, folder: string): string {
  const { gateway, admin, ...rest } = config as { gateway?: object; admin?: object };
  return JSON.stringify({
    dataDir: join(folder, 'data'),
    gateway: { listen: '127.0.0.1:0', workers: 1, ...gateway },
    admin: { listen: '127.0.0.1:0', realm: 'demo', ...admin },
    ...rest,
  });
}

/** Starts it and waits until it listens. */
export async function serve(
  config: object,
  options?: ServeOptions,
): Promise<{ process: ServeProcess; gateway: string; admin: string }> {
  const process = new ServeProcess(config, options);
  return { process, ...(await process.listening()) };
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

/** Whether the process runs; one that has ended and that nobody waited for does not. */
export function runs(pid: number): boolean {
  return !['Z', 'X', undefined].includes(statOf(pid)?.[0]);
}

/** Resolves when `condition` holds; for what sends no event, such as another program's end. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

/** Ids of the running children. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statOf(pid)?.[1] === String(parent) && runs(pid));
}

/** Ids of every process that runs for its services, however deep. */
export function servicesOf(process: ServeProcess): number[] {
  const workers = new Set(process.workers());
  const below = (parent: number): number[] =>
    childrenOf(parent).flatMap((pid) => (workers.has(pid) ? [] : [pid, ...below(pid)]));
  return below(process.pid);
}

/** proc(5): the fields from `state` on; undefined = there is no such process. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
