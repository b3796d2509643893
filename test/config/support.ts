import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import type { Fault, Loaded } from '../../src/config/load.ts';
import type { Settings } from '../../src/contracts/settings.ts';

/** A directory that is gone after the test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'realmgate-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function load(
  text: string | Uint8Array,
  env: NodeJS.ProcessEnv = {},
  name = 'realmgate.yaml',
): Promise<Loaded> {
  const file = join(scratch(), name);
  writeFileSync(file, text);
  return loadSettings(file, env);
}

export async function settingsOf(text: string, env: NodeJS.ProcessEnv = {}): Promise<Settings> {
  const loaded = await load(text, env);
  if (!loaded.ok) throw new Error(`The file has faults: ${JSON.stringify(loaded.faults, null, 1)}`);
  return loaded.settings;
}

/** Each fault as `line:column path: message`. */
export async function faultsOf(text: string | Uint8Array, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const loaded = await load(text, env);
  return loaded.ok ? [] : loaded.faults.map(line);
}

export function line({ line, column, path, message }: Fault): string {
  return `${line}:${column} ${path}: ${message}`;
}

export const REALM = 'realms: [{name: demo, url: "http://127.0.0.1:8082/auth/realms/demo"}]\n';
