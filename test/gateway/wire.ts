import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type { Route } from '../../src/contracts/settings.ts';
import {
  issueToken,
  route,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestGatewayOptions,
  type TestUpstream,
} from '../support/gateway.ts';
import {
  headerValues,
  parseResponses,
  type RawResponse,
  untilResponses,
} from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';

/** A gateway and one service behind it, under `/hello` (a token is needed) and `/open` (public). */
export interface Wire extends TestGateway {
  readonly upstream: TestUpstream;
  /** A header line with a good token. */
  readonly bearer: string;
}

export interface WireOptions {
  readonly answer?: RequestListener;
  readonly hello?: Partial<Route>;
  readonly routes?: (origin: string) => readonly Route[];
  readonly settings?: TestGatewayOptions['settings'];
}

export const HOST = 'Host: api.example.com\r\n';

export async function startWire({ answer, hello, routes, settings }: WireOptions = {}): Promise<Wire> {
  const upstream = await startUpstream(answer);
  const gateway = await startGateway({
    routes: routes?.(upstream.origin) ?? [
      route({ upstream: [upstream.origin], ...hello }),
      route({ name: 'open', endpoint: '/open', public: true, upstream: [upstream.origin] }),
    ],
    ...(settings === undefined ? {} : { settings }),
  });
  return { ...gateway, upstream, bearer: `Authorization: Bearer ${await issueToken()}\r\n` };
}

/** Sends bytes that end the connection, and takes the answers apart. Fails when a reset could have destroyed one. */
export async function exchange(wire: Wire, bytes: string | Buffer, methods: readonly string[] = []) {
  const { text, reset } = await rawRequest(wire.port, bytes);
  expect(reset).toBe(false);
  return parseResponses(text, methods);
}

/** One GET with a token on a connection of its own; `headers` are lines with their line ends. */
async function get(wire: Wire, target: string, headers = ''): Promise<RawResponse> {
  const bytes = `GET ${target} HTTP/1.1\r\n${HOST}${wire.bearer}Connection: close\r\n${headers}\r\n`;
  const [answer] = await exchange(wire, bytes);
  return answer!;
}

/** What one service saw of one GET. */
export async function seenOf(wire: Wire, target: string, headers = '') {
  expect(await get(wire, target, headers)).toMatchObject({ status: 200 });
  return wire.upstream.seen.at(-1)!;
}

/** The problem details of an error answer, after checking the form that all of them have. */
export function problemOf(answer: RawResponse): Record<string, unknown> {
  expect(headerValues(answer, 'content-type')).toEqual(['application/problem+json']);
  const problem = JSON.parse(answer.body) as Record<string, unknown>;
  expect(Object.keys(problem).sort()).toEqual(['code', 'detail', 'requestId', 'status', 'title', 'type']);
  expect(problem['status']).toBe(answer.status);
  return problem;
}

/** The one and only answer to `bytes` is this error, the connection closes, and no service was even connected to. */
export async function expectRefused(
  wire: Wire,
  bytes: string | Buffer,
  status: number,
  code: string,
): Promise<void> {
  const answers = await exchange(wire, bytes);
  expect(answers).toHaveLength(1);
  expect({ ...problemOf(answers[0]!), bytes }).toMatchObject({ status, code, bytes });
  expect(headerValues(answers[0]!, 'connection')).toEqual(['close']);
  expectUntouched(wire);
}

/** The same where the connection may go on: the answer to a single request. */
export async function expectAnswered(
  wire: Wire,
  bytes: string | Buffer,
  status: number,
  code: string,
): Promise<void> {
  const { text } = await rawRequest(wire.port, bytes, { until: untilResponses(1) });
  const answers = parseResponses(text);
  expect(answers).toHaveLength(1);
  expect({ ...problemOf(answers[0]!), bytes }).toMatchObject({ status, code, bytes });
  expectUntouched(wire);
}

export function expectUntouched({ gateway, upstream }: Wire): void {
  expect(upstream.seen).toEqual([]);
  expect(gateway.client.connections()).toEqual({ active: 0, idle: 0 });
}

/** Nothing is left of what was under way, and nothing went wrong inside. */
export async function expectQuiet(wire: Wire): Promise<void> {
  const { gateway, server, logged } = wire;
  await expect
    .poll(() => ({
      inFlight: gateway.inFlight,
      connections: server.connections,
      watched: gateway.deadlines.size,
      upstream: gateway.client.connections().active,
    }))
    .toEqual({ inFlight: 0, connections: 0, watched: 0, upstream: 0 });
  expect(logged.filter(({ message }) => message !== 'An upstream failed')).toEqual([]);
  expect(wire.accessLog().filter(({ status }) => status === 500)).toEqual([]);
}

/** An open connection to the gateway, for what a single exchange of bytes does not cover. */
export async function connected({ port }: Pick<Wire, 'port'>): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket.setEncoding('latin1');
}

/** Reads from the connection until `text` has arrived; resolves to everything since the last call. */
export async function until(socket: Socket, text: string): Promise<string> {
  let received = '';
  while (!received.includes(text)) {
    const [chunk] = (await once(socket, 'data')) as [string];
    received += chunk;
  }
  return received;
}
