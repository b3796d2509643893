import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

import type { TokenAnswer } from './keycloak-realm.ts';

export interface CallAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as JSON, {} where it is none. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface CallOptions {
  readonly token?: string;
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One request on a connection of its own: the primary deals connections out in turn, so calls reach every worker.
 * POST where there is a form, else GET.
 */
export async function call(url: string, { token, form, headers }: CallOptions = {}): Promise<CallAnswer> {
  const body = form === undefined ? null : new URLSearchParams(form).toString();
  const sent = request(url, {
    agent: false,
    method: body === null ? 'GET' : 'POST',
    headers: {
      ...(body === null ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
  }).end(body ?? undefined);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const bytes = await buffer(response);
  const isJson = /^application\/([a-z]+\+)?json/.test(response.headers['content-type'] ?? '');
  return {
    status: response.statusCode!,
    headers: response.headers,
    body: bytes,
    json: (isJson ? JSON.parse(bytes.toString()) : {}) as Record<string, unknown>,
  };
}

/** `200`, or the status with the code of the problem: `401 token_revoked`. */
export function outcomeOf({ status, json }: CallAnswer): string {
  return typeof json['code'] === 'string' ? `${status} ${json['code']}` : String(status);
}

/** Password grant for the client istio at a token endpoint. Rejects with the answer when it is not a 200. */
export async function signIn(
  tokenEndpoint: string,
  username: string,
  password: string,
  form: Record<string, string> = {},
): Promise<TokenAnswer> {
  const grant = { grant_type: 'password', client_id: 'istio', username, password, ...form };
  return granted(await call(tokenEndpoint, { form: grant }));
}

/** Refresh grant for the client istio. Rejects with the answer when it is not a 200. */
export async function refresh(
  tokenEndpoint: string,
  refreshToken: string,
  headers: Record<string, string> = {},
): Promise<TokenAnswer> {
  const form = { grant_type: 'refresh_token', client_id: 'istio', refresh_token: refreshToken };
  return granted(await call(tokenEndpoint, { form, headers }));
}

function granted({ status, body, json }: CallAnswer): TokenAnswer {
  if (status !== 200) throw new Error(`token endpoint: ${status} ${body.toString()}`);
  return json as unknown as TokenAnswer;
}
