import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attempt } from './open-loop.ts';

/** A replica that was killed. Times on the clock of `performance.now()`. */
export interface Kill {
  /** As it named itself: its port comes first. */
  readonly instance: string;
  /** When the signal was sent. */
  readonly at: number;
  /** When the kernel had ended it with its connections: until then it still took new ones. */
  readonly deadAt: number;
}

/** What the gateway's log says of a request whose upstream failed. */
interface Logged {
  readonly upstream: string;
  /** `reset`: the request had been sent there. */
  readonly kind: string;
  readonly detail: string;
}

/**
 * `in flight`: the killed replica had read it and had not answered. `unread`: it had been sent to the killed replica,
 * which died before it read it, and must not be sent twice. `wrong`: it must not have failed.
 */
export type Verdict = 'in flight' | 'unread' | 'wrong';

/** For so long after the end of a replica, in ms, a gateway that is busy may not have noticed it. */
const UNNOTICED = 100;

/** Tells the failures that a kill excuses from all others. */
export class Losses {
  readonly #arrivals: string;
  readonly #kills: Kill[] = [];
  readonly #logged = new Map<string, Logged>();

  /** `arrivals`: the folder in which replicas write down what arrives. */
  constructor(arrivals: string) {
    this.#arrivals = arrivals;
  }

  killed(kill: Kill): void {
    this.#kills.push(kill);
  }

  /** Takes a line of the gateway's log. */
  log(line: string): void {
    if (!line.includes('"An upstream failed"')) return;
    const { requestId, ...logged } = JSON.parse(line) as Logged & { readonly requestId: string };
    this.#logged.set(requestId, logged);
  }

  verdict(attempt: Attempt): Verdict {
    for (const kill of this.#kills) {
      if (attempt.doneAt < kill.at || attempt.sentAt > kill.deadAt + UNNOTICED) continue;
      if (this.#arrived(kill.instance).has(attempt.id)) return 'in flight';
      if (this.#died(attempt, kill)) return 'unread';
    }
    return 'wrong';
  }

  /** What the gateway says of a failure. */
  reasonOf(id: string): string {
    const logged = this.#logged.get(id);
    return logged === undefined
      ? 'of which the gateway says nothing'
      : `${logged.upstream} ${logged.kind}: ${logged.detail}`;
  }

  /**
   * Whether it was sent to the replica and died with it. On a kept connection what is safe is sent once more, and so
   * can be lost on a new one alone, which the replica took while it lived.
   */
  #died({ id, safe, sentAt }: Attempt, { instance, deadAt }: Kill): boolean {
    const logged = this.#logged.get(id);
    if (logged?.kind !== 'reset') return false;
    return logged.upstream.endsWith(`:${instance.split('-', 1)[0]!}`) && (!safe || sentAt <= deadAt);
  }

  #arrived(instance: string): Set<string> {
    return new Set(readFileSync(join(this.#arrivals, instance), 'utf8').split('\n'));
  }
}
