import { once } from 'node:events';
import {
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
  type RequestOptions,
} from 'node:http';
import { expect, vi } from 'vitest';
import type { Route } from '../../../src/contracts/settings.ts';
import {
  issueToken,
  route,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
} from '../../support/gateway.ts';
import { parseResponses, type RawResponse, untilResponses } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';

/** A gateway with one public route `/` to these origins. */
export function gatewayTo(
  origins: readonly string[],
  options: TestGatewayOptions & { route?: Partial<Route> } = {},
): Promise<TestGateway> {
  const routes = [route({ endpoint: '/', public: true, upstream: origins, ...options.route })];
  return startGateway({ routes, ...options });
}

/** A request that does not share its connection with others. */
export function send(port: number, options: RequestOptions = {}): ClientRequest {
  const request = httpRequest({ port, host: '127.0.0.1', agent: false, ...options });
  request.on('error', () => undefined);
  return request;
}

export async function responseTo(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

/** The whole body; rejects when it was cut. */
export async function bodyOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('latin1');
  for await (const chunk of response) text += chunk as string;
  return text;
}

/** Sends lines as an HTTP/1.1 head, then `body`, and reads `count` responses, interim ones included. */
export async function exchangeRaw(
  port: number,
  lines: readonly string[],
  body = '',
  count = 1,
): Promise<RawResponse[]> {
  const method = /^[A-Z]+/.exec(lines[0]!)![0];
  const bytes = `${[...lines, ...(lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: api.example.com'])].join('\r\n')}\r\n\r\n${body}`;
  const { text } = await rawRequest(port, bytes, { until: untilResponses(count, [method]) });
  return parseResponses(text, [method]);
}

export function problemOf(response: RawResponse): unknown {
  return { status: response.status, code: (JSON.parse(response.body) as { code: string }).code };
}

export async function bearer(claims: Record<string, unknown> = {}): Promise<{ authorization: string }> {
  return { authorization: `Bearer ${await issueToken(claims)}` };
}

/** Nothing of any request is left: each has settled, and given back what it held. */
export async function expectAtRest({ gateway }: TestGateway): Promise<void> {
  await vi.waitFor(
    () => {
      expect({
        inFlight: gateway.inFlight,
        watched: gateway.deadlines.size,
        tunnels: gateway.tunnels.size,
        upstreams: gateway.client.connections().active,
        outstanding: gateway.match('', '/')?.group.members.map((member) => member.outstanding),
      }).toEqual({
        inFlight: 0,
        watched: 0,
        tunnels: 0,
        upstreams: 0,
        outstanding: gateway.match('', '/')?.group.members.map(() => 0),
      });
    },
    { timeout: 10_000, interval: 10 },
  );
}
