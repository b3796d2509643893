import { isUtf8 } from 'node:buffer';
import { Refusal } from '../errors.ts';
import type { Gateway } from './gateway.ts';
import type { Incoming } from './incoming.ts';
import type { RequestHead } from './request-head.ts';
import { readBody } from './read-body.ts';

/** In UTF-8 only: in another charset the realm might read other parameters than were checked here. */
const FORM = /^application\/x-www-form-urlencoded(?:[\t ]*;[\t ]*(?:charset=(?:utf-8|"utf-8")[\t ]*)?)?$/i;

export interface Form {
  /** As it came. */
  readonly body: Buffer;
  /** null = different parsers could read different parameters. */
  readonly parameters: URLSearchParams | null;
}

/** Throws `unsupported_media_type` for anything but a form, a charset other than UTF-8 or a content coding. */
export function requireForm({ contentType, passed }: RequestHead): void {
  if (FORM.test(contentType ?? '') && !hasCoding(passed)) return;
  throw new Refusal(
    'unsupported_media_type',
    'Send application/x-www-form-urlencoded in UTF-8, without a content coding',
  );
}

/** Reads a posted form. Rejects as `requireForm` and `readBody` do. */
export async function readForm(gateway: Gateway, incoming: Incoming, limit: number): Promise<Form> {
  requireForm(incoming.head);
  const body = await readBody(gateway, incoming, limit);
  return { body, parameters: parse(body) };
}

function hasCoding(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]!.toLowerCase() === 'content-encoding') return true;
  return false;
}

/** What parsers agree about: UTF-8, also once decoded, complete escapes, and no line break that might end the form. */
function parse(body: Buffer): URLSearchParams | null {
  if (!isUtf8(body)) return null;
  const text = body.toString('utf8');
  if (/[\x00-\x1f\x7f]/.test(text)) return null;
  try {
    decodeURIComponent(text);
  } catch {
    return null;
  }
  // URLSearchParams takes a question mark at the start for that of a URL; behind an empty parameter it is a name's.
  return new URLSearchParams(`&${text}`);
}
