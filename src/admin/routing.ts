import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ControlApi, GatewayApi } from '../contracts/control-api.ts';
import type { Principal } from '../contracts/principal.ts';
import { Refusal } from '../errors.ts';
import { type AdminAccess, permit, readToken } from './access.ts';
import { checkBodyType, readBody } from './body.ts';
import { documentOperations } from './documents.ts';
import type { Drain } from './drain.ts';
import type { Call, Operation, ProcessApi, Result } from './operation.ts';
import { type Found, OperationIndex } from './operation-index.ts';
import { healthOperations } from './operations/health.ts';
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
  interface FastifyRequest {
    /** What is asked for; null until that was looked up, and where there is nothing. */
    found: Found | null;
    /** Username, or subject, of who asks; empty = nobody was identified. */
    actor: string;
  }
}

/**
 * Serves all operations, and refuses everything else; who may not know what there is learns nothing of it. Once the
 * drain has begun, only probes are answered. Fastify matches no path: a route for each operation would cost every start.
 */
export function installRoutes(app: FastifyInstance, backends: Backends, drain: Drain): void {
  const indexOf = indexes();
  app.decorateRequest('found', null);
  app.decorateRequest('actor', '');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request, reply) => {
    const path = pathOf(request);
    if (isOfApi(path)) drain.admit(reply.raw);
    const index = await indexOf(path);
    const found = index.find(request.method, path);
    request.found = found;
    const role = found === null ? roleOfUnknown(path) : found.operation.role;
    if (role !== null) {
      const access = backends.access();
      const principal = await backends.authenticate(readToken(request.raw, access.tokenBytes));
      request.actor = principal.username ?? principal.subject;
      permit(principal, role, access);
    }
    if (found === null) throw unknownPlace(index.methodsAt(path));
    if (found.operation.of === 'control') present(backends.control);
    if (request.method !== 'GET' && request.method !== 'HEAD') checkBodyType(request.headers);
  });
  app.addHook('onResponse', (request, reply, done) => {
    noteChange(request, reply, backends.log);
    done();
  });
  app.all('*', { exposeHeadRoute: false }, async (request, reply) => {
    const { operation, target } = request.found!;
    const call = callOf(request, reply, { operation, target }, drain.begun);
    return send(reply, await drain.inTime(carryOut(operation, backends, call)), backends.log);
  });
}

/** Operations that a path may be of. Those of the API are loaded when somebody asks for one. */
function indexes(): (path: string) => OperationIndex | Promise<OperationIndex> {
  const health = new OperationIndex(healthOperations);
  let api: Promise<OperationIndex> | null = null;
  return (path) => (isOfApi(path) ? (api ??= loadApi()) : health);
}

async function loadApi(): Promise<OperationIndex> {
  const { OPERATIONS } = await import('./operations.ts');
  return new OperationIndex([...OPERATIONS, ...documentOperations(OPERATIONS)]);
}

function pathOf(request: FastifyRequest): string {
  return request.url.replace(/[?#].*$/, '');
}

function isOfApi(path: string): boolean {
  return path === '/api' || path.startsWith('/api/');
}

/** Whether a place exists is for those who may read. */
function roleOfUnknown(path: string): 'viewer' | null {
  return isOfApi(path) ? 'viewer' : null;
}

function unknownPlace(methods: readonly string[]): Refusal {
  if (methods.length === 0) return new Refusal('not_found', 'There is nothing at this path');
  const allow = methods.join(', ');
  return new Refusal('method_not_allowed', `Allowed here: ${allow}`, { allow });
}

function present(control: ControlApi | null): ControlApi {
  if (control !== null) return control;
  throw new Refusal('not_found', 'This installation runs no services: services.driver is none');
}

function callOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { operation, target }: Found,
  ending: AbortSignal,
): Call {
  const left = new AbortController();
  reply.raw.once('close', () => left.abort());
  return {
    target,
    query: readQuery(request.url, operation.query ?? {}),
    body: readBody(Buffer.isBuffer(request.body) ? request.body : null, operation),
    actor: request.actor,
    head: request.method === 'HEAD',
    signal: AbortSignal.any([left.signal, ending]),
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
  const { found, actor, method, id: requestId } = request;
  if (found === null || actor === '' || found.operation.role === 'viewer') return;
  const { statusCode: status } = reply;
  log.info(
    { event: 'admin', actor, method, path: pathOf(request), status, requestId },
    'A change was asked for',
  );
}
