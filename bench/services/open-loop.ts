import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** How long an answer may take, in ms: longer than the gateway lets a request wait for a replica. */
const PATIENCE = 40_000;

/** What the kinds of requests are, in their order; then again from the first. */
const KINDS = [
  { name: 'GET', bytes: 0, chunked: false, kept: true },
  { name: 'POST', bytes: 300, chunked: false, kept: true },
  { name: 'GET, new connection', bytes: 0, chunked: false, kept: false },
  { name: 'GET', bytes: 0, chunked: false, kept: true },
  { name: 'POST, chunked', bytes: 20_000, chunked: true, kept: true },
  { name: 'GET', bytes: 0, chunked: false, kept: true },
  { name: 'POST, new connection', bytes: 2_000, chunked: false, kept: false },
  { name: 'GET', bytes: 0, chunked: false, kept: true },
] as const;

type Kind = (typeof KINDS)[number];

/** One request and what became of it. Times in ms on the clock of `performance.now()`. */
export interface Attempt {
  /** Also its `X-Request-Id`. */
  readonly id: string;
  readonly kind: string;
  /** Sending it twice asks for nothing twice. */
  readonly safe: boolean;
  /** When it had to be sent by the schedule, and when it was. */
  readonly dueAt: number;
  readonly sentAt: number;
  readonly doneAt: number;
  /** What was wrong; null = it was answered as it has to be. */
  readonly fault: string | null;
  /** What answered. */
  readonly version: string | null;
  readonly instance: string | null;
}

export interface OpenLoopOptions {
  readonly url: string;
  readonly token: string;
  /** Requests per second. */
  readonly rate: number;
}

/** Sends requests by a fixed schedule, whether or not earlier ones were answered, until it is stopped. */
export class OpenLoop {
  readonly attempts: Attempt[] = [];
  readonly #options: OpenLoopOptions;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #open = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #stopped = false;
  #next = 0;

  constructor(options: OpenLoopOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Sends nothing more; resolves once everything is answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#open);
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    const every = 1000 / this.#options.rate;
    const startedAt = performance.now();
    while (!this.#stopped) {
      const due = Math.floor((performance.now() - startedAt) / every);
      while (this.#next <= due) this.#send(startedAt + this.#next * every);
      await delay(Math.max(1, startedAt + this.#next * every - performance.now()));
    }
  }

  #send(dueAt: number): void {
    const number = this.#next++;
    const kind = KINDS[number % KINDS.length]!;
    const id = `bench-${number}`;
    const sentAt = performance.now();
    const attempt = this.#exchange(id, kind)
      .then(
        (answer) => judge(id, kind, answer),
        (error: unknown) => ({ ...UNANSWERED, fault: `broken: ${messageOf(error)}` }),
      )
      .then((outcome) => {
        const safe = kind.bytes === 0;
        const times = { dueAt, sentAt, doneAt: performance.now() };
        this.attempts.push({ id, kind: kind.name, safe, ...times, ...outcome });
        this.#open.delete(attempt);
      });
    this.#open.add(attempt);
  }

  async #exchange(id: string, kind: Kind): Promise<{ status: number; body: string }> {
    const { url, token } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = httpRequest(`${url}/${id}`, {
      method: kind.bytes === 0 ? 'GET' : 'POST',
      agent: kind.kept ? this.#agent : false,
      signal: AbortSignal.timeout(PATIENCE),
      headers: {
        authorization: `Bearer ${token}`,
        'x-request-id': id,
        ...(kind.bytes > 0 && !kind.chunked ? { 'content-length': kind.bytes } : {}),
      },
    });
    outgoing.on('response', resolve).on('error', reject);
    if (kind.bytes > 0) {
      const half = Buffer.alloc(kind.bytes / 2, 'x');
      outgoing.write(half);
      outgoing.end(half);
    } else {
      outgoing.end();
    }
    const response = await promise;
    response.setEncoding('utf8');
    let body = '';
    for await (const piece of response as AsyncIterable<string>) body += piece;
    return { status: response.statusCode ?? 0, body };
  }
}

const UNANSWERED = { version: null, instance: null };

function judge(id: string, kind: Kind, { status, body }: { status: number; body: string }) {
  let said: Record<string, unknown>;
  try {
    said = JSON.parse(body) as Record<string, unknown>;
  } catch {
    return { ...UNANSWERED, fault: `${status} with something else than JSON` };
  }
  if (status !== 200) return { ...UNANSWERED, fault: `${status} ${String(said['code'])}` };
  const { version, instance } = said;
  const right = said['id'] === id && said['bytes'] === kind.bytes;
  return {
    fault: right ? null : `an answer to something else: ${body.slice(0, 200)}`,
    version: String(version),
    instance: String(instance),
  };
}

function messageOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
