import { findProgram } from '../support/find-program.ts';

/** The files of a service whose `run.sh` becomes its server. */
export interface ServerProgram {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
}

/** As small as a server of Node can be. */
export const NODE_SERVER: ServerProgram = {
  name: 'node',
  files: {
    'run.sh': 'exec node server.mjs\n',
    'server.mjs': `
import { createServer } from 'node:http';
createServer((_request, response) => response.end('ok\\n')).listen(process.env.PORT, '127.0.0.1');
`,
  },
};

/** Starts within milliseconds and takes few MiB, so that what is measured is the platform. One request at a time. */
const PERL_SERVER: ServerProgram = {
  name: 'perl',
  files: {
    'run.sh': 'exec perl server.pl\n',
    'server.pl': `
use strict;
use Socket;
$SIG{PIPE} = 'IGNORE';
socket(my $server, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($server, SOL_SOCKET, SO_REUSEADDR, 1) or die "setsockopt: $!";
bind($server, sockaddr_in($ENV{PORT}, INADDR_LOOPBACK)) or die "bind: $!";
listen($server, 128) or die "listen: $!";
while (accept(my $client, $server)) {
  local $/ = "\\r\\n\\r\\n";
  if (defined(my $head = <$client>)) {
    syswrite($client, "HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n");
  }
  close($client);
}
`,
  },
};

/** Throws where there is no perl; every Debian has it. */
export function lightestServer(): ServerProgram {
  if (findProgram('perl') === null)
    throw new Error('this needs perl, for services that cost next to nothing');
  return PERL_SERVER;
}

/**
 * Says who answers which request of which version, and writes down the id of each request at its arrival, into a file
 * in `ARRIVALS` that is named by its port and its own name.
 */
export const TELLING_SERVER: ServerProgram = {
  name: 'telling',
  files: {
    'run.sh': '[[ -z ${CRASH:-} ]] || exit 3\nexec node server.mjs\n',
    'server.mjs': `
import { randomUUID } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
const { PORT, VERSION, ARRIVALS, WORK } = process.env;
const instance = PORT + '-' + randomUUID();
const arrivals = openSync(ARRIVALS + '/' + instance, 'a');
createServer((request, response) => {
  const id = request.headers['x-request-id'];
  writeSync(arrivals, id + '\\n');
  let bytes = 0;
  request.on('data', (piece) => (bytes += piece.length));
  request.on('end', () => {
    setTimeout(() => response.end(JSON.stringify({ id, version: VERSION, instance, bytes })), Number(WORK));
  });
}).listen(PORT, '127.0.0.1');
`,
  },
};
