import { type Attack, hostHeader, type Site } from './attack.ts';

/** Header fields that stand for a token, a user or another path where a gateway believes them. All without a token. */
export function headerAttacks(site: Site): Attack[] {
  const attack = (name: string, advisory: string | null, ...lines: readonly string[]): Attack => ({
    kind: 'header',
    name,
    advisory,
    bytes: `GET ${site.path} HTTP/1.1\r\n${hostHeader(site)}${lines.map((line) => `${line}\r\n`).join('')}\r\n`,
    expected: ['401 token_missing'],
    closes: false,
  });
  return [
    attack(
      'the identity that the gateway would tell',
      'CVE-2026-44087',
      'X-Forwarded-User: admin',
      'X-Forwarded-Preferred-Username: admin',
      'X-Forwarded-Email: admin@example.com',
      'X-Forwarded-Groups: admin',
    ),
    attack(
      'the same with underscores',
      'CVE-2025-64484',
      'X_Forwarded_User: admin',
      'X-Forwarded_User: admin',
      'X_FORWARDED_GROUPS: admin',
    ),
    attack('the same named by Connection', 'CVE-2025-48865', 'Connection: close, X-Forwarded-User', 'X-Forwarded-User: admin'),
    attack('a user of other gateways', null, 'X-Remote-User: admin', 'X-User: admin', 'X-Auth-Request-User: admin', 'X-WEBAUTH-USER: admin'),
    attack('an original path', 'CVE-2026-40575', 'X-Original-URL: /', 'X-Original-URI: /', 'X-Rewrite-URL: /', 'X-Forwarded-Uri: /'),
    attack('an original path of Envoy', 'CVE-2023-27487', 'x-envoy-original-path: /'),
    attack('another method', 'CVE-2026-40575', 'X-Forwarded-Method: OPTIONS', 'X-HTTP-Method-Override: OPTIONS'),
    attack('a client on this machine', 'CVE-2026-3635', 'X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1', 'Forwarded: for=127.0.0.1'),
    attack('forwarding with underscores', 'CVE-2026-39858', 'X_Forwarded_For: 127.0.0.1', 'X_Forwarded_Host: localhost', 'X_Real_IP: 127.0.0.1'),
    attack('a preflight from nowhere', null, 'Access-Control-Request-Method: GET'),
    attack('an upgrade to HTTP/2', null, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'),
    attack('a WebSocket handshake', null, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='),
  ]; // prettier-ignore
}
