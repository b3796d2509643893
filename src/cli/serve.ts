import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { type App, InvalidConfiguration, startApp } from '../app.ts';
import { StartUpError } from '../app/start-up-error.ts';
import { StopSignals } from '../app/stop-signals.ts';
import { firstSteps } from './first-steps.ts';
import { UsageError, type Verb } from './verb.ts';

const HELP = `realmgate serve --config FILE

Runs the gateway until SIGTERM or SIGINT; then requests in progress finish and it exits 0. A second signal cuts them.
SIGHUP or a changed file reloads the configuration; an invalid one is refused and logged, and the running one stays.

  realmgate serve --config config/local.yaml
`;

/**
 * V8's young generation stays as small as it is. It would grow to 64 MiB and more in a burst of work, such as the start
 * of many services, and what is in it then keeps buffers outside of it alive: 200 services would cost up to 180 MiB
 * instead of 35. The workers have flags of their own (`WORKER_FLAGS`).
 */
const YOUNG_GENERATION = '--semi-space-growth-factor=1';

export const serve: Verb = {
  summary: 'run the gateway',
  help: HELP,
  async run(args, io) {
    const file = configFile(args);
    setFlagsFromString(YOUNG_GENERATION);
    // From here on, so that nothing is left behind by a signal that comes early.
    const signals = new StopSignals();
    const starting = startApp({ configFile: file, pretty: process.stdout.isTTY, signal: signals.asked });
    process.on('SIGHUP', () => void starting.then((app) => app.reload()).catch(() => undefined));
    let app: App;
    try {
      app = await starting;
    } catch (error) {
      return signals.asked.aborted ? 0 : explain(error, (line) => io.err(line));
    }
    const steps = firstSteps(app);
    if (steps !== null) io.err(steps);
    return runUntilStopped(app, signals);
  },
};

/** The operator's lines for what kept the gateway from starting, and the exit code. Rethrows everything else. */
export function explain(error: unknown, err: (text: string) => void): number {
  if (error instanceof InvalidConfiguration) {
    for (const fault of error.faults) err(`${fault}\n`);
    return 64;
  }
  if (error instanceof StartUpError) {
    err(`realmgate: ${error.message}\n`);
    return 1;
  }
  throw error;
}

function configFile(args: readonly string[]): string {
  let config: string | undefined;
  try {
    ({ config } = parseArgs({ args: [...args], options: { config: { type: 'string' } } }).values);
  } catch (error) {
    throw new UsageError(`serve: ${error instanceof Error ? error.message : 'wrong arguments'}`);
  }
  if (config === undefined || config === '')
    throw new UsageError('serve needs its configuration: --config FILE');
  return config;
}

/**
 * A rejection that nobody handles costs the operation that it belongs to. After an exception that nobody caught, what
 * this process knows may be wrong: it is told, requests in progress finish, and the exit code is 1.
 */
async function runUntilStopped(app: App, signals: StopSignals): Promise<number> {
  let code = 0;
  process.on('unhandledRejection', (err) =>
    app.log.error({ err }, 'A rejection reached the top of the primary'),
  );
  process.on('uncaughtException', (err) => {
    code = 1;
    app.log.fatal({ err }, 'An error reached the top of the primary; it drains and ends');
    if (!signals.asked.aborted) signals.ask();
  });
  if (!signals.asked.aborted) await once(signals.asked, 'abort');
  signals.onInsist(() => app.cut());
  await app.stop();
  return code;
}
