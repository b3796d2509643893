import { parseArgs } from 'node:util';
import { type App, InvalidConfiguration, startApp } from '../app.ts';
import { StartUpError } from '../app/start-up-error.ts';
import { firstSteps } from './first-steps.ts';
import { UsageError, type Verb } from './verb.ts';

const HELP = `realmgate serve --config FILE

Runs the gateway until SIGTERM or SIGINT; then requests in progress finish and it exits 0. SIGHUP or a changed file
reloads the configuration; an invalid one is refused and logged, and the running one stays.

  realmgate serve --config config/local.yaml
`;

export const serve: Verb = {
  summary: 'run the gateway',
  help: HELP,
  async run(args, io) {
    let app: App;
    try {
      app = await startApp({ configFile: configFile(args), pretty: process.stdout.isTTY });
    } catch (error) {
      return explain(error, (line) => io.err(line));
    }
    const steps = firstSteps(app);
    if (steps !== null) io.err(steps);
    await untilStopped(app);
    return 0;
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

async function untilStopped(app: App): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  process.on('SIGHUP', () => void app.reload());
  process.on('SIGTERM', () => resolve(undefined));
  process.on('SIGINT', () => resolve(undefined));
  await promise;
  await app.stop();
}
