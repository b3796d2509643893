import type { RealmSettings } from '../contracts/settings.ts';
import type { RealmSnapshot } from '../contracts/snapshot.ts';
import type { RealmQuestions } from '../control/worker-pool.ts';
import {
  createRealmKeeper,
  type RealmKeeper,
  type RealmKeeperDeps,
  type RealmStatus,
} from '../realm/realm-keeper.ts';

/** The keepers of all configured realms. A reload replaces those whose settings changed and leaves the others alone. */
export class Realms implements RealmQuestions {
  readonly #deps: Omit<RealmKeeperDeps, 'publish' | 'publicUrl'>;
  readonly #publish: (realms: readonly RealmSnapshot[]) => void;
  #keepers = new Map<string, { readonly keeper: RealmKeeper; readonly made: string }>();

  constructor(
    deps: Omit<RealmKeeperDeps, 'publish' | 'publicUrl'>,
    publish: (realms: readonly RealmSnapshot[]) => void,
  ) {
    this.#deps = deps;
    this.#publish = publish;
  }

  /** Resolves once the first fetch of every new realm has ended, well or not; what was in force stays until then. */
  async apply(settings: readonly RealmSettings[], publicUrl: string | null): Promise<void> {
    const next = new Map<string, { keeper: RealmKeeper; made: string }>();
    const fresh: RealmKeeper[] = [];
    for (const realm of settings) {
      const made = JSON.stringify([realm, publicUrl]);
      const before = this.#keepers.get(realm.name);
      if (before?.made === made) {
        next.set(realm.name, before);
        continue;
      }
      const publish = (): void => {
        if (this.#keepers.get(realm.name)?.keeper === keeper) this.#publish(this.snapshots());
      };
      const keeper = createRealmKeeper(realm, { ...this.#deps, publicUrl, publish });
      fresh.push(keeper);
      next.set(realm.name, { keeper, made });
    }
    await Promise.all(fresh.map((keeper) => keeper.start()));
    const replaced = [...this.#keepers.values()].filter(
      ({ keeper }) => ![...next.values()].some((one) => one.keeper === keeper),
    );
    this.#keepers = next;
    this.#publish(this.snapshots());
    await Promise.all(replaced.map(({ keeper }) => keeper.stop()));
  }

  snapshots(): RealmSnapshot[] {
    return [...this.#keepers.values()].map(({ keeper }) => keeper.snapshot());
  }

  statuses(): RealmStatus[] {
    return [...this.#keepers.values()].map(({ keeper }) => keeper.status());
  }

  async refreshKeys(realm: string): Promise<void> {
    await this.#keepers.get(realm)?.keeper.refreshKeys();
  }

  async introspect(realm: string, token: string): Promise<Record<string, unknown> | null> {
    return (await this.#keepers.get(realm)?.keeper.introspect(token)) ?? null;
  }

  async backchannelLogout(realm: string, logoutToken: string): Promise<boolean> {
    return (await this.#keepers.get(realm)?.keeper.backchannelLogout(logoutToken)) ?? false;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#keepers.values()].map(({ keeper }) => keeper.stop()));
  }
}
