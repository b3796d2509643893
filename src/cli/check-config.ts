import { parseArgs } from 'node:util';
import { formatFault, loadSettings } from '../config/load.ts';
import type { ListenAddress, Settings } from '../contracts/settings.ts';
import { UsageError } from './verb.ts';
import type { Verb } from './verb.ts';

const HELP = `realmgate check-config --config FILE
realmgate check-config FILE

Reads a configuration as serve would, with the files and environment variables that it names, and binds nothing.
Prints one line and exits 0, or lists every fault with file, line and column and exits 64.

  realmgate check-config config/local.yaml
  KC_SECRET=x realmgate check-config --config config/examples/keycloak.yaml
`;

export const checkConfig: Verb = {
  summary: 'check a configuration file and list every fault',
  help: HELP,
  async run(args, io) {
    const file = fileOf(args);
    const loaded = await loadSettings(file);
    if (!loaded.ok) {
      for (const fault of loaded.faults) io.err(`${formatFault(fault)}\n`);
      return 64;
    }
    io.out(`${file} is valid: ${summary(loaded.settings)}\n`);
    return 0;
  },
};

function fileOf(args: readonly string[]): string {
  const { values, positionals } = parse(args);
  const files = values.config === undefined ? positionals : [values.config, ...positionals];
  const [file] = files;
  if (file === undefined || file === '')
    throw new UsageError('check-config needs the file to check: --config FILE');
  if (files.length > 1) throw new UsageError('check-config takes one file');
  return file;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { config: { type: 'string' } }, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`check-config: ${error instanceof Error ? error.message : 'wrong arguments'}`);
  }
}

function summary({ gateway, admin, realms, routes }: Settings): string {
  return [
    count(routes.length, 'route'),
    count(realms.length, 'realm'),
    `gateway on ${address(gateway.listen)}`,
    `admin on ${address(admin.listen)}`,
  ].join(', ');
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

function address({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
