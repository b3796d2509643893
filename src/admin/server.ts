import type { FastifyInstance } from 'fastify';
import type { ListenAddress } from '../contracts/settings.ts';
import { type ErrorCode, Refusal } from '../errors.ts';
import { newRequestId } from '../telemetry/trace-context.ts';
import { answerClientError } from './client-error.ts';
import { Drain } from './drain.ts';
import { refuse } from './refuse.ts';
import { type Backends, installRoutes } from './routing.ts';

export interface AdminDependencies extends Backends {
  readonly listen: ListenAddress;
}

export interface AdminServer {
  /** Origin that is bound, such as `http://127.0.0.1:8081`. */
  readonly url: string;
  /**
   * From now on only probes are answered, and followed logs end. Resolves once every other request in progress has its
   * answer; one that has none when `over` aborts is refused.
   */
  drain(over: AbortSignal): Promise<void>;
  /** Stops accepting, and drains what was not; answers that are on their way get a second to arrive. */
  close(): Promise<void>;
}

/** Milliseconds that answers have to arrive when the server closes. */
const CLOSE_PATIENCE = 1000;

/** Bytes of a request's body; more than every secret may have. */
const LARGEST_BODY = 1024 * 1024;

/** Nothing that is answered may be kept, guessed at, framed, or read by another site's page. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Binds the admin listener: the admin API with its documentation, and `GET /healthz`, `/readyz` and `/metrics`.
 * Everything else is refused as problem details. Rejects with the system's error (`EADDRINUSE`, `EACCES`, ...) when it
 * cannot bind.
 */
export async function startAdmin(dependencies: AdminDependencies): Promise<AdminServer> {
  // Fastify takes 50 to 60 ms to load: verbs that serve nothing need not wait for it.
  const { fastify } = await import('fastify');
  const app = fastify({
    logger: false,
    genReqId: newRequestId,
    requestTimeout: 30_000,
    bodyLimit: LARGEST_BODY,
    // No route has a schema of Fastify's; it would load ajv and fast-json-stringify all the same, 110 files.
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
    // A request without Host would get an empty answer from node:http.
    http: { requireHostHeader: false, headersTimeout: 10_000 },
    clientErrorHandler: answerClientError,
    frameworkErrors: (_error, request, reply) => {
      void reply.headers({ ...HEADERS, 'x-request-id': request.id });
      void refuse(request, reply, new Refusal('malformed_request', 'The URL is not valid'), '');
    },
  });
  const drain = new Drain();
  installErrors(app, dependencies);
  installRoutes(app, dependencies, drain);
  app.addHook('preClose', (done) => {
    void drain.run(AbortSignal.abort());
    setTimeout(() => app.server.closeAllConnections(), CLOSE_PATIENCE).unref();
    done();
  });
  await app.listen({ host: dependencies.listen.host, port: dependencies.listen.port });
  return { url: boundUrl(app), drain: (over) => drain.run(over), close: () => app.close() };
}

function installErrors(app: FastifyInstance, dependencies: AdminDependencies): void {
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers({ ...HEADERS, 'x-request-id': request.id });
    if (request.headers.host !== undefined || request.raw.httpVersion === '1.0') done();
    else done(new Refusal('malformed_request', 'The Host header is missing'));
  });
  app.setErrorHandler((error, request, reply) => {
    const refusal = error instanceof Refusal ? error : unreadable(error);
    if (refusal !== null) return refuse(request, reply, refusal, dependencies.access().realm);
    dependencies.log.error(
      { err: error, requestId: request.id, method: request.method, route: request.found?.operation.path },
      'An admin request failed',
    );
    const told = 'The request failed; the log names the cause under the request id';
    return refuse(request, reply, new Refusal('internal_error', told), '');
  });
}

/** What Fastify found wrong with a body on its way in; null = it is something else. */
function unreadable(error: unknown): Refusal | null {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (typeof status !== 'number' || status < 400 || status > 499) return null;
  const [code, detail] = UNREADABLE[status] ?? ['malformed_request', 'The body did not arrive as announced'];
  return new Refusal(code, detail);
}

const UNREADABLE: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  413: ['body_too_large', `The body has more than ${LARGEST_BODY} bytes`],
  415: ['unsupported_media_type', 'The body has to be application/json'],
};

function unused(): never {
  throw new Error('Requests are checked, and answers written, by the operations themselves');
}

function boundUrl(app: FastifyInstance): string {
  const bound = app.server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the admin listener has no TCP address');
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `http://${host}:${bound.port}`;
}
