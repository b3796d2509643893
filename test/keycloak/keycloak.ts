import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { freePort } from '../support/free-port.ts';
import { endGroup, groupAlive } from '../support/process-group.ts';
import { AdminApi, ADMIN } from './admin-api.ts';
import { keycloakEnvironment, makeKeycloakHome } from './keycloak-home.ts';
import { KeycloakRealm } from './keycloak-realm.ts';

/** Milliseconds: for a slow machine; 8 to 13 s are usual here. */
const START_DEADLINE = 180_000;
const STOP_GRACE = 30_000;

/** Runs Keycloak, and ends it when the process that owns it is no more, however that one died. */
const GUARD = `
"$@" & server=$!
while kill -0 "$server" && kill -0 "$OWNER"; do sleep 1; done 2>/dev/null
kill -TERM 0`;

/** Where a Keycloak stands: plain data, so that several test processes can speak of the same one. */
export interface KeycloakPlace {
  readonly folder: string;
  readonly port: number;
  /** The process that must be alive for Keycloak to stay alive. */
  readonly owner: number;
}

/**
 * A real Keycloak in a folder of its own, under `/auth`, on one port of 127.0.0.1 for its whole life.
 *
 * It takes the host that clients see from `X-Forwarded-*`, so that tokens asked for through the gateway carry the
 * gateway's address as issuer. Its database is a file: realms, users, keys and sessions outlive `stop` and `kill`.
 *
 * Tests get the one that all files under test/keycloak share from `sharedKeycloak()`. They may stop it, but must
 * leave it running; each file makes realms of its own.
 */
export class Keycloak {
  /** `http://127.0.0.1:PORT/auth` */
  readonly url: string;
  /** Everything Keycloak printed, over all of its starts. */
  readonly logFile: string;
  readonly admin: AdminApi;
  readonly #place: KeycloakPlace;

  constructor(place: KeycloakPlace) {
    this.#place = place;
    this.url = `http://127.0.0.1:${place.port}/auth`;
    this.logFile = join(place.folder, 'keycloak.log');
    this.admin = new AdminApi(this.url);
  }

  /** A place for a Keycloak that ends with this process. Nothing is started or built yet. */
  static async makePlace(): Promise<KeycloakPlace> {
    const folder = mkdtempSync(join(tmpdir(), 'realmgate-keycloak-'));
    return { folder, port: await freePort(), owner: process.pid };
  }

  /** Id of the process group that `start` made last; null = never started. */
  get processGroup(): number | null {
    const file = join(this.#place.folder, 'group');
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : null;
  }

  get running(): boolean {
    const group = this.processGroup;
    return group !== null && groupAlive(group);
  }

  /** Resolves when Keycloak says that it is ready. Rejects with the end of its log when it ends or takes too long. */
  async start(): Promise<void> {
    if (this.running) throw new Error('Keycloak runs already');
    const home = join(this.#place.folder, 'home');
    if (!existsSync(home)) {
      mkdirSync(home);
      await makeKeycloakHome(home);
    }
    const log = openSync(this.logFile, 'a');
    const program = [join(home, 'bin/kc.sh'), 'start', '--optimized', ...this.#startOptions()];
    const child = spawn('sh', ['-c', GUARD, 'keycloak', ...program], {
      detached: true,
      stdio: ['ignore', log, log],
      env: {
        ...keycloakEnvironment(),
        OWNER: String(this.#place.owner),
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
      },
    });
    closeSync(log);
    child.unref();
    if (child.pid === undefined) throw new Error('sh could not be started');
    writeFileSync(join(this.#place.folder, 'group'), String(child.pid));
    await this.#ready(child.pid);
  }

  /** SIGTERM, as an orderly shutdown; resolves when every process is gone. Harmless when it does not run. */
  async stop(): Promise<void> {
    if (this.processGroup !== null) await endGroup(this.processGroup, 'SIGTERM', STOP_GRACE);
  }

  /** SIGKILL, as a crash; resolves when every process is gone. */
  async kill(): Promise<void> {
    if (this.processGroup !== null) await endGroup(this.processGroup, 'SIGKILL', STOP_GRACE);
  }

  /** Stops it and removes its folder. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#place.folder, { recursive: true, force: true });
  }

  /**
   * Creates a realm. `settings` are fields of Keycloak's RealmRepresentation, such as
   * `{accessTokenLifespan: 60, ssoSessionIdleTimeout: 120}` (seconds).
   */
  async createRealm(name: string, settings: Record<string, unknown> = {}): Promise<KeycloakRealm> {
    await this.admin.post('/realms', { realm: name, enabled: true, sslRequired: 'none', ...settings });
    return new KeycloakRealm(this.url, this.admin, name);
  }

  #startOptions(): string[] {
    return [
      '--http-enabled=true',
      '--http-host=127.0.0.1',
      `--http-port=${this.#place.port}`,
      '--proxy-headers=xforwarded',
      '--hostname-strict=false',
    ];
  }

  async #ready(group: number): Promise<void> {
    const deadline = Date.now() + START_DEADLINE;
    for (;;) {
      const health = await fetch(`${this.url}/health/ready`).catch(() => null);
      await health?.arrayBuffer();
      if (health?.ok === true) return;
      if (!groupAlive(group) || Date.now() > deadline) {
        await endGroup(group, 'SIGKILL', 0);
        const tail = readFileSync(this.logFile, 'utf8').split('\n').slice(-30).join('\n');
        throw new Error(`Keycloak did not become ready. The end of its log:\n${tail}`);
      }
      await delay(100);
    }
  }
}
