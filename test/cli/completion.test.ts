import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from '../config/support.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';
import { startPlatform } from './support/platform.ts';

async function words(line: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const { code, out, err } = await runRealmgate(['completion', 'words', ...line], ROOT, {
    REALMGATE_TOKEN: '',
    ...env,
  });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out.split('\n').slice(0, -1);
}

test('completes verbs, commands, options and what an option takes', async () => {
  expect(await words(['se'])).toEqual(['secrets', 'serve', 'services']);
  expect(await words(['services', 're'])).toEqual(['restart', 'revisions']);
  expect(await words(['services', 'create', '--min'])).toEqual(['--min-replicas']);
  expect(await words(['services', 'update', 'web', '--no-b'])).toEqual(['--no-branch']);
  expect(await words(['services', 'create', '--type', ''])).toEqual(['pipeline', 'shell']);
  expect(await words(['token', '--dec'])).toEqual(['--decode']);
  expect(await words(['serve', '--config', ''])).toEqual([]);
  expect(await words(['doctor', '--'])).toEqual(['--config', '--help', '--json']);
  expect(await words(['attack-test', '--i'])).toEqual(['--i-operate-this-gateway', '--insecure-http']);
  expect(await words(['nothing', ''])).toEqual([]);
});

test('completes names from the platform, only where one is expected', async () => {
  const { control, add, url } = await startPlatform();
  const env = { REALMGATE_TOKEN: 'admin', REALMGATE_ADMIN_URL: url };
  await add('web');
  await add('worker');
  await add('gone');
  await control.cancelService('gone', 'alice');
  control.putSecret('openai', { data: { k: 'v' } }, 'alice');
  expect(await words(['services', 'logs', ''], env)).toEqual(['web', 'worker']);
  expect(await words(['services', 'logs', '--tail', '5', 'wo'], env)).toEqual(['worker']);
  expect(await words(['services', 'logs', 'web', ''], env)).toEqual([]);
  expect(await words(['services', 'create', ''], env)).toEqual([]);
  expect(await words(['services', 'update', 'web', '--secret', 'o'], env)).toEqual(['openai']);
  expect(await words(['secrets', 'show', ''], env)).toEqual(['openai']);
  expect(await words(['environments', 'delete', ''], env)).toEqual(['default']);
  const refused = { ...env, REALMGATE_TOKEN: 'sesame' };
  expect(await words(['services', 'logs', ''], refused)).toEqual([]);
});

test('the bash script completes in a real bash', () => {
  const folder = scratch();
  const program = join(folder, 'realmgate');
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/src/launch.js" "$@"\n`, {
    mode: 0o755,
  });
  const script = `
    source <(realmgate completion bash)
    COMP_WORDS=(realmgate services re); COMP_CWORD=2
    _realmgate
    printf '%s\\n' "\${COMPREPLY[@]}"
    complete -p realmgate
  `;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` },
  });
  expect({ stdout, stderr }).toEqual({
    stdout: 'restart\nrevisions\ncomplete -o default -F _realmgate realmgate\n',
    stderr: '',
  });
});

test('the zsh script is one that compinit finds', async () => {
  expect((await runRealmgate(['completion', 'zsh'])).out).toMatch(/^#compdef realmgate\n/);
});

test('another shell is wrong usage', async () => {
  expect(await runRealmgate(['completion', 'fish'])).toMatchObject({ code: 64, out: '' });
});
