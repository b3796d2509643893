import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, versionOf } from '../support/find-program.ts';
import { untilAccepting, untilChildren } from '../support/workspace.ts';
import type { Contender, Running, Work } from './contender.ts';

/** Where distributions put modules: Debian's, Fedora's, openSUSE's. */
const MODULES = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/lib64/apache2'];

/** What the configuration below needs; a server that has one of them built in lacks the file. */
const NEEDED = [
  'mpm_event',
  'unixd',
  'authn_core',
  'authz_core',
  'authz_user',
  'headers',
  'proxy',
  'proxy_http',
];

/** mod_auth_openidc as an OAuth 2.0 resource server that checks tokens itself, by the realm's public key. No cache of tokens. */
export const apache: Contender = {
  name: 'apache',
  description: 'mod_auth_openidc',
  checksTokens: true,
  // OIDCOAuthVerifyCertFiles takes no other keys.
  algorithms: ['RS256'],
  find: () => {
    const program = apacheProgram();
    if (program === null || moduleFile('auth_openidc') === null) {
      return {
        missing:
          'install the packages apache2 and libapache2-mod-auth-openidc, or httpd and mod_auth_openidc',
      };
    }
    return { version: `${moduleVersion()} in Apache ${versionOf(program, '-v') ?? 'of unknown version'}` };
  },
  start,
};

function apacheProgram(): string | null {
  return findProgram('apache2') ?? findProgram('httpd');
}

function moduleFile(name: string): string | null {
  return MODULES.map((folder) => join(folder, `mod_${name}.so`)).find((file) => existsSync(file)) ?? null;
}

/** The module tells its version nowhere but in what it would log. */
function moduleVersion(): string {
  const text = readFileSync(moduleFile('auth_openidc')!, 'latin1');
  return /mod_auth_openidc-(\d[\d.]*)/.exec(text)?.[1] ?? 'of unknown version';
}

async function start(work: Work): Promise<Running> {
  const { workspace, core } = work;
  const folder = join(workspace.folder, 'apache');
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const config = join(folder, 'httpd.conf');
  await writeFile(join(folder, 'key.pem'), work.pem);
  await writeFile(config, apacheConfig(folder, port, work));
  const program = await workspace.start(apacheProgram()!, ['-D', 'FOREGROUND', '-f', config], { core });
  await untilAccepting(port, program);
  return {
    port,
    workers: await untilChildren(program),
    others: [program.pid],
    inspectorPort: null,
    stop: () => program.stop(),
  };
}

/** One worker process with a thread for each connection that has work. */
function apacheConfig(folder: string, port: number, { upstream, issuer, jwk }: Work): string {
  const modules = [...NEEDED, 'auth_openidc'].flatMap((name) => {
    const file = moduleFile(name);
    return file === null ? [] : [`LoadModule ${name}_module ${file}`];
  });
  return `
${modules.join('\n')}
ServerRoot ${folder}
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
ListenBacklog 1024
PidFile ${folder}/httpd.pid
ErrorLog ${folder}/error.log
LogLevel crit
# By numbers: the names differ between systems. Ignored unless root starts it, and root itself is refused.
User #65534
Group #65534

ServerLimit 1
StartServers 1
ThreadsPerChild 128
ThreadLimit 128
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
AsyncRequestWorkerFactor 100
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
Timeout 60

# A key set by URL would have to come over TLS.
OIDCOAuthVerifyCertFiles ${jwk.kid ?? ''}#${folder}/key.pem
OIDCOAuthAcceptTokenAs header
OIDCOAuthRemoteUserClaim sub

ProxyPass /api/ ${upstream}/ keepalive=On max=128
<Location /api/>
  AuthType oauth20
  Require claim iss:${issuer}
  RequestHeader unset Authorization
</Location>
`;
}
