import type { ListenAddress, Rate } from '../contracts/settings.ts';
import type { Checker } from './check.ts';
import type { Faults } from './faults.ts';
import type { PortRange } from './formats.ts';
import type { ConfigFile, RouteEntry } from './schema.ts';

/** A checked file in which everything that is wrong is undefined. */
export type Sketch<T> = T extends ListenAddress | Rate | PortRange
  ? T
  : T extends readonly (infer Item)[]
    ? readonly (Sketch<Item> | undefined)[]
    : T extends object
      ? { readonly [K in keyof T]?: Sketch<T[K]> | undefined }
      : T;

/** The rules that concern several values at once. Each takes what it needs as far as that is right. */
export class Rules {
  readonly #file: Sketch<ConfigFile>;
  readonly #checker: Checker;
  readonly #faults: Faults;

  constructor(file: Sketch<ConfigFile>, checker: Checker, faults: Faults) {
    this.#file = file;
    this.#checker = checker;
    this.#faults = faults;
  }

  check(): void {
    const { realms = [], routes = [], embeddedRealm } = this.#file;
    this.#unique(realms, 'realms', 'name');
    this.#unique(routes, 'routes', 'name');
    this.#unique(routes, 'routes', 'endpoint');
    this.#unique(routes, 'routes', 'host');
    this.#unique(embeddedRealm?.users ?? [], 'embeddedRealm.users', 'username');
    routes.forEach((route, i) => this.#route(route, `routes[${i}]`));
    this.#realms();
    this.#addresses();
    this.#backoff();
    this.#driver();
  }

  #report(path: string, message: string): void {
    this.#faults.add(this.#checker.given(path).place, path, message);
  }

  #shown(path: string): string {
    return this.#checker.given(path).shown;
  }

  #unique<K extends string>(
    entries: readonly ({ readonly [P in K]?: unknown } | undefined)[],
    list: string,
    key: K,
  ): void {
    const seen = new Map<unknown, number>();
    entries.forEach((entry, i) => {
      const value = entry?.[key];
      if (value === undefined) return;
      const first = seen.get(value);
      if (first === undefined) seen.set(value, i);
      else {
        const path = `${list}[${i}].${key}`;
        this.#report(
          path,
          `${this.#shown(path)} is taken by ${list}[${first}]; each ${key} has to be unique`,
        );
      }
    });
  }

  #route(route: Sketch<RouteEntry> | undefined, path: string): void {
    if (route === undefined) return;
    const given = ['endpoint', 'host'].filter((key) => this.#checker.has(`${path}.${key}`));
    if (given.length === 0) this.#report(path, 'needs an endpoint such as /hello, or a host');
    if (given.length === 2)
      this.#report(`${path}.host`, 'stands beside endpoint; a route has one of the two');
    if (this.#checker.has(`${path}.limit`)) {
      const limits = ['rate', 'concurrency'].some((key) => this.#checker.has(`${path}.limit.${key}`));
      if (!limits) this.#report(`${path}.limit`, 'limits nothing; it needs a rate, a concurrency, or both');
    }
  }

  /** Every realm that is referred to exists, and none is left open where there are several. */
  #realms(): void {
    const names = this.#realmNames();
    if (names === null) return;
    if (names.length === 0) {
      this.#report('realms', 'is missing; expected a realm, or embeddedRealm for development');
      return;
    }
    this.#reference(this.#file.admin?.realm, 'admin.realm', names);
    this.#file.routes?.forEach((route, i) => {
      if (route !== undefined) this.#reference(route.realm, `routes[${i}].realm`, names);
    });
  }

  /** Null = not known, since something about the realms themselves is wrong. */
  #realmNames(): readonly string[] | null {
    const { realms, embeddedRealm } = this.#file;
    if (this.#checker.has('realms')) {
      const names = realms?.map((realm) => realm?.name) ?? [undefined];
      return names.includes(undefined) ? null : (names as string[]);
    }
    if (!this.#checker.has('embeddedRealm')) return [];
    return embeddedRealm?.name === undefined ? null : [embeddedRealm.name];
  }

  #reference(realm: string | undefined, path: string, names: readonly string[]): void {
    if (this.#checker.has(path)) {
      if (realm === undefined || names.includes(realm)) return;
      this.#report(path, `${this.#shown(path)} is not the name of a realm in this file`);
    } else if (new Set(names).size > 1) {
      this.#report(path, 'is missing; with several realms it has to name one');
    }
  }

  /** No two listeners on one address. Port 0 is always a free one. */
  #addresses(): void {
    const { gateway, admin, embeddedRealm } = this.#file;
    const bound: (readonly [string, ListenAddress | undefined])[] = [
      ['gateway.listen', gateway?.listen],
      ['admin.listen', admin?.listen],
      ['embeddedRealm.listen', embeddedRealm?.listen],
    ];
    bound.forEach(([path, address], i) => {
      if (address === undefined || address.port === 0) return;
      const other = bound.slice(0, i).find(([, taken]) => taken !== undefined && collide(taken, address));
      if (other !== undefined) this.#report(path, `is the same address as ${other[0]}`);
    });
  }

  #backoff(): void {
    const { first, max } = this.#file.services?.local?.restartBackoff ?? {};
    if (first === undefined || max === undefined || first <= max) return;
    this.#report('services.local.restartBackoff.max', 'is shorter than first');
  }

  /** The example's repository is a directory of this machine. */
  #driver(): void {
    const driver = this.#file.services?.driver;
    if (driver !== undefined && driver !== 'local' && this.#checker.has('example')) {
      this.#report('example', `needs services.driver: local, and it is ${driver}`);
    }
  }
}

const EVERY = new Set(['0.0.0.0', '::']);
const LOCAL = new Set(['localhost', '127.0.0.1', '::1']);

function collide(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port) return false;
  if (a.host === b.host || EVERY.has(a.host) || EVERY.has(b.host)) return true;
  const named = a.host === 'localhost' || b.host === 'localhost';
  return named && LOCAL.has(a.host) && LOCAL.has(b.host);
}
