import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatFault, loadSettings } from '../config/load.ts';
import type { Settings } from '../contracts/settings.ts';
import { type Check, count, type Finding, ok, type Patient, warning } from './doctor/check.ts';
import { dataDirChecks, findHolder } from './doctor/data-dir.ts';
import { findRunning, listenerChecks } from './doctor/listeners.ts';
import { machineChecks } from './doctor/machine.ts';
import { realmChecks } from './doctor/realms.ts';
import { serviceChecks } from './doctor/services.ts';
import { tlsChecks } from './doctor/tls.ts';
import { upstreamChecks } from './doctor/upstreams.ts';
import { describeFlags, type Flags, parseFlags } from './flags.ts';
import { type Colour, inOneLine, type Screen, screenOf } from './screen.ts';
import { jsonText } from './services/describe.ts';
import { UsageError, type Verb } from './verb.ts';

const DEFAULT_FILE = 'config/local.yaml';

/** Milliseconds that one check may take. */
const PATIENCE = 15_000;

const FLAGS = {
  config: { value: 'FILE', help: `the configuration (default ${DEFAULT_FILE}, where it is there)` },
  json: { help: 'print every check with its result as JSON' },
} as const satisfies Flags;

const HELP = `realmgate doctor [options]

Looks at this machine and at what the configuration needs of it: addresses, data directory, certificate, realms,
upstreams, what services need. Says for each whether it is ok, a warning or a fault, and what to do. Changes nothing, and
may be used while serve runs. Exits 0 without a fault, 1 with one, 64 when the configuration itself is wrong.

Options:
${describeFlags(FLAGS)}
Examples:
  realmgate doctor
  realmgate doctor --config /etc/realmgate.yaml --json
`;

interface Row extends Finding {
  readonly name: string;
}

export const doctor: Verb = {
  summary: 'look for what keeps this configuration from working here',
  help: HELP,
  async run(args, io) {
    const { values, operands } = parseFlags(FLAGS, args);
    if (operands.length > 0) throw new UsageError('only options are taken; the configuration is --config FILE');
    const file = fileOf(values.config);
    const loaded = await loadSettings(file);
    if (!loaded.ok) {
      for (const each of loaded.faults) io.err(`${formatFault(each)}\n`);
      return 64;
    }
    const rows = [{ name: 'configuration', ...ok(`${file} is valid`) }, ...(await examine(loaded.settings))];
    const faults = rows.filter(({ result }) => result === 'fault').length;
    if (values.json === true) io.out(jsonText({ ok: faults === 0, checks: rows }));
    else io.out(describe(rows, screenOf(io)));
    return faults === 0 ? 0 : 1;
  },
}; // prettier-ignore

function fileOf(given: string | undefined): string {
  if (given === '') throw new UsageError('--config is empty');
  if (given !== undefined) return given;
  if (existsSync(DEFAULT_FILE)) return DEFAULT_FILE;
  throw new UsageError(`doctor needs the configuration: --config FILE (there is no ${DEFAULT_FILE} here)`);
}

/** All checks at once, their results in the order of the checks. */
async function examine(settings: Settings): Promise<Row[]> {
  const [running, holder] = await Promise.all([findRunning(settings), findHolder(resolve(settings.dataDir))]);
  const checks = checksOf({ settings, running, holder });
  return (await Promise.all(checks.map(perform))).flat();
}

function checksOf(patient: Patient): Check[] {
  const { settings } = patient;
  return [
    ...machineChecks(settings.gateway),
    ...dataDirChecks(patient),
    ...listenerChecks(patient),
    ...tlsChecks(settings.gateway),
    ...realmChecks(patient),
    ...upstreamChecks(settings),
    ...serviceChecks(patient),
  ];
}

async function perform(check: Check): Promise<Row[]> {
  const signal = AbortSignal.timeout(PATIENCE);
  const late = new Promise<Finding>((settle) => {
    const give = () => settle(warning(`was not done within ${PATIENCE / 1000} s`, 'try again; is this machine busy?'));
    signal.addEventListener('abort', give, { once: true });
  });
  const findings = await Promise.race([late, Promise.try(() => check.run(signal))]).catch((error: unknown) => notDone(error));
  return [findings].flat().map((finding) => ({ name: check.name, ...finding }));
} // prettier-ignore

/** Only the code: the message of an error that nobody expected may have anything in it. */
function notDone(error: unknown): Finding {
  const { code, name } = error as NodeJS.ErrnoException;
  return warning(`could not be checked (${code ?? name})`, 'check it by hand');
}

const COLOURS: Readonly<Record<Finding['result'], Colour>> = {
  ok: 'green',
  warning: 'yellow',
  fault: 'red',
};

function describe(rows: readonly Row[], screen: Screen): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.flatMap(({ name, result, found, todo }) => [
    `${screen.paint(COLOURS[result], result.padEnd(7))}  ${name.padEnd(width)}  ${inOneLine(found)}`,
    ...(todo === null ? [] : [`${' '.repeat(width + 11)}→ ${inOneLine(todo)}`]),
  ]);
  const number = (wanted: Finding['result']) => rows.filter(({ result }) => result === wanted).length;
  const verdict = `${count(number('fault'), 'fault')}, ${count(number('warning'), 'warning')}`;
  return `${[...lines, '', verdict].join('\n')}\n`;
}
