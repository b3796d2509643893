import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const tls = (name: string): string => fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url));

/** The certificate of the server, for `localhost` and 127.0.0.1; no system trusts it. */
export const CA_FILE = tls('localhost.crt');

export interface HttpsGitOptions {
  /** `username:password`; null = everybody may read. */
  readonly login?: string | null;
  /** The first version of git's protocol, in which a client may only ask for what a branch points at. */
  readonly oldProtocol?: boolean;
  /** Answers instead of git where it returns true. */
  readonly answer?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface HttpsGit {
  readonly port: number;
  /** Every request: target, and what its Authorization header says. */
  readonly seen: { readonly target: string; readonly login: string | null }[];
  url(name: string, host?: string): string;
  close(): Promise<void>;
}

/** A real git server over HTTPS (git-http-backend) with the repositories of a directory, until the test ends. */
export async function serveHttps(root: string, options: HttpsGitOptions = {}): Promise<HttpsGit> {
  const seen: { target: string; login: string | null }[] = [];
  const server = createServer(
    { cert: readFileSync(CA_FILE), key: readFileSync(tls('localhost.key')) },
    (request, response) => {
      const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
      const login = basic === undefined ? null : Buffer.from(basic, 'base64').toString();
      seen.push({ target: request.url ?? '', login });
      if (options.login != null && login !== options.login) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
        return;
      }
      if (options.answer?.(request, response) !== true) runBackend(root, options, request, response);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  onTestFinished(close);
  const { port } = server.address() as AddressInfo;
  return { port, seen, url: (name, host = '127.0.0.1') => `https://${host}:${port}/${name}`, close };
}

/** RFC 3875, as far as git needs it. */
function runBackend(
  root: string,
  options: HttpsGitOptions,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'https://localhost');
  const header = (name: string): string => [request.headers[name] ?? []].flat().join();
  const child = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: searchParams.toString(),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header('content-type'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      ...(options.oldProtocol === true ? {} : { GIT_PROTOCOL: header('git-protocol') }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.once('close', () => {
    const answer = Buffer.concat(output);
    const end = answer.indexOf('\r\n\r\n');
    const fields = answer.subarray(0, end).toString().split('\r\n');
    const headers = new Map(fields.map((field) => field.split(': ') as [string, string]));
    response.statusCode = Number.parseInt(headers.get('Status') ?? '200', 10);
    headers.delete('Status');
    response.setHeaders(headers).end(answer.subarray(end + 4));
  });
}
