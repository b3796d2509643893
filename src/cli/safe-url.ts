import { isLoopback } from '../embedded/loopback.ts';
import { UsageError } from './verb.ts';

export interface UrlUse {
  /** The option that gave it, such as `--url`. */
  readonly option: string;
  /** What it is the URL of, with its article. */
  readonly of: string;
  readonly example: string;
  /** What would travel readable over plain HTTP: `password`, `token`. */
  readonly carries: string;
  /** Whether the user said `--insecure-http`. */
  readonly insecure: boolean;
}

/**
 * Checks a URL that credentials are sent to, and gives it without a slash at its end. They travel in the clear to
 * this machine only, unless the user insists. Throws `UsageError`.
 */
export function safeUrl(text: string, { option, of, example, carries, insecure }: UrlUse): string {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`${option} must be an http:// or https:// URL of ${of}, such as ${example}`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new UsageError(`${option} must have no user, password, query or fragment`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.protocol === 'http:' && host !== 'localhost' && !isLoopback(host) && !insecure) {
    throw new UsageError(
      `${option} would send the ${carries} readable to ${url.host}: use https://, or --insecure-http if that is meant`,
    );
  }
  return url.href.replace(/\/+$/, '');
}
