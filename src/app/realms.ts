import type { RealmSettings } from '../contracts/settings.ts';
import type { RealmSnapshot } from '../contracts/snapshot.ts';
import type { RealmQuestions } from '../control/worker-pool.ts';
import {
  createRealmKeeper,
  type RealmKeeper,
  type RealmKeeperDeps,
  type RealmStatus,
} from '../realm/realm-keeper.ts';

interface Kept {
  readonly keeper: RealmKeeper;
  /** What the keeper was made from. */
  readonly made: string;
}

interface AcceptedLogout {
  readonly realm: string;
  readonly token: string;
}

/** The keepers of all configured realms. A reload replaces those whose settings changed and leaves the others alone. */
export class Realms implements RealmQuestions {
  readonly #deps: Omit<RealmKeeperDeps, 'publish' | 'publicUrl'>;
  readonly #publish: (realms: readonly RealmSnapshot[]) => void;
  #kept: ReadonlyMap<string, Kept> = new Map();
  /** Keepers that are about to be in force. */
  #starting: readonly RealmKeeper[] = [];
  /** Logouts that were accepted meanwhile: the next keeper has to know them too. */
  readonly #logouts: AcceptedLogout[] = [];
  #applied: Promise<void> = Promise.resolve();
  readonly #retiring = new Set<Promise<void>>();
  #stopped = false;

  /** `publish` gets all realms whenever a keeper in force has something new. */
  constructor(
    deps: Omit<RealmKeeperDeps, 'publish' | 'publicUrl'>,
    publish: (realms: readonly RealmSnapshot[]) => void,
  ) {
    this.#deps = deps;
    this.#publish = publish;
  }

  /**
   * Resolves once the first fetch of every new realm has ended, well or not; what was in force stays until then.
   * The caller publishes `snapshots()` itself, at once and together with the routes that name these realms. Calls
   * are handled one after the other.
   */
  apply(settings: readonly RealmSettings[], publicUrl: string | null): Promise<void> {
    const applied = this.#applied.then(() =>
      this.#stopped ? undefined : this.#replace(settings, publicUrl),
    );
    this.#applied = applied.catch(() => undefined);
    return applied;
  }

  snapshots(): RealmSnapshot[] {
    return [...this.#kept.values()].map(({ keeper }) => keeper.snapshot());
  }

  statuses(): RealmStatus[] {
    return [...this.#kept.values()].map(({ keeper }) => keeper.status());
  }

  async refreshKeys(realm: string): Promise<void> {
    await this.#keeper(realm)?.refreshKeys();
  }

  async introspect(realm: string, token: string): Promise<Record<string, unknown> | null> {
    return (await this.#keeper(realm)?.introspect(token)) ?? null;
  }

  async backchannelLogout(realm: string, logoutToken: string): Promise<boolean> {
    const keeper = this.#keeper(realm);
    if (keeper === undefined || !(await keeper.backchannelLogout(logoutToken))) return false;
    if (this.#starting.length > 0) this.#logouts.push({ realm, token: logoutToken });
    // It may also have been replaced while it wrote to the disk.
    const now = this.#keeper(realm);
    if (now !== keeper) await now?.backchannelLogout(logoutToken);
    return true;
  }

  /** Ends every keeper, those about to start as well. Resolves once the disk has everything. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const keepers = [...this.#kept.values()].map(({ keeper }) => keeper);
    await Promise.all([...keepers, ...this.#starting].map((keeper) => keeper.stop()));
    await this.#applied;
    await Promise.all(this.#retiring);
  }

  #keeper(realm: string): RealmKeeper | undefined {
    return this.#kept.get(realm)?.keeper;
  }

  async #replace(settings: readonly RealmSettings[], publicUrl: string | null): Promise<void> {
    const next = new Map<string, Kept>();
    const fresh: RealmKeeper[] = [];
    for (const realm of settings) {
      const made = JSON.stringify([realm, publicUrl]);
      const before = this.#kept.get(realm.name);
      if (before?.made === made) {
        next.set(realm.name, before);
        continue;
      }
      const keeper = this.#create(realm, publicUrl);
      fresh.push(keeper);
      next.set(realm.name, { keeper, made });
    }
    this.#starting = fresh;
    await Promise.all(fresh.map((keeper) => keeper.start()));
    // A keeper read the ended sessions from the disk when it started; those of the time since then are told to it.
    for (let logout = this.#logouts.shift(); logout !== undefined; logout = this.#logouts.shift()) {
      await this.#handOver(logout, next);
    }
    // From here to the end nothing is awaited: no logout falls between the old keepers and the new ones.
    this.#starting = [];
    if (this.#stopped) return;
    for (const [name, { keeper }] of this.#kept) {
      if (next.get(name)?.keeper !== keeper) this.#retire(keeper);
    }
    this.#kept = next;
  }

  #create(realm: RealmSettings, publicUrl: string | null): RealmKeeper {
    const publish = (): void => {
      if (this.#keeper(realm.name) === keeper) this.#publish(this.snapshots());
    };
    const keeper = createRealmKeeper(realm, { ...this.#deps, publicUrl, publish });
    return keeper;
  }

  async #handOver({ realm, token }: AcceptedLogout, next: ReadonlyMap<string, Kept>): Promise<void> {
    const keeper = next.get(realm)?.keeper;
    if (keeper === this.#keeper(realm)) return;
    // Where the disk fails, the keeper knows the session all the same, and its log tells.
    await keeper?.backchannelLogout(token).catch(() => undefined);
  }

  #retire(keeper: RealmKeeper): void {
    const stopped = keeper.stop().finally(() => this.#retiring.delete(stopped));
    this.#retiring.add(stopped);
  }
}
