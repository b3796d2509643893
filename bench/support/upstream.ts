import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram } from './find-program.ts';
import { ANSWER, LARGE_BYTES, STREAM_BYTES } from './upstream-server.ts';
import { untilAccepting, type Workspace } from './workspace.ts';

export interface Upstream {
  /** What runs: `nginx` where it is installed, since it costs little, else `node`. */
  readonly kind: 'nginx' | 'node';
  readonly origin: string;
}

/** Starts the service that every contender forwards to. */
export async function startUpstream(
  workspace: Workspace,
  core: number | null,
  kind: Upstream['kind'] = findProgram('nginx') === null ? 'node' : 'nginx',
): Promise<Upstream> {
  const port = await freePort();
  const program =
    kind === 'nginx'
      ? await workspace.start(findProgram('nginx')!, await nginxArguments(workspace, port), { core })
      : await workspace.start(
          process.execPath,
          [fileURLToPath(new URL('upstream-server.ts', import.meta.url)), String(port)],
          { core },
        );
  await untilAccepting(port, program);
  return { kind, origin: `http://127.0.0.1:${port}` };
}

async function nginxArguments(workspace: Workspace, port: number): Promise<string[]> {
  const folder = join(workspace.folder, 'upstream');
  await mkdir(join(folder, 'files'), { recursive: true });
  await writeFile(join(folder, 'files/download'), Buffer.alloc(STREAM_BYTES, 'realmgate '));
  // All of it is one hole.
  await writeFile(join(folder, 'files/large'), '');
  await truncate(join(folder, 'files/large'), LARGE_BYTES);
  const config = join(folder, 'nginx.conf');
  // nginx answers before it has read a body that nobody wants. Passing it on makes it wait for the whole upload.
  await writeFile(
    config,
    nginxConfig(
      folder,
      `
  server {
    listen 127.0.0.1:${port} backlog=1024;
    default_type application/json;
    location / { return 200 '${ANSWER.slice(0, -1)}\\n'; }
    location /download { alias ${folder}/files/download; }
    location /large { alias ${folder}/files/large; }
    location /upload {
      client_max_body_size 0;
      client_body_buffer_size 2m;
      proxy_pass http://127.0.0.1:${port}/;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }
  }`,
    ),
  );
  return ['-c', config, '-e', `${folder}/error.log`];
}

/** A whole configuration for one worker that writes into `folder` only. `http` is what stands in its http section. */
export function nginxConfig(folder: string, http: string): string {
  // Its workers run as nobody otherwise, who may not look into the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n');
  return `${user}
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 16384; }
http {
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
${temporary}
${http}
}
`;
}
