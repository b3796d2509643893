import { describe, expect, test } from 'vitest';

import { runRealmgate } from './run-realmgate.ts';

const VERBS = [
  'serve',
  'check-config',
  'token',
  'demo',
  'services',
  'secrets',
  'environments',
  'explain',
  'doctor',
  'attack-test',
  'completion',
];

test('without a verb the verbs are told on standard error, and the exit code is 64', async () => {
  const { code, out, err } = await runRealmgate([]);

  expect(code).toBe(64);
  expect(out).toBe('');
  for (const verb of VERBS) expect(err).toMatch(new RegExp(`^  ${verb} +\\S`, 'm'));
});

test.each(['--help', '-h', 'help'])('%s tells the verbs on standard output', async (argument) => {
  const { code, out, err } = await runRealmgate([argument]);

  expect(code).toBe(0);
  expect(err).toBe('');
  for (const verb of VERBS) expect(out).toMatch(new RegExp(`^  ${verb} +\\S`, 'm'));
});

test.each(['nothing', 'constructor', '__proto__', '', '-x'])(
  'there is no verb "%s": one line with the verbs, exit 64',
  async (verb) => {
    const { code, out, err } = await runRealmgate([verb]);

    expect(code).toBe(64);
    expect(out).toBe('');
    expect(err).toBe(`realmgate: there is no verb "${verb}"; the verbs are ${VERBS.join(', ')}\n`);
  },
);

describe.each(VERBS)('%s', (verb) => {
  test.each(['--help', '-h'])('%s explains it with an example or what it does', async (flag) => {
    const { code, out, err } = await runRealmgate([verb, flag]);

    expect(code).toBe(0);
    expect(err).toBe('');
    expect(out).toContain(`realmgate ${verb}`);
    expect(out.split('\n').length).toBeGreaterThan(3);
  });

  test('an unknown option is wrong usage: exit 64 and where help is', async () => {
    const { code, out, err } = await runRealmgate([verb, '--unknown-option']);

    expect(code).toBe(64);
    expect(out).toBe('');
    expect(err).toMatch(/^realmgate/);
    expect(err).toContain(`realmgate ${verb} --help`);
  });
});
