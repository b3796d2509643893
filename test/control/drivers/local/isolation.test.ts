import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findProgram } from '../../../../src/control/drivers/local/programs.ts';
import { probeIsolation } from '../../../../src/control/drivers/local/isolation.ts';
import { temporaryDirectory } from '../../git/source-repository.ts';

const PATH = process.env['PATH'] ?? '';

/** What the system gives, and how often namespaces were entered to find out. `fails`: shell that refuses an attempt. */
async function probe(fails: string) {
  const folder = temporaryDirectory();
  const attempts = join(folder, 'attempts');
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  writeFileSync(attempts, '');
  const unshare = (await findProgram('unshare', PATH))!;
  const script = `#!/usr/bin/env bash\necho >> ${attempts}\n${fails}\nexec ${unshare} "$@"\n`;
  writeFileSync(join(programs, 'unshare'), script);
  chmodSync(join(programs, 'unshare'), 0o755);
  const trial = join(folder, 'runs/trial');
  mkdirSync(trial, { recursive: true });
  const told: object[] = [];
  const log = { warn: (fields: object) => void told.push(fields) };
  const environment = { PATH: `${programs}:${PATH}` };
  const { secrets, hides } = await probeIsolation(
    environment,
    `isolation-${process.pid}/trial/0`,
    trial,
    log,
  );
  return { secrets, hides, told, attempts: readFileSync(attempts, 'utf8').length };
}

/** Elsewhere the directory for secrets is missing, or there are no namespaces at all. */
const isRoot = process.platform === 'linux' && process.getuid?.() === 0;

test.runIf(isRoot)('one trial tells that a system has everything', async () => {
  expect(await probe('')).toEqual({ secrets: 'mount', hides: true, told: [], attempts: 1 });
});

test.runIf(isRoot)('what a system lacks costs only that', async () => {
  const withoutHiding = '[[ " $* " != *" /"*"/runs 0 "* ]] || exit 1';
  expect(await probe(withoutHiding)).toMatchObject({
    ...{ secrets: 'mount', hides: false },
    told: [{ missing: 'mount --no-canonicalize' }],
  });
});
