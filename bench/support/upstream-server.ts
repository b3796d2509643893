import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

/** What every service of the bench answers: 300 bytes. */
export const ANSWER = `{"items":[${'"realmgate-bench",'.repeat(15)}"end"]}`.padEnd(299, ' ') + '\n';

/** The size of a download, and of an upload, in the case `stream`. */
export const STREAM_BYTES = 1024 * 1024;

/** The size of what lies at `/large`: more than the buffers of any connection. */
export const LARGE_BYTES = 64 * 1024 * 1024;

/**
 * A service for where nginx is missing: `node upstream-server.ts PORT`, on 127.0.0.1. It answers `ANSWER`, after the
 * whole body has arrived, and on paths that begin with `/download` or `/large` a body of
 * that size.
 */
function serve(port: number): void {
  const download = Buffer.alloc(STREAM_BYTES, 'realmgate ');
  const small = Buffer.from(ANSWER);
  const bodies = [
    ['/download', download],
    ['/large', Buffer.alloc(LARGE_BYTES)],
  ] as const;
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const body = (bodies.find(([path]) => request.url?.startsWith(path)) ?? [null, small])[1];
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    });
  });
  server.keepAliveTimeout = 600_000;
  server.listen(port, '127.0.0.1', () => process.stdout.write(`listening\n`));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) serve(Number(process.argv[2]));
