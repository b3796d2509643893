/** Fields that concern one connection only (RFC 9110 section 7.6.1), in lower case. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authentication-info', 'te',
  'transfer-encoding', 'upgrade', 'trailer',
]); // prettier-ignore

/** What the edge decides itself on a route with `cors`. */
const CORS = 'access-control-';

const PASS = 0;
const DROP = 1;
const CONNECTION = 2;
const CORS_FIELD = 3;
const LENGTH = 4;

const spelled = new Map<string, number>();
const MOST_SPELLINGS = 1024;

function kindOf(name: string): number {
  const known = spelled.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  let kind = PASS;
  if (lower === 'connection') kind = CONNECTION;
  else if (lower === 'content-length') kind = LENGTH;
  else if (HOP_BY_HOP.has(lower)) kind = DROP;
  else if (lower.startsWith(CORS)) kind = CORS_FIELD;
  if (spelled.size < MOST_SPELLINGS) spelled.set(name, kind);
  return kind;
}

/**
 * The header fields of a response as the client gets them: without those that concern the upstream connection, and
 * with `added`. `keepLength` is false where the status forbids a Content-Length. A route whose CORS the edge
 * answers (`edgeCors`) loses what the service says about it.
 */
export function responseHeaders(
  headers: readonly string[],
  added: readonly string[],
  keepLength: boolean,
  edgeCors: boolean,
): string[] {
  let connection: string | null = null;
  let kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    switch (kindOf(name)) {
      case DROP:
        continue;
      case CONNECTION:
        connection = connection === null ? headers[i + 1]! : `${connection},${headers[i + 1]!}`;
        continue;
      case CORS_FIELD:
        if (edgeCors) continue;
        break;
      case LENGTH:
        if (!keepLength) continue;
        break;
    }
    kept.push(name, headers[i + 1]!);
  }
  if (connection !== null) kept = withoutNamed(kept, connection);
  for (const item of added) kept.push(item);
  return kept;
}

function withoutNamed(kept: string[], connection: string): string[] {
  if (/^(?:keep-alive|close)$/i.test(connection)) return kept;
  const named = new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
  named.delete('content-length');
  const left: string[] = [];
  for (let i = 0; i < kept.length; i += 2) {
    if (!named.has(kept[i]!.toLowerCase())) left.push(kept[i]!, kept[i + 1]!);
  }
  return left;
}
