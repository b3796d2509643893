import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ListenAddress } from '../contracts/settings.ts';
import { type ErrorCode, ERRORS, Refusal } from '../errors.ts';
import { PROBLEM_TYPE, problemBody } from '../problem.ts';
import { METRICS_TYPE } from '../telemetry/render-metrics.ts';
import { newRequestId } from '../telemetry/trace-context.ts';
import { answerClientError } from './client-error.ts';

export interface AdminDependencies {
  readonly listen: ListenAddress;
  readonly log: { error(fields: object, message: string): void };
  /** Whether requests can be served; `problems` says why not, in words an operator may see without a token. */
  ready(): { readonly ok: boolean; readonly problems: readonly string[] };
  /** Prometheus text. */
  metrics(): Promise<string>;
}

export interface AdminServer {
  /** Origin that is bound, such as `http://127.0.0.1:8081`. */
  readonly url: string;
  /** Stops accepting; requests in progress get a second to end. */
  close(): Promise<void>;
}

/** Milliseconds that requests in progress have when the server closes. */
const CLOSE_PATIENCE = 1000;

/**
 * Binds the admin listener: `GET /healthz`, `/readyz` and `/metrics`, none of which needs a token. Everything else is
 * refused as problem details. Rejects with the system's error (`EADDRINUSE`, `EACCES`, ...) when it cannot bind.
 */
export async function startAdmin(dependencies: AdminDependencies): Promise<AdminServer> {
  // Fastify takes 50 to 60 ms to load: verbs that serve nothing need not wait for it.
  const { fastify } = await import('fastify');
  const app = fastify({
    logger: false,
    genReqId: newRequestId,
    requestTimeout: 30_000,
    bodyLimit: 1024 * 1024,
    // A request without Host would get an empty answer from node:http.
    http: { requireHostHeader: false, headersTimeout: 10_000 },
    clientErrorHandler: answerClientError,
    frameworkErrors: (_error, request, reply) => {
      void refuse(request, reply, 'malformed_request', 'The URL is not valid');
    },
  });
  installErrors(app, dependencies.log);
  installProbes(app, dependencies);
  app.addHook('preClose', (done) => {
    setTimeout(() => app.server.closeAllConnections(), CLOSE_PATIENCE).unref();
    done();
  });
  await app.listen({ host: dependencies.listen.host, port: dependencies.listen.port });
  return { url: boundUrl(app), close: () => app.close() };
}

function installProbes(app: FastifyInstance, dependencies: AdminDependencies): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain; charset=utf-8').send('ok\n'));
  app.get('/readyz', (request, reply) => {
    const { ok, problems } = dependencies.ready();
    if (ok) return reply.type('text/plain; charset=utf-8').send('ok\n');
    return refuse(request, reply, 'service_unavailable', problems.join('; '));
  });
  app.get('/metrics', async (_request, reply) => reply.type(METRICS_TYPE).send(await dependencies.metrics()));
}

function installErrors(app: FastifyInstance, log: AdminDependencies['log']): void {
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': request.id,
    });
    if (request.headers.host === undefined && request.raw.httpVersion !== '1.0') {
      void refuse(request, reply, 'malformed_request', 'The Host header is missing');
      return;
    }
    // Before a body is read, or what is wrong with the body would be told of a place that does not exist.
    if (request.is404) void refuseUnknown(app, request, reply);
    else done();
  });
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof Refusal) {
      if (error.retryAfter !== undefined)
        void reply.header('retry-after', String(Math.ceil(error.retryAfter)));
      return refuse(request, reply, error.code, error.message);
    }
    log.error(
      { err: error, requestId: request.id, method: request.method, route: request.routeOptions.url },
      'An admin request failed',
    );
    return refuse(
      request,
      reply,
      'internal_error',
      'The request failed; the log names the cause under the request id',
    );
  });
}

function refuseUnknown(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.replace(/[?#].*$/, '');
  const allowed = (['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).filter((method) =>
    app.hasRoute({ url: path, method }),
  );
  if (allowed.length === 0) return refuse(request, reply, 'not_found', 'There is nothing at this path');
  void reply.header('allow', allowed.join(', '));
  return refuse(request, reply, 'method_not_allowed', `Allowed here: ${allowed.join(', ')}`);
}

function refuse(request: FastifyRequest, reply: FastifyReply, code: ErrorCode, detail: string): FastifyReply {
  // As bytes: to a string Fastify would add a charset, which JSON has none of (RFC 8259 section 11).
  const body = Buffer.from(problemBody(code, detail, request.id));
  return reply.code(ERRORS[code].status).type(PROBLEM_TYPE).send(body);
}

function boundUrl(app: FastifyInstance): string {
  const bound = app.server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the admin listener has no TCP address');
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `http://${host}:${bound.port}`;
}
