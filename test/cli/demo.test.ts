import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { freePort, portRange } from '../support/free-port.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';

interface Place {
  readonly folder: string;
  readonly gateway: number;
}

/** A folder with what the demo reads, on ports that are free. */
async function demoFolder(edit: (text: string) => string = (text) => text): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'realmgate-demo-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'config'));
  cpSync(join(ROOT, 'config/examples'), join(folder, 'config/examples'), { recursive: true });
  let text = readFileSync(join(ROOT, 'config/local.yaml'), 'utf8');
  let gateway = 0;
  for (const port of [8080, 8081, 8082]) {
    const free = await freePort();
    if (port === 8080) gateway = free;
    text = text.replaceAll(String(port), String(free));
  }
  text += `services: { local: { portRange: ${await portRange()} } }\n`;
  writeFileSync(join(folder, 'config/local.yaml'), edit(text));
  return { folder, gateway };
}

test('prints the claims of a token, a 200 with it and a 401 without, and exits 0', async () => {
  const { folder, gateway } = await demoFolder();

  const { code, out, err } = await runRealmgate(['demo'], folder);

  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('"preferred_username": "alice"');
  expect(out).toMatch(
    new RegExp(`GET http://127\\.0\\.0\\.1:${gateway}/hello with the token\\n\\n200 OK\\n`),
  );
  expect(out).toContain('Hello, alice!');
  expect(out).toMatch(/without a token\n\n401 Unauthorized\ncontent-type: application\/problem\+json\n/);
  expect(out).toContain('"code":"token_missing"');
  expect(out).not.toMatch(/eyJ[\w-]+\.eyJ/); // no whole token
});

test('exits 1 when an answer is not as it should be', async () => {
  const { folder } = await demoFolder((text) =>
    text.replace('    clients: [istio]', '    clients: [another]'),
  );

  const { code, out } = await runRealmgate(['demo'], folder);

  expect(code).toBe(1);
  expect(out).toContain('401 Unauthorized');
  expect(out).toContain('This is not as it should be');
});

test('exits 1 with one line when a port is in use', async () => {
  const { folder, gateway } = await demoFolder();
  const server = createServer().listen(gateway, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());

  const { code, out, err } = await runRealmgate(['demo'], folder);

  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe(
    `realmgate: The gateway cannot listen on 127.0.0.1:${gateway}: another program uses that port; stop it or choose another port\n`,
  );
});

test('exits 64 with the faults of an invalid configuration', async () => {
  const { folder } = await demoFolder((text) => text.replace('gateway:', 'gatewei:'));

  const { code, out, err } = await runRealmgate(['demo'], folder);

  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toMatch(/^config\/local\.yaml:\d+:\d+: /);
});
