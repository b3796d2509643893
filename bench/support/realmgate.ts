import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandLine, descendants, isAlive } from './proc.ts';
import type { Program, Workspace } from './workspace.ts';

const LAUNCH = fileURLToPath(new URL('../../src/launch.js', import.meta.url));

export interface RealmgateOptions {
  /** What stands in the configuration file; `dataDir` and the listeners are filled in where it lacks them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The only core that its processes may use, or a list; null = any. */
  readonly core?: number | string | null;
  /** Options of Node, for every process. */
  readonly nodeOptions?: readonly string[];
  /** Takes every line of the log: as it stands, and its `event` where it has one. */
  readonly onLog?: (line: string, event: unknown) => void;
}

export interface Realmgate {
  readonly program: Program;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly configFile: string;
  /** Ids of the worker processes that are alive. Linux only. */
  workers(): number[];
  /** Drains; resolves to the exit code. */
  stop(): Promise<number | null>;
}

/** How long the start may take, in ms. */
const PATIENCE = 60_000;

/** Starts the real program in the workspace, and resolves once it says that it listens. */
export async function startRealmgate(
  workspace: Workspace,
  name: string,
  { config, core = null, nodeOptions = [], onLog }: RealmgateOptions,
): Promise<Realmgate> {
  const configFile = join(workspace.folder, `${name}.json`);
  await writeFile(configFile, JSON.stringify(withDefaults(workspace, name, config), null, 2));
  const { promise, resolve, reject } = Promise.withResolvers<{ gateway: string; admin: string }>();
  const onLine = (line: string): boolean => {
    // The many lines of the access log are not worth parsing.
    const fields = line.includes('"event":"request"') ? null : parse(line);
    const listens = fields?.['event'] === 'listening';
    if (listens) resolve({ gateway: String(fields['gateway']), admin: String(fields['admin']) });
    onLog?.(line, fields?.['event']);
    // Taking an access log apart line by line would cost more than what the load costs.
    return onLog !== undefined || !listens;
  };
  const args = [...nodeOptions, LAUNCH, 'serve', '--config', configFile];
  const program = await workspace.start(process.execPath, args, { core, onLine });
  const timer = setTimeout(
    () => reject(new Error(`Realmgate does not get ready: ${program.errors()}`)),
    PATIENCE,
  );
  const ended = (): void => reject(new Error(`Realmgate did not start: ${program.errors()}`));
  program.child.once('exit', ended);
  try {
    const { gateway, admin } = await promise;
    return {
      program,
      gatewayUrl: gateway,
      adminUrl: admin,
      configFile,
      workers: () =>
        descendants(program.pid).filter(
          (pid) => /[/\\]gateway[/\\]worker\.[jt]s/.test(commandLine(pid)) && isAlive(pid),
        ),
      stop: async () => {
        await program.stop();
        return program.child.exitCode;
      },
    };
  } catch (error) {
    await program.stop('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
    program.child.off('exit', ended);
  }
}

/** The configuration as it stands in the file; also what a reload has to begin with. */
export function withDefaults(
  workspace: Workspace,
  name: string,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return {
    dataDir: join(workspace.folder, `${name}-data`),
    ...config,
    gateway: { listen: '127.0.0.1:0', ...(config['gateway'] as object | undefined) },
    admin: { listen: '127.0.0.1:0', ...(config['admin'] as object | undefined) },
  };
}

function parse(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
