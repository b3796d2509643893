import type { ServiceEvent } from '../../contracts/service.ts';
import type { Api } from '../api.ts';
import type { Progress } from '../progress.ts';
import { eventLine } from './event-lines.ts';

/** Events of one service, each given once. */
export class EventFeed {
  readonly #api: Api;
  readonly #id: string;
  /** By their JSON: the API keeps a bounded number, so a count of them would not do. */
  #known = new Set<string>();

  constructor(api: Api, id: string) {
    this.#api = api;
    this.#id = id;
  }

  /** Those that came since the last call, oldest first. */
  async next(): Promise<readonly ServiceEvent[]> {
    const { items } = await this.#api.events(this.#id);
    const fresh = items.filter((event) => !this.#known.has(JSON.stringify(event)));
    this.#known = new Set(items.map((event) => JSON.stringify(event)));
    return oldestFirst(fresh);
  }

  /** Those, after they were told. */
  async show(progress: Progress): Promise<readonly ServiceEvent[]> {
    const fresh = await this.next();
    for (const event of fresh) progress.line(eventLine(event, this.#id));
    return fresh;
  }
}

/** In whatever order the API gives them; those of one instant stay as they are. */
export function oldestFirst(events: readonly ServiceEvent[]): readonly ServiceEvent[] {
  const [first, last] = [events[0], events.at(-1)];
  const newestFirst = first !== undefined && last !== undefined && first.at > last.at;
  return (newestFirst ? events.toReversed() : [...events]).sort((a, b) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : 0,
  );
}
