import { setTimeout as sleep } from 'node:timers/promises';
import { Api } from '../api.ts';
import { connect } from '../connection.ts';

export type Names = 'services' | 'secrets' | 'environments';

/** Milliseconds that somebody who pressed the tab key waits. */
const PATIENCE = 1000;

/**
 * Names that the admin API knows, for the token and the URL of the environment or of the line so far. Asks nobody for
 * a password, and gives nothing at all where anything fails.
 */
export async function askNames(names: Names, line: readonly string[]): Promise<readonly string[]> {
  const late = sleep(PATIENCE, [], { ref: false });
  return Promise.race([late, ask(names, line).catch(() => [])]);
}

async function ask(names: Names, line: readonly string[]): Promise<readonly string[]> {
  const quiet = { out: () => undefined, err: () => undefined };
  const api = new Api(
    await connect(
      {
        ...given('admin-url', line),
        ...given('token-file', line),
        'insecure-http': line.includes('--insecure-http'),
      },
      quiet,
    ),
  );
  switch (names) {
    case 'services': {
      const { items } = await api.services();
      return items.filter(({ status }) => status !== 'cancelled').map(({ name }) => name);
    }
    case 'secrets':
      return (await api.secrets()).items.map(({ name }) => name);
    case 'environments':
      return (await api.environments()).items.map(({ name }) => name);
  }
}

function given<Flag extends string>(flag: Flag, line: readonly string[]): { [Name in Flag]?: string } {
  const at = line.indexOf(`--${flag}`);
  const value = at === -1 ? undefined : line[at + 1];
  return (value === undefined ? {} : { [flag]: value }) as { [Name in Flag]?: string };
}
