import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ControlApi, GatewayApi } from '../contracts/control-api.ts';
import type { Principal } from '../contracts/principal.ts';
import { Refusal } from '../errors.ts';
import { type AdminAccess, permit, readToken } from './access.ts';
import { checkBodyType, readBody } from './body.ts';
import type { Call, Operation, ProcessApi, Result } from './operation.ts';
import { readQuery } from './query.ts';

/** What requests are answered with. */
export interface Backends extends ProcessApi {
  /** In force now: a reload may change it. */
  access(): AdminAccess;
  /**
   * Whom a token of the realm that administers speaks for. Throws `Refusal`: `token_invalid`, also for a token of
   * another realm, `token_expired`, `token_revoked`, `keys_unavailable`.
   */
  authenticate(token: string): Promise<Principal>;
  /** null = this installation runs no services. */
  readonly control: ControlApi | null;
  readonly gateway: GatewayApi;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly operation?: Operation;
  }
  interface FastifyRequest {
    /** Username, or subject, of who asks; empty = nobody was identified. */
    actor: string;
  }
}

/**
 * Serves the operations, and refuses everything else; who may not know what there is learns nothing of it. `closing`
 * aborts when the server closes.
 */
export function installRoutes(
  app: FastifyInstance,
  operations: readonly Operation[],
  backends: Backends,
  closing: AbortSignal,
): void {
  const patterns = operations.map(({ method, path }) => ({ method, pattern: patternOf(path) }));
  app.decorateRequest('actor', '');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request) => {
    const { operation } = request.routeOptions.config;
    const role = operation === undefined ? roleOfUnknown(request.url) : operation.role;
    if (role !== null) {
      const access = backends.access();
      const principal = await backends.authenticate(readToken(request.raw, access.tokenBytes));
      request.actor = principal.username ?? principal.subject;
      permit(principal, role, access);
    }
    if (operation === undefined) throw unknownPlace(request.url, patterns);
    if (operation.of === 'control') present(backends.control);
    if (request.method !== 'GET' && request.method !== 'HEAD') checkBodyType(request.headers);
  });
  app.addHook('onResponse', (request, reply, done) => {
    noteChange(request, reply, backends.log);
    done();
  });
  for (const operation of operations) {
    app.route({
      method: operation.method,
      url: operation.path.replace(/\{(\w+)\}/, ':$1'),
      config: { operation },
      handler: async (request, reply) => {
        const call = callOf(request, reply, operation, closing);
        return send(reply, await carryOut(operation, backends, call), backends.log);
      },
    });
  }
}

/** Whether a place exists is for those who may read. */
function roleOfUnknown(url: string): 'viewer' | null {
  return /^\/api(?:[/?#]|$)/.test(url) ? 'viewer' : null;
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/, '[^/]+')}$`);
}

function unknownPlace(url: string, patterns: readonly { method: string; pattern: RegExp }[]): Refusal {
  const path = url.replace(/[?#].*$/, '');
  const methods = patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
  if (methods.length === 0) return new Refusal('not_found', 'There is nothing at this path');
  const allow = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ');
  return new Refusal('method_not_allowed', `Allowed here: ${allow}`, { allow });
}

function present(control: ControlApi | null): ControlApi {
  if (control !== null) return control;
  throw new Refusal('not_found', 'This installation runs no services: services.driver is none');
}

function callOf(
  request: FastifyRequest,
  reply: FastifyReply,
  operation: Operation,
  closing: AbortSignal,
): Call {
  const left = new AbortController();
  reply.raw.once('close', () => left.abort());
  const [target = ''] = Object.values(request.params as Readonly<Record<string, string>>);
  return {
    target,
    query: readQuery(request.url, operation.query ?? {}),
    body: readBody(Buffer.isBuffer(request.body) ? request.body : null, operation),
    actor: request.actor,
    head: request.method === 'HEAD',
    signal: AbortSignal.any([left.signal, closing]),
  };
}

function carryOut(operation: Operation, backends: Backends, call: Call): Result | Promise<Result> {
  switch (operation.of) {
    case 'control':
      return operation.handle(present(backends.control), call);
    case 'gateway':
      return operation.handle(backends.gateway, call);
    case 'process':
      return operation.handle(backends, call);
  }
}

function send(reply: FastifyReply, result: Result, log: Backends['log']): FastifyReply {
  const { status, type, content, headers = {}, atOnce = false } = result;
  void reply.code(status).headers(headers);
  if (type !== null) void reply.type(type);
  if (content instanceof Readable) {
    content.once('error', (err: unknown) => {
      // Fastify cuts the connection; before the head was sent, the error handler answers.
      if (reply.raw.headersSent) log.error({ err, requestId: reply.request.id }, 'An answer was cut');
    });
  }
  void reply.send(content ?? undefined);
  if (atOnce) reply.raw.flushHeaders();
  return reply;
}

/** One line for each request that changes something, or would have. */
function noteChange(request: FastifyRequest, reply: FastifyReply, log: Backends['log']): void {
  const { operation } = request.routeOptions.config;
  if (operation === undefined || operation.method === 'GET' || operation.role === 'viewer') return;
  if (request.actor === '') return;
  const { actor, method, id: requestId } = request;
  const path = request.url.replace(/[?#].*$/, '');
  log.info(
    { event: 'admin', actor, method, path, status: reply.statusCode, requestId },
    'A change was asked for',
  );
}
