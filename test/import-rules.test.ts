import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { cruise, type ICruiseOptions, type ICruiseResult, type IConfiguration } from 'dependency-cruiser';
import { describe, expect, onTestFinished, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const config = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as IConfiguration;

/** `import './to.ts'` as each file of a tree that breaks one rule. */
const BREAKING: Record<string, Record<string, string>> = {
  'foundations-import-nothing-above': { 'src/errors.ts': './realm/claims.ts', 'src/realm/claims.ts': '' },
  'gateway-knows-no-control-plane': {
    'src/gateway/server.ts': '../config/load.ts',
    'src/config/load.ts': '',
  },
  'gateway-takes-only-the-pure-parts-of-realm': {
    'src/gateway/server.ts': '../realm/key-keeper.ts',
    'src/realm/key-keeper.ts': '',
  },
  'only-composition-knows-the-gateway': {
    'src/admin/server.ts': '../gateway/respond.ts',
    'src/gateway/respond.ts': '',
  },
  'realm-and-telemetry-stand-below-both-planes': {
    'src/telemetry/log.ts': '../control/registry.ts',
    'src/control/registry.ts': '',
  },
  'only-commands-use-the-composition-root': {
    'src/admin/server.ts': '../app/serve.ts',
    'src/app/serve.ts': '',
  },
  'drivers-stand-alone': {
    'src/control/drivers/local/index.ts': '../kubernetes/index.ts',
    'src/control/drivers/kubernetes/index.ts': '',
  },
  'drivers-know-no-registry': {
    'src/control/drivers/local/index.ts': '../../registry.ts',
    'src/control/registry.ts': '',
  },
  'no-cycles': { 'src/config/load.ts': './schema.ts', 'src/config/schema.ts': './load.ts' },
  'no-orphans': { 'src/config/load.ts': '' },
  'src-stands-alone': { 'src/config/load.ts': '../../test/support.ts', 'test/support.ts': '' },
  'no-development-dependencies': { 'src/config/load.ts': 'typescript' },
  'only-declared-dependencies': { 'src/config/load.ts': 'semver' },
  'every-import-is-found': { 'src/config/load.ts': './missing.ts' },
};

describe('the import rules', () => {
  test('are all tried here', () => {
    expect(Object.keys(BREAKING)).toEqual(config.forbidden?.map((rule) => rule.name));
  });

  test.each(Object.entries(BREAKING))('%s is broken by an import that it forbids', async (rule, files) => {
    expect(await brokenRules(files)).toEqual([rule]);
  });

  test('count an import of types only', async () => {
    const folder = tree({ 'src/config/load.ts': '' });
    write(
      folder,
      'src/gateway/server.ts',
      "import type { Load } from '../config/load.ts';\nexport type X = Load;\n",
    );

    expect(await violations(folder)).toEqual(['gateway-knows-no-control-plane']);
  });

  test('let two files name each other as types', async () => {
    const folder = tree({ 'src/config/load.ts': './schema.ts' });
    write(folder, 'src/config/schema.ts', "import type { Load } from './load.ts';\nexport type X = Load;\n");

    expect(await violations(folder)).toEqual([]);
  });

  test('allow what the layout says', async () => {
    expect(
      await brokenRules({
        'src/main.ts': './cli/serve.ts',
        'src/cli/serve.ts': '../app/serve.ts',
        'src/app/serve.ts': '../gateway/server.ts',
        'src/gateway/server.ts': '../realm/claims.ts',
        'src/realm/claims.ts': '../telemetry/log.ts',
        'src/telemetry/log.ts': '../problem.ts',
        'src/problem.ts': '../src/errors.ts',
        'src/errors.ts': 'jose',
      }),
    ).toEqual([]);
  });
});

async function brokenRules(files: Record<string, string>): Promise<string[]> {
  return violations(tree(files));
}

/** A project of its own with the real package.json, where each file imports one thing, or nothing. */
function tree(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'realmgate-imports-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of ['package.json', 'tsconfig.json']) copyFileSync(join(root, name), join(folder, name));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [file, target] of Object.entries(files))
    write(folder, file, target === '' ? 'export {};\n' : `import '${target}';\n`);
  return folder;
}

function write(folder: string, file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

async function violations(folder: string): Promise<string[]> {
  const options: ICruiseOptions = {
    ...config.options,
    baseDir: folder,
    validate: true,
    ruleSet: { forbidden: config.forbidden ?? [] },
  };
  const { output } = await cruise(['src'], options);
  const found = (output as ICruiseResult).summary.violations.map((violation) => violation.rule.name);
  return [...new Set(found)];
}
