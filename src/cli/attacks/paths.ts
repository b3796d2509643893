import { type Attack, hostHeader, type Site, usualHeaders } from './attack.ts';

/** Targets that two readers may take for two paths, and second spellings of a path that must not escape its policy. */
export function pathAttacks(site: Site): Attack[] {
  return [...ambiguous(site), ...respelled(site)];
}

function ambiguous(site: Site): Attack[] {
  const { path, authority } = site;
  const rest = path.slice(1);
  const targets: readonly (readonly [name: string, advisory: string | null, target: string])[] = [
    ['encoded slashes', 'CVE-2021-29492', `/x%2F..%2F${rest}`],
    ['encoded slashes in lower case', 'CVE-2026-42272', `/x%2f..%2f${rest}`],
    ['encoded backslashes', 'CVE-2021-29492', `/x%5C..%5C${rest}`],
    ['backslashes', null, `/x\\..\\${rest}`],
    ['two slashes at the start', 'CVE-2021-31920', `/${path}`],
    ['three slashes at the start', 'CVE-2021-31920', `//${path}`],
    ['two slashes inside', 'CVE-2026-2880', `${path}//x`],
    ['a host name behind two slashes', 'CVE-2026-26205', `//${authority}${path}`],
    ['a dot segment', 'CVE-2026-2880', `/.${path}`],
    ['a dot-dot segment', 'CVE-2026-42274', `/x/..${path}`],
    ['an encoded dot-dot segment', 'CVE-2026-42274', `/x/%2e%2e${path}`],
    ['a half encoded dot-dot segment', 'CVE-2026-42274', `/x/.%2E${path}`],
    ['a dot-dot segment with a parameter', 'CVE-2026-33808', `/x/..;y${path}`],
    ['an encoded dot segment behind the prefix', 'CVE-2026-40912', `${path}/%2e/x`],
    ['more dot-dot segments than there are', 'CVE-2026-42274', `/x/../..${path}`],
    ['a fragment', 'CVE-2021-39156', `${path}#x`],
    ['a fragment in the query', 'CVE-2021-39156', `${path}?x#y`],
    ['an encoded NUL', null, `${path}%00`],
    ['an escape that is none', null, `${path}%zz`],
    ['half an escape', null, `${path}%4`],
    ['an escape of UTF-16', null, `/x/%u002e%u002e${path}`],
    ['an overlong escape', null, `/x/%c0%ae%c0%ae${path}`],
    ['a byte outside of ASCII', null, `${path}\xe9`],
    ['an absolute form with another host', null, `http://other.example${path}`],
    ['an absolute form with a user', null, `http://user@${authority}${path}`],
    ['an absolute form with two slashes', 'CVE-2026-26205', `http://${authority}/${path}`],
    ['an absolute form of another scheme', null, `file://${authority}${path}`],
    ['an authority form', null, authority],
    ['an asterisk form', null, '*'],
  ];
  const attack = (name: string, advisory: string | null, line: string): Attack => ({
    kind: 'path',
    name,
    advisory,
    bytes: `${line} HTTP/1.1\r\n${usualHeaders(site)}\r\n`,
    expected: ['400 ambiguous_path'],
    closes: false,
  });
  return [
    ...targets.map(([name, advisory, target]) => attack(name, advisory, `GET ${target}`)),
    attack('a tunnel', null, `CONNECT ${authority}`),
  ];
}

/** Always without a token: each is under the policy of the path, or of none, and so 401. */
function respelled(site: Site): Attack[] {
  const { path, authority } = site;
  const letter = /[a-z0-9]/i.exec(path)?.[0];
  const escaped = letter?.charCodeAt(0).toString(16);
  const attack = (name: string, advisory: string, target: string, host: string): Attack => ({
    kind: 'path',
    name: `${name}, without a token`,
    advisory,
    bytes: `GET ${target} HTTP/1.1\r\n${host}\r\n`,
    expected: ['401 token_missing'],
    closes: false,
  });
  const host = hostHeader(site);
  return [
    ...(letter === undefined
      ? []
      : [attack('an escaped letter', 'CVE-2026-22037', path.replace(letter, `%${escaped!}`), host)]),
    attack('a parameter', 'CVE-2026-33808', `${path};x=y`, host),
    attack('a parameter as a segment', 'CVE-2026-2880', `${path}/;x`, host),
    attack('a slash at the end', 'CVE-2026-2880', path === '/' ? '/x/' : `${path}/`, host),
    attack('a longer name', 'CVE-2026-55602', `${path}x`, host),
    attack('the host in upper case', 'CVE-2021-39155', path, `Host: ${authority.toUpperCase()}\r\n`),
    attack('an absolute form', 'CVE-2021-39155', `http://${authority.toUpperCase()}${path}`, host),
  ];
}
