import { CONNECTION, CONTENT_LENGTH, CORS, PASS, responseFieldKind } from './response-fields.ts';

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
    switch (responseFieldKind(name)) {
      case PASS:
        break;
      case CONNECTION:
        connection = connection === null ? headers[i + 1]! : `${connection},${headers[i + 1]!}`;
        continue;
      case CORS:
        if (edgeCors) continue;
        break;
      case CONTENT_LENGTH:
        if (!keepLength) continue;
        break;
      default:
        continue;
    }
    kept.push(name, headers[i + 1]!);
  }
  if (connection !== null) kept = withoutNamed(kept, connection);
  for (const item of added) kept.push(item);
  return kept;
}

function withoutNamed(kept: string[], connection: string): string[] {
  if (connection === 'keep-alive' || /^(?:keep-alive|close)$/i.test(connection)) return kept;
  const named = new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
  named.delete('content-length');
  const left: string[] = [];
  for (let i = 0; i < kept.length; i += 2) {
    if (!named.has(kept[i]!.toLowerCase())) left.push(kept[i]!, kept[i + 1]!);
  }
  return left;
}
