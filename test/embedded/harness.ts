import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { EmbeddedRealmSettings } from '../../src/contracts/settings.ts';
import { startEmbeddedRealm } from '../../src/embedded/realm.ts';
import type { EmbeddedRealm } from '../../src/embedded/realm.ts';

export const SETTINGS: EmbeddedRealmSettings = {
  listen: { host: '127.0.0.1', port: 0 },
  name: 'demo',
  users: [
    { username: 'alice', password: 'wonderland', roles: ['editor'] },
    { username: 'admin', password: 'admin', roles: ['realmgate-admin'] },
  ],
};

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export interface StartedRealm extends EmbeddedRealm {
  readonly dataDir: string;
  readonly logged: readonly LogLine[];
}

/** Starts a realm in a directory of its own, which goes with the test. */
export async function startRealm(
  changes: Partial<EmbeddedRealmSettings> = {},
  dataDir?: string,
): Promise<StartedRealm> {
  const directory = dataDir ?? (await mkdtemp(join(tmpdir(), 'realmgate-embedded-')));
  const logged: LogLine[] = [];
  const line = (level: LogLine['level']) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const log = { info: line('info'), warn: line('warn'), error: line('error') };
  const realm = await startEmbeddedRealm({ ...SETTINGS, ...changes }, { dataDir: directory, log });
  let open = true;
  const close = async () => {
    if (open) await realm.close();
    open = false;
  };
  onTestFinished(async () => {
    await close();
    await rm(directory, { recursive: true, force: true });
  });
  return { ...realm, close, dataDir: directory, logged };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export async function ask(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, text, json };
}

/** Posts a form to one of the realm's `protocol/openid-connect` endpoints. */
export function post(
  realm: { readonly url: string },
  endpoint: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask(`${realm.url}/protocol/openid-connect/${endpoint}`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(form),
  });
}

/** The password grant for alice, changed by `form`. */
export function signIn(realm: { readonly url: string }, form: Record<string, string> = {}): Promise<Answer> {
  return post(realm, 'token', {
    grant_type: 'password',
    client_id: 'istio',
    username: 'alice',
    password: 'wonderland',
    ...form,
  });
}

export function refresh(realm: { readonly url: string }, refreshToken: unknown): Promise<Answer> {
  return post(realm, 'token', {
    grant_type: 'refresh_token',
    client_id: 'istio',
    refresh_token: String(refreshToken),
  });
}

export function basic({ introspection }: EmbeddedRealm): Record<string, string> {
  const { clientId, clientSecret } = introspection;
  return { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` };
}

export function introspect(realm: EmbeddedRealm, token: unknown): Promise<Answer> {
  return post(realm, 'token/introspect', { token: String(token) }, basic(realm));
}
