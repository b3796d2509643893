import { randomBytes, randomInt } from 'node:crypto';
import { checkBytes, checkEcho, checkRefusal, problemOf, Wrong } from './checks.ts';
import { Refused, type Answer, type Client } from './exchange.ts';
import type { Identities, Identity } from './identities.ts';
import type { Changing } from './reloads.ts';
import type { Timeline } from './timeline.ts';
import { pattern } from './upstream.ts';

export interface KindContext {
  readonly client: Client;
  readonly identities: Identities;
  readonly changing: Timeline<Changing>;
}

/** One kind of exchange: it rejects with `Wrong` where an answer is not what it has to be. */
export interface Kind {
  readonly name: string;
  /** How often it comes, relative to the others. */
  readonly weight: number;
  readonly run: (context: KindContext) => Promise<void>;
}

/** A client that claims to be somebody else, in every spelling. */
const SPOOFED = { 'x-forwarded-user': 'mallory', X_Forwarded_Preferred_Username: 'mallory' };

const LARGEST_BODY = 256 * 1024;
const LARGEST_STREAM = 4 * 1024 * 1024;

/** This near to its end, in ms, a token may already or may still be accepted: two clocks are involved. */
const ABOUT_NOW = 1_500;

let serial = 0;

export const KINDS: readonly Kind[] = [
  {
    name: 'good token',
    weight: 30,
    run: async (context) => {
      await echo(context, await context.identities.good());
    },
  },
  {
    name: 'role that fits',
    weight: 5,
    run: async (context) => {
      await echo(context, await context.identities.good(true), '/editors');
    },
  },
  {
    name: 'wrong role',
    weight: 5,
    run: async ({ client, identities }) => {
      const { token } = await identities.good(false);
      checkRefusal(
        await client.call({ path: '/editors/echo', headers: bearer(token) }),
        403,
        'access_denied',
      );
    },
  },
  {
    name: 'no token',
    weight: 5,
    run: async ({ client }) => checkRefusal(await client.call({ path: '/open/echo' }), 401, 'token_missing'),
  },
  ...(['expired', 'foreign', 'forged', 'malformed'] as const).map((kind): Kind => ({
    name: `${kind} token`,
    weight: 4,
    run: async ({ client, identities }) => {
      const token = await identities.bad(kind);
      const code = kind === 'expired' ? 'token_expired' : 'token_invalid';
      checkRefusal(await client.call({ path: '/open/echo', headers: bearer(token) }), 401, code);
    },
  })),
  { name: 'token that ends', weight: 3, run: endingToken },
  { name: 'token of any key', weight: 8, run: tokenOfAnyKey },
  {
    name: 'no such service',
    weight: 2,
    run: async ({ client, identities }) => {
      const { token } = await identities.good();
      checkRefusal(await client.call({ path: '/nowhere', headers: bearer(token) }), 404, 'no_such_service');
    },
  },
  {
    name: 'ambiguous path',
    weight: 2,
    run: async ({ client, identities }) => {
      const { token } = await identities.good(false);
      const path = '/open/..%2feditors/echo';
      checkRefusal(await client.call({ path, headers: bearer(token) }), 400, 'ambiguous_path');
    },
  },
  { name: 'changing route', weight: 10, run: changingRoute },
  { name: 'body sent back', weight: 10, run: bodySentBack },
  { name: 'stream', weight: 3, run: stream },
  { name: 'WebSocket', weight: 4, run: webSocket },
  {
    name: 'WebSocket without token',
    weight: 1,
    run: async ({ client }) => {
      const status = await client.open('/open/socket', null).then(
        () => 101,
        (error: unknown) => {
          if (error instanceof Refused) return error.status;
          throw error;
        },
      );
      if (status !== 401) throw new Wrong(`a handshake without a token got ${status}`);
    },
  },
];

/** A GET as this user, whose answer must say so. */
async function echo({ client }: KindContext, identity: Identity, route = '/open'): Promise<void> {
  const target = `/echo?n=${++serial}`;
  const headers = { ...bearer(identity.token), ...SPOOFED };
  checkEcho(await client.call({ path: route + target, headers }), identity, target);
}

/** Good up to the second, and then no longer. */
async function endingToken({ client, identities }: KindContext): Promise<void> {
  const identity = await endingIdentity(identities);
  const before = Date.now();
  const target = `/echo?n=${++serial}`;
  const answer = await client.call({ path: `/open${target}`, headers: bearer(identity.token) });
  const [since, until] = [identity.expiresAt - ABOUT_NOW, identity.expiresAt + ABOUT_NOW];
  if (Date.now() < since || (before < until && answer.status === 200)) checkEcho(answer, identity, target);
  else checkRefusal(answer, 401, 'token_expired');
}

/** Shared for a while, so that the token is known when it ends. */
let ending: Promise<Identity> | null = null;
let endingUntil = 0;

function endingIdentity(identities: Identities): Promise<Identity> {
  if (ending === null || Date.now() > endingUntil) {
    ending = identities.brief(4);
    endingUntil = Date.now() + 8_000;
  }
  return ending;
}

/** Signed with a key that the realm has, no longer has, or has for a moment only. */
async function tokenOfAnyKey(context: KindContext): Promise<void> {
  const { identity, key } = await context.identities.any();
  const target = `/echo?n=${++serial}`;
  const watched = key.good.watch();
  const answer = await context.client.call({ path: `/open${target}`, headers: bearer(identity.token) });
  const right = watched();
  if (right.includes(true) && answer.status === 200) checkEcho(answer, identity, target);
  else if (right.includes(false)) checkRefusal(answer, 401, 'token_invalid');
  else throw new Wrong(`${answer.status} ${problemOf(answer.body)} for a token of a key that the realm has`);
}

async function changingRoute({ client, identities, changing }: KindContext): Promise<void> {
  const identity = await identities.good(false);
  const target = `/echo?n=${++serial}`;
  const watched = changing.watch();
  const answer = await client.call({ path: `/changing${target}`, headers: bearer(identity.token) });
  const right = watched();
  const is = stateOf(answer, identity, target);
  if (!right.includes(is))
    throw new Wrong(`the changing route is ${is} instead of ${[...new Set(right)].join(' or ')}`);
}

function stateOf(answer: Answer, identity: Identity, target: string): Changing {
  if (answer.status === 200) return checkEcho(answer, identity, target) === 'two' ? 'two' : 'one';
  if (answer.status === 403) {
    checkRefusal(answer, 403, 'access_denied');
    return 'editors';
  }
  checkRefusal(answer, 404, 'no_such_service');
  return 'absent';
}

async function bodySentBack({ client, identities }: KindContext): Promise<void> {
  const { token } = await identities.good();
  const bytes = randomBytes(randomInt(LARGEST_BODY));
  const body = { bytes, chunked: randomInt(2) === 0 };
  const answer = await client.call({ method: 'POST', path: '/open/body', headers: bearer(token), body });
  if (answer.status !== 200) throw new Wrong(`${answer.status} ${problemOf(answer.body)} for a body`);
  checkBytes(answer.body, bytes, 'a body that was sent back');
}

async function stream({ client, identities }: KindContext): Promise<void> {
  const { token } = await identities.good();
  const [bytes, seed] = [randomInt(LARGEST_STREAM), randomInt(256)];
  const path = `/open/stream?bytes=${bytes}&seed=${seed}`;
  const answer = await client.call({ path, headers: bearer(token) });
  if (answer.status !== 200) throw new Wrong(`${answer.status} ${problemOf(answer.body)} for a stream`);
  checkBytes(answer.body, pattern(0, bytes, seed), 'a stream');
}

async function webSocket({ client, identities }: KindContext): Promise<void> {
  const { token } = await identities.good();
  const socket = await client.open('/open/socket', token);
  try {
    for (let i = 0; i < 5; i++) {
      const message = randomBytes(1 + randomInt(20_000));
      checkBytes(await socket.echo(message), message, 'a WebSocket message');
    }
  } finally {
    socket.close();
  }
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
