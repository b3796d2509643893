import { spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Instructions of each stage, in order: name and arguments. */
type Stage = [string, string][];
const [build, final] = readStages(readFileSync(join(root, 'Dockerfile'), 'utf8'));
const allowed = readFileSync(join(root, '.dockerignore'), 'utf8')
  .split('\n')
  .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));

/** The user that the image names; only root can become it, others try the image as themselves. */
const [uid = NaN, gid = NaN] = only(final, 'USER').split(':').map(Number);
const asUser: SpawnOptions = process.getuid?.() === 0 ? { uid, gid } : {};

/** There is no container engine where tests run: this does by hand what the instructions say. */
describe('the image', () => {
  let folder: string;
  let app: string;
  let data: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'realmgate-image-'));
    app = join(folder, 'app');
    data = join(folder, 'data');
    for (const made of [folder, app, data]) {
      mkdirSync(made, { recursive: true });
      chmodSync(made, 0o755);
    }
    if (asUser.uid !== undefined) chownSync(data, uid, gid);
    for (const [instruction, rest] of build) {
      if (instruction === 'COPY') copy(rest.split(' '));
      // A registry is asked only for what npm has not kept.
      if (instruction === 'RUN') await run('sh', ['-c', rest], { cwd: app, env: environment() });
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('shows help as its own user', async () => {
    const [program = '', ...args] = entryPoint();

    const { code, out, err } = await run(program, [...args, '--help'], { ...asUser, cwd: data });

    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toContain('serve');
  });

  test('serves as its own user, is healthy, and ends in order', async () => {
    const file = join(folder, 'realmgate.yaml');
    writeFileSync(
      file,
      `gateway: { listen: "127.0.0.1:0", workers: 1 }
admin: { listen: "127.0.0.1:0", realm: demo }
realms: [{ name: demo, url: "http://127.0.0.1:9/auth/realms/demo" }]
`,
    );
    const [program = '', ...args] = entryPoint();
    const command = (JSON.parse(only(final, 'CMD')) as string[]).with(-1, file);
    const server = spawn(program, [...args, ...command], {
      ...asUser,
      cwd: data,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void server.kill('SIGKILL'));
    const ended = once(server, 'exit');

    const admin = await adminUrl(server.stdout);
    server.stdout.resume();
    expect(await health(admin)).toBe(0);

    server.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(await health(admin)).toBe(1);
  });

  test('has no development dependency', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    const lock = JSON.parse(readFileSync(join(app, 'node_modules/.package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean }>;
    };

    expect(Object.values(lock.packages).filter((one) => one.dev === true)).toEqual([]);
    expect(Object.keys(devDependencies).filter((name) => `node_modules/${name}` in lock.packages)).toEqual(
      [],
    );
  });

  function copy(words: string[]): void {
    const target = join(app, words.at(-1)!);
    for (const source of words.slice(0, -1)) {
      if (!allowed.includes(source)) throw new Error(`.dockerignore leaves out ${source}`);
      const isFolder = basename(source) === basename(target);
      cpSync(join(root, source), isFolder ? target : join(target, basename(source)), { recursive: true });
    }
  }

  function entryPoint(): string[] {
    return inFolder(only(final, 'ENTRYPOINT'));
  }

  async function health(admin: string): Promise<number | null> {
    const check = only(final, 'HEALTHCHECK');
    const [program = '', ...args] = inFolder(check.slice(check.indexOf('CMD ') + 4));
    return (await run(program, args, { ...asUser, env: { REALMGATE_ADMIN_URL: admin } })).code;
  }

  /** A JSON list of words, with the image's folder as it is here. */
  function inFolder(list: string): string[] {
    return (JSON.parse(list) as string[]).map((word) => word.replace(/^\/app\//, `${app}/`));
  }
});

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, npm_config_prefer_offline: 'true', npm_config_loglevel: 'error' };
}

function readStages(dockerfile: string): [Stage, Stage] {
  const stages: Stage[] = [];
  const lines = dockerfile.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
  for (const line of lines.split('\n').filter((one) => one !== '')) {
    const space = line.indexOf(' ');
    if (line.startsWith('FROM ')) stages.push([]);
    stages.at(-1)!.push([line.slice(0, space), line.slice(space + 1)]);
  }
  const [first, second, ...more] = stages;
  if (first === undefined || second === undefined || more.length > 0)
    throw new Error('two stages are expected');
  return [first, second];
}

function only(stage: Stage, instruction: string): string {
  const found = stage.filter(([name]) => name === instruction);
  if (found.length !== 1) throw new Error(`${found.length} times ${instruction}`);
  return found[0]![1];
}

async function run(
  program: string,
  args: string[],
  options: SpawnOptions,
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  if (program === 'sh' && code !== 0) throw new Error(`${args.join(' ')}: ${out}${err}`);
  return { code, out, err };
}

/** From the line that says that every listener accepts. */
async function adminUrl(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const said = JSON.parse(line) as { event?: string; admin?: string };
    if (said.event === 'listening') return said.admin!;
  }
  throw new Error('it ended without listening');
}
