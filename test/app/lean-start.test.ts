import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect, test } from 'vitest';

import { freePort } from '../support/free-port.ts';
import { serve, temporaryFolder } from './serve-process.ts';

/** Each process leaves the names of what it loaded of Node itself when it ends. */
const REPORTER = `
import { writeFileSync } from 'node:fs';
process.on('exit', () => {
  const name = /[\\\\/]worker\\.[jt]s$/.test(process.argv[1]) ? 'worker' : 'primary';
  writeFileSync(new URL(name, import.meta.url), process.moduleLoadList.join('\\n'));
});
`;

test('no process has loaded undici after a token was given and used', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'reporter.mjs'), REPORTER);
  const realm = await freePort();
  const { process, gateway } = await serve(
    {
      gateway: { workers: 1 },
      embeddedRealm: {
        listen: `127.0.0.1:${realm}`,
        name: 'demo',
        users: [{ username: 'alice', password: 'alice', roles: [] }],
      },
    },
    { env: { NODE_OPTIONS: `--import=${pathToFileURL(join(folder, 'reporter.mjs')).href}` } },
  );
  const answer = await fetch(`${gateway}/auth/realms/demo/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({
      ...{ grant_type: 'password', client_id: 'istio' },
      ...{ username: 'alice', password: 'alice' },
    }),
  });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  const used = await fetch(`${gateway}/nowhere`, { headers: { authorization: `Bearer ${token}` } });
  expect(used.status).toBe(404);
  expect(await process.stop()).toEqual({ code: 0, signal: null });

  for (const name of ['primary', 'worker']) {
    expect(existsSync(join(folder, name)), name).toBe(true);
    expect(readFileSync(join(folder, name), 'utf8')).toContain('NativeModule http');
    expect(readFileSync(join(folder, name), 'utf8'), name).not.toContain('undici');
  }
});
