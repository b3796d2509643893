import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, versionOf } from '../support/find-program.ts';
import { ALGORITHMS } from '../support/tokens.ts';
import { nginxConfig } from '../support/upstream.ts';
import { untilAccepting, untilChildren } from '../support/workspace.ts';
import type { Contender, Running, Work } from './contender.ts';

/** Forwards and checks nothing: about the least that a proxy can cost. */
export const nginx: Contender = {
  name: 'nginx',
  description: 'nginx without authentication',
  checksTokens: false,
  algorithms: ALGORITHMS,
  find: () => {
    const program = findProgram('nginx');
    if (program === null) return { missing: 'install the package nginx-light or nginx of your system' };
    return { version: versionOf(program, '-v') ?? 'of unknown version' };
  },
  start,
};

async function start({ workspace, core, upstream }: Work): Promise<Running> {
  const folder = join(workspace.folder, 'nginx');
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  await writeFile(
    config,
    nginxConfig(
      folder,
      `
  upstream service { server ${new URL(upstream).host}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location /api/ {
      client_max_body_size 0;
      proxy_pass http://service/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "";
      proxy_request_buffering off;
      proxy_buffers 16 64k;
      proxy_max_temp_file_size 0;
    }
    location /api/socket {
      proxy_pass http://service/socket;
      proxy_http_version 1.1;
      proxy_set_header Connection upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Authorization "";
      proxy_read_timeout 600s;
    }
  }`,
    ),
  );
  const program = await workspace.start(findProgram('nginx')!, ['-c', config, '-e', `${folder}/error.log`], {
    core,
  });
  await untilAccepting(port, program);
  return {
    port,
    workers: await untilChildren(program),
    others: [program.pid],
    inspectorPort: null,
    stop: () => program.stop(),
  };
}
