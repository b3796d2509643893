import { expect } from 'vitest';
import type { GatewaySettings, PassthroughSettings, Route } from '../../src/contracts/settings.ts';
import {
  realmSnapshot,
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../support/gateway.ts';
import { parseResponses, type RawResponse } from '../support/parse-responses.ts';
import { rawRequest } from '../support/raw-request.ts';

export const TOKEN_PATH = '/auth/realms/demo/protocol/openid-connect/token';

/** The password grant as a public client sends it. */
export const PASSWORD_FORM = 'grant_type=password&client_id=istio&username=alice&password=wonderland';

export interface RealmWireOptions {
  readonly url?: string;
  readonly passthrough?: Partial<PassthroughSettings>;
  readonly backchannelLogout?: boolean;
  readonly settings?: Partial<GatewaySettings>;
  readonly routes?: readonly Route[];
}

/** A gateway in front of the realm `demo` at `url`. */
export function gatewayTo(url: string, options: RealmWireOptions = {}): Promise<TestGateway> {
  const { passthrough } = realmSnapshot().settings;
  const realm = realmSnapshot({
    url,
    passthrough: { ...passthrough, ...options.passthrough },
    revocation: { backchannelLogout: options.backchannelLogout ?? false },
  });
  return startGateway({
    realms: [realm],
    routes: options.routes ?? [],
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  });
}

export interface RealmWire extends TestGateway {
  /** Every request that reached the realm. */
  readonly realm: TestUpstream;
}

/** A gateway in front of a realm that notes every request and answers 200 `ok`. */
export async function startRealmWire(options: RealmWireOptions = {}): Promise<RealmWire> {
  const realm = await startUpstream();
  return { ...(await gatewayTo(`${realm.origin}/auth/realms/demo`, options)), realm };
}

/** A realm that answers every request with exactly these bytes, once its body is `length` bytes long. */
export function startExactRealm(answer: string, length: number): Promise<{ readonly origin: string }> {
  return startRawUpstream((socket) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      const head = text.indexOf('\r\n\r\n');
      if (head < 0 || text.length < head + 4 + length) return;
      text = text.slice(head + 4 + length);
      socket.write(answer, 'latin1');
    });
  });
}

/** One request on a connection of its own. `headers` are lines without line ends. */
export async function ask(
  port: number,
  method: string,
  target: string,
  headers: readonly string[] = [],
  body = '',
): Promise<RawResponse> {
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: api.example.com', 'Connection: close', ...headers];
  const { text, reset } = await rawRequest(port, `${lines.join('\r\n')}\r\n\r\n${body}`);
  expect(reset).toBe(false);
  return parseResponses(text, [method])[0]!;
}

/** Posts a form with its length. */
export function postForm(
  port: number,
  body: string,
  headers: readonly string[] = [],
  target = TOKEN_PATH,
): Promise<RawResponse> {
  const type = headers.some((line) => /^content-type:/i.test(line))
    ? []
    : ['Content-Type: application/x-www-form-urlencoded'];
  const length = `Content-Length: ${Buffer.byteLength(body, 'latin1')}`;
  return ask(port, 'POST', target, [...type, length, ...headers], body);
}

export function json(answer: RawResponse): Record<string, unknown> {
  return JSON.parse(answer.body) as Record<string, unknown>;
}
